//! String instructions (Intel SDM vol. 1, 7.3.9). A repeated one ends its block: it may stop between two elements.

use crate::instructions::system::Sys;
use crate::{Row, Sem::Sys as Run, row};

const COMPARED: &str = "OSZAPC";

pub const ROWS: &[Row] = &[
    row("MOVSB", "A4", "Yb= Xb", Run(Sys::Movs)).notes("rep"),
    row("MOVS", "A5", "Yv= Xv", Run(Sys::Movs)).notes("rep"),
    row("CMPSB", "A6", "Xb Yb", Run(Sys::Cmps)).flags(COMPARED).notes("rep"),
    row("CMPS", "A7", "Xv Yv", Run(Sys::Cmps)).flags(COMPARED).notes("rep"),
    row("STOSB", "AA", "Yb= AL", Run(Sys::Stos)).notes("rep"),
    row("STOS", "AB", "Yv= rAX", Run(Sys::Stos)).notes("rep"),
    row("LODSB", "AC", "AL= Xb", Run(Sys::Lods)).notes("rep"),
    row("LODS", "AD", "rAX= Xv", Run(Sys::Lods)).notes("rep"),
    row("SCASB", "AE", "AL Yb", Run(Sys::Scas)).flags(COMPARED).notes("rep"),
    row("SCAS", "AF", "rAX Yv", Run(Sys::Scas)).flags(COMPARED).notes("rep"),
    row("INSB", "6C", "Yb= DX", Run(Sys::Ins)).notes("rep end"),
    row("INS", "6D", "Yz= DX", Run(Sys::Ins)).notes("rep end"),
    row("OUTSB", "6E", "DX Xb", Run(Sys::Outs)).notes("rep end"),
    row("OUTS", "6F", "DX Xz", Run(Sys::Outs)).notes("rep end"),
];
