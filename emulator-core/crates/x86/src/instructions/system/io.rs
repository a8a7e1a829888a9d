//! Port I/O (Intel SDM vol. 1, chapter 19). A device may change an interrupt line: every access ends its block.

use crate::instructions::system::Sys;
use crate::{Row, Sem::Sys as Run, row};

pub const ROWS: &[Row] = &[
    row("IN", "E4", "AL= Ib", Run(Sys::InByte)).notes("end"),
    row("IN", "E5", "eAX= Ib", Run(Sys::In)).notes("end"),
    row("IN", "EC", "AL= DX", Run(Sys::InByte)).notes("end"),
    row("IN", "ED", "eAX= DX", Run(Sys::In)).notes("end"),
    row("OUT", "E6", "Ib AL", Run(Sys::OutByte)).notes("end"),
    row("OUT", "E7", "Ib eAX", Run(Sys::Out)).notes("end"),
    row("OUT", "EE", "DX AL", Run(Sys::OutByte)).notes("end"),
    row("OUT", "EF", "DX eAX", Run(Sys::Out)).notes("end"),
];
