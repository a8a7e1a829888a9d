//! Boards, boot protocols, the run loop and snapshots: the only place where processor and chips meet.

mod acpi;
mod boot;
mod config;
mod error;
pub mod layout;
mod memory_map;

pub use boot::KernelKind;
pub use config::{Boot, Clock, Config, Entry, Module};
pub use error::{CodeRow, MachineError, all_codes};
