//! Flag registers, and stack instructions that touch segments or more than one slot.

use crate::instructions::system::Sys;
use crate::{Feature, Row, Sem::Sys as Run, row};

const fn push(encoding: &'static str, operand: &'static str, notes: &'static str) -> Row {
    row("PUSH", encoding, operand, Run(Sys::PushSegment)).notes(notes)
}

const fn pop(encoding: &'static str, operand: &'static str, notes: &'static str) -> Row {
    row("POP", encoding, operand, Run(Sys::PopSegment)).notes(notes)
}

pub const ROWS: &[Row] = &[
    row("PUSHF", "9C", "", Run(Sys::Pushf)).notes("d64"),
    row("POPF", "9D", "", Run(Sys::Popf)).flags("OSZAPC").notes("d64 end"),
    row("SAHF", "9E", "", Run(Sys::Sahf)).flags("SZAPC"),
    row("LAHF", "9F", "", Run(Sys::Lahf)),
    row("CLI", "FA", "", Run(Sys::Cli)).notes("end"),
    row("STI", "FB", "", Run(Sys::Sti)).notes("end"),
    row("PUSHA", "60", "", Run(Sys::Pusha)).notes("i64"),
    row("POPA", "61", "", Run(Sys::Popa)).notes("i64"),
    row("ENTER", "C8", "Iw Ib", Run(Sys::Enter)).notes("d64"),
    row("POP", "8F /0", "Ev=", Run(Sys::PopMemory)).notes("d64"),
    push("06", "ES", "i64"),
    push("0E", "CS", "i64"),
    push("16", "SS", "i64"),
    push("1E", "DS", "i64"),
    push("0F A0", "FS", "d64"),
    push("0F A8", "GS", "d64"),
    pop("07", "ES=", "i64 end"),
    pop("17", "SS=", "i64 end"),
    pop("1F", "DS=", "i64 end"),
    pop("0F A1", "FS=", "d64 end"),
    pop("0F A9", "GS=", "d64 end"),
    row("CLAC", "NP 0F 01 =CA", "", Run(Sys::Clac)).notes("end").on(Feature::Smap),
    row("STAC", "NP 0F 01 =CB", "", Run(Sys::Stac)).notes("end").on(Feature::Smap),
];
