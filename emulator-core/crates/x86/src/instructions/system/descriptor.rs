//! Segment registers and descriptor tables (Intel SDM vol. 3, 2.8.1 and 5.10).

use crate::instructions::system::Sys;
use crate::{Feature, Row, Sem::Sys as Run, row};

const fn base(mnemonic: &'static str, encoding: &'static str, operand: &'static str, sys: Sys) -> Row {
    row(mnemonic, encoding, operand, Run(sys)).notes("o64").on(Feature::Fsgsbase)
}

pub const ROWS: &[Row] = &[
    row("MOV", "8C /r", "Rv/Mw= Sw", Run(Sys::StoreSegment)),
    row("MOV", "8E /r", "Sw= Ew", Run(Sys::LoadSegment)).notes("end"),
    row("LES", "C4 /r", "Gv= Mp", Run(Sys::Les)).notes("i64 end"),
    row("LDS", "C5 /r", "Gv= Mp", Run(Sys::Lds)).notes("i64 end"),
    row("LSS", "0F B2 /r", "Gv= Mp", Run(Sys::Lss)).notes("end"),
    row("LFS", "0F B4 /r", "Gv= Mp", Run(Sys::Lfs)).notes("end"),
    row("LGS", "0F B5 /r", "Gv= Mp", Run(Sys::Lgs)).notes("end"),
    row("SLDT", "0F 00 /0", "Rv/Mw=", Run(Sys::Sldt)),
    row("STR", "0F 00 /1", "Rv/Mw=", Run(Sys::Str)),
    row("LLDT", "0F 00 /2", "Ew", Run(Sys::Lldt)).notes("end"),
    row("LTR", "0F 00 /3", "Ew", Run(Sys::Ltr)).notes("end"),
    row("VERR", "0F 00 /4", "Ew", Run(Sys::Verr)).flags("Z"),
    row("VERW", "0F 00 /5", "Ew", Run(Sys::Verw)).flags("Z"),
    row("SGDT", "0F 01 /0", "M=", Run(Sys::Sgdt)).notes("f64"),
    row("SIDT", "0F 01 /1", "M=", Run(Sys::Sidt)).notes("f64"),
    row("LGDT", "0F 01 /2", "M", Run(Sys::Lgdt)).notes("f64 end"),
    row("LIDT", "0F 01 /3", "M", Run(Sys::Lidt)).notes("f64 end"),
    row("LAR", "0F 02 /r", "Gv= Ew", Run(Sys::Lar)).flags("Z"),
    row("LSL", "0F 03 /r", "Gv= Ew", Run(Sys::Lsl)).flags("Z"),
    row("ARPL", "63 /r", "Ew+ Gw", Run(Sys::Arpl)).flags("Z").notes("i64"),
    row("SWAPGS", "0F 01 =F8", "", Run(Sys::Swapgs)).notes("o64 end").on(Feature::LongMode),
    base("RDFSBASE", "F3 0F AE /0", "Ry=", Sys::Rdfsbase),
    base("RDGSBASE", "F3 0F AE /1", "Ry=", Sys::Rdgsbase),
    base("WRFSBASE", "F3 0F AE /2", "Ry", Sys::Wrfsbase),
    base("WRGSBASE", "F3 0F AE /3", "Ry", Sys::Wrgsbase),
];
