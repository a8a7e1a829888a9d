//! One virtual processor, whatever executes it.

use crate::{Bus, Nanos, RestoreError, Section};

/// Why [`Vcpu::run`] returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VcpuExit {
    /// The instruction budget is used up, or a bus access may have changed a line or a deadline. Call again.
    Yield,
    /// `HLT` with nothing to deliver: sleep until an interrupt, an NMI or a reset.
    Halt,
    /// Triple fault or another shutdown condition: a PC's board resets.
    Shutdown,
}

/// One virtual processor. The board owns it and hands it the bus for the length of a call.
pub trait Vcpu {
    /// Runs until about `budget` instructions have retired, or there is a reason in [`VcpuExit`].
    ///
    /// `now` is the guest time at the first instruction; while running, guest time advances
    /// `ns_per_kilo_instruction` nanoseconds for every 1,000 instructions retired; what [`Vcpu::work`] counts beyond is up to the caller.
    fn run(&mut self, bus: &mut dyn Bus, now: Nanos, ns_per_kilo_instruction: u32, budget: u64) -> VcpuExit;

    /// Instructions retired since power-on, by every tier.
    fn instructions(&self) -> u64;

    /// The same, with instructions that take as long as many others counted as so many: what guest time goes by.
    fn work(&self) -> u64;

    /// INIT or power-on reset: the state of Intel SDM vol. 3, table 10-1.
    fn reset(&mut self);

    /// Writes the architectural state.
    fn save(&self) -> Section;

    /// Replaces the architectural state; caches of translations and code are dropped.
    ///
    /// # Errors
    /// The section is of another version or malformed.
    fn restore(&mut self, section: &Section) -> Result<(), RestoreError>;
}
