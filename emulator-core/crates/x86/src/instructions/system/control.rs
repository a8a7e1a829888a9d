//! Control and debug registers, caches and fences (Intel SDM vol. 3, 2.8).

use crate::instructions::integer::Int::Nop;
use crate::instructions::system::Sys;
use crate::{Feature, Row, Sem, Sem::Sys as Run, row};

/// There is one processor and it runs in order: a fence has nothing to do.
const fn fence(mnemonic: &'static str, encoding: &'static str, feature: Feature) -> Row {
    row(mnemonic, encoding, "", Sem::Int(Nop)).on(feature)
}

pub const ROWS: &[Row] = &[
    row("MOV", "0F 20 /r", "Ry= Cy", Run(Sys::StoreControl)).notes("f64 end"),
    row("MOV", "0F 21 /r", "Ry= Dy", Run(Sys::StoreDebug)).notes("f64 end"),
    row("MOV", "0F 22 /r", "Cy= Ry", Run(Sys::LoadControl)).notes("f64 end"),
    row("MOV", "0F 23 /r", "Dy= Ry", Run(Sys::LoadDebug)).notes("f64 end"),
    row("SMSW", "0F 01 /4", "Rv/Mw=", Run(Sys::Smsw)),
    row("LMSW", "0F 01 /6", "Ew", Run(Sys::Lmsw)).notes("end"),
    row("CLTS", "0F 06", "", Run(Sys::Clts)).notes("end"),
    row("INVLPG", "0F 01 /7", "M", Run(Sys::Invlpg)).notes("end"),
    row("INVPCID", "66 0F 38 82 /r", "Gy Mdq", Run(Sys::Invpcid)).notes("f64 end").on(Feature::Invpcid),
    row("INVD", "0F 08", "", Run(Sys::FlushCaches)),
    row("WBINVD", "0F 09", "", Run(Sys::FlushCaches)),
    row("CLFLUSH", "NP 0F AE /7", "Mb", Run(Sys::Clflush)).on(Feature::Clfsh),
    row("CLFLUSHOPT", "66 0F AE /7", "Mb", Run(Sys::Clflush)).on(Feature::Clflushopt),
    row("HLT", "F4", "", Run(Sys::Hlt)).notes("end"),
    fence("LFENCE", "NP 0F AE =E8+i", Feature::Sse2),
    fence("MFENCE", "NP 0F AE =F0+i", Feature::Sse2),
    fence("SFENCE", "NP 0F AE =F8+i", Feature::Sse),
];
