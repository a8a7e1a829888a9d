//! Model-specific registers, time, identification and random numbers. Time stands still within a block: what reads it
//! ends its block, so that it is seen to pass between two readings.

use crate::instructions::system::Sys;
use crate::{Feature, Row, Sem::Sys as Run, row};

pub const ROWS: &[Row] = &[
    row("WRMSR", "0F 30", "", Run(Sys::Wrmsr)).notes("end").on(Feature::Msr),
    row("RDTSC", "0F 31", "", Run(Sys::Rdtsc)).notes("end").on(Feature::Tsc),
    row("RDMSR", "0F 32", "", Run(Sys::Rdmsr)).notes("end").on(Feature::Msr),
    row("RDPMC", "0F 33", "", Run(Sys::Rdpmc)).notes("end").on(Feature::P6),
    row("RDTSCP", "0F 01 =F9", "", Run(Sys::Rdtscp)).notes("end").on(Feature::Rdtscp),
    row("CPUID", "0F A2", "", Run(Sys::Cpuid)).notes("end"),
    row("RDRAND", "NFx 0F C7 /6", "Rv=", Run(Sys::Rdrand)).flags("OSZAPC").on(Feature::Rdrand),
    row("RDSEED", "NFx 0F C7 /7", "Rv=", Run(Sys::Rdrand)).flags("OSZAPC").on(Feature::Rdseed),
    row("RDPID", "F3 0F C7 /7", "Ry=", Run(Sys::Rdpid)).notes("f64").on(Feature::Rdpid),
];
