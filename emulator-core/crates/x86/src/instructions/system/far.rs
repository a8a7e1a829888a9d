//! Far transfers, software interrupts and system calls (Intel SDM vol. 1, chapter 6; vol. 3, 5.8).

use crate::instructions::system::Sys;
use crate::{Feature, Row, Sem::Sys as Run, row};

pub const ROWS: &[Row] = &[
    row("JMP FAR", "EA", "Ap", Run(Sys::JmpFar)).notes("i64 end"),
    row("JMP FAR", "FF /5", "Mp", Run(Sys::JmpFar)).notes("end"),
    row("CALL FAR", "9A", "Ap", Run(Sys::CallFar)).notes("i64 end"),
    row("CALL FAR", "FF /3", "Mp", Run(Sys::CallFar)).notes("end"),
    row("RETF", "CA", "Iw", Run(Sys::RetFar)).notes("end"),
    row("RETF", "CB", "", Run(Sys::RetFar)).notes("end"),
    row("IRET", "CF", "", Run(Sys::Iret)).flags("OSZAPC").notes("end"),
    row("INT", "CD", "Ib", Run(Sys::Int)).notes("end"),
    row("INT1", "F1", "", Run(Sys::Int1)).notes("end"),
    row("INT3", "CC", "", Run(Sys::Int3)).notes("end"),
    row("INTO", "CE", "", Run(Sys::Into)).notes("i64 end"),
    row("BOUND", "62 /r", "Gv M", Run(Sys::Bound)).notes("i64"),
    row("SYSCALL", "0F 05", "", Run(Sys::Syscall)).notes("o64 end").on(Feature::Syscall),
    row("SYSRET", "0F 07", "", Run(Sys::Sysret)).flags("OSZAPC").notes("o64 end").on(Feature::Syscall),
    row("SYSENTER", "0F 34", "", Run(Sys::Sysenter)).notes("end").on(Feature::Sep),
    row("SYSEXIT", "0F 35", "", Run(Sys::Sysexit)).notes("end").on(Feature::Sep),
];
