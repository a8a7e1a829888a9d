//! The extended state and which of it is enabled (Intel SDM vol. 1, chapter 13).

use crate::instructions::system::Sys;
use crate::{Feature, Row, Sem::Sys as Run, row};

pub const ROWS: &[Row] = &[
    row("XGETBV", "NP 0F 01 =D0", "", Run(Sys::Xgetbv)).on(Feature::Xsave),
    row("XSETBV", "NP 0F 01 =D1", "", Run(Sys::Xsetbv)).on(Feature::Xsave),
    row("XSAVE", "NP 0F AE /4", "M=", Run(Sys::Xsave)).on(Feature::Xsave),
    row("XRSTOR", "NP 0F AE /5", "M", Run(Sys::Xrstor)).on(Feature::Xsave),
    row("XSAVEOPT", "NP 0F AE /6", "M=", Run(Sys::Xsaveopt)).on(Feature::Xsaveopt),
    row("XSAVEC", "NP 0F C7 /4", "M=", Run(Sys::Xsavec)).on(Feature::Xsavec),
    row("XSAVES", "NP 0F C7 /5", "M=", Run(Sys::Xsaves)).on(Feature::Xsaves),
    row("XRSTORS", "NP 0F C7 /3", "M", Run(Sys::Xrstors)).on(Feature::Xsaves),
];
