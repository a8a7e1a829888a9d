//! The instructions of BMI2 that scatter and gather bits.

use crate::instructions::system::Sys;
use crate::{Feature, Row, Sem::Sys as Run, row};

pub const ROWS: &[Row] = &[
    row("PDEP", "VEX.LZ.F2.0F38 F5 /r", "Gy= By Ey", Run(Sys::Pdep)).on(Feature::Bmi2),
    row("PEXT", "VEX.LZ.F3.0F38 F5 /r", "Gy= By Ey", Run(Sys::Pext)).on(Feature::Bmi2),
];
