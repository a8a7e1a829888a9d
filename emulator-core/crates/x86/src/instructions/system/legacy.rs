//! Decimal adjustment (Intel SDM vol. 1, 7.3.4.5) and SALC, which the manual never listed.

use crate::instructions::system::Sys;
use crate::{Row, Sem::Sys as Run, row};

const PACKED: &str = "oSZAPC";
const UNPACKED: &str = "oszApC";
const DIVIDED: &str = "oSZaPc";

pub const ROWS: &[Row] = &[
    row("DAA", "27", "", Run(Sys::Daa)).flags(PACKED).notes("i64"),
    row("DAS", "2F", "", Run(Sys::Das)).flags(PACKED).notes("i64"),
    row("AAA", "37", "", Run(Sys::Aaa)).flags(UNPACKED).notes("i64"),
    row("AAS", "3F", "", Run(Sys::Aas)).flags(UNPACKED).notes("i64"),
    row("AAM", "D4", "Ib", Run(Sys::Aam)).flags(DIVIDED).notes("i64"),
    row("AAD", "D5", "Ib", Run(Sys::Aad)).flags(DIVIDED).notes("i64"),
    row("SALC", "D6", "", Run(Sys::Salc)).notes("i64"),
];
