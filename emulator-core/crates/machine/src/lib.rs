//! Boards, boot protocols, the run loop and snapshots: the only place where processor and chips meet.

mod acpi;
mod board;
mod boot;
mod clock;
mod config;
mod entry;
mod error;
pub mod layout;
mod lockstep;
mod machine;
mod memory_map;
mod smbios;
mod snapshot;
mod stats;
mod trace;

pub use boot::File;
pub use config::{Boot, Clock, Config, Entry, Module, cpu_model};
pub use cpu::CpuModel;
pub use error::{CodeRow, MachineError, all_codes};
pub use lockstep::{Lockstep, Progress};
pub use machine::{HotRegion, Listing, Machine, RunOutcome};
pub use stats::{BusCounters, Stats};

/// Says why a test proves nothing on this machine.
#[cfg(test)]
#[allow(clippy::print_stderr, reason = "a test's own report")]
fn skipped(cause: &str) {
    eprintln!("skipped: {cause}");
}
