//! The local APIC in xAPIC and x2APIC mode.
//!
//! SKELETON: the interface is final, the behaviour follows.

#![allow(unused_variables)]

use crate::interrupt_message::InterruptMessage;
use platform::{AccessSize, MsrAnswer, Nanos, PhysAddr, RestoreError, Section};

/// What the board solders in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LapicConfig {
    /// Initial APIC id.
    pub id: u32,
    /// This processor is the bootstrap processor (bit 8 of IA32_APIC_BASE).
    pub bootstrap: bool,
    /// Bus clock that the timer divides, in Hertz.
    pub bus_hz: u64,
    /// Time-stamp counter frequency, in Hertz.
    pub tsc_hz: u64,
}

/// What the board must carry on after an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LapicEvent {
    /// End of a level-triggered interrupt: tell every I/O APIC.
    EndOfInterrupt {
        /// The vector that ended.
        vector: u8,
    },
    /// An interrupt command for other processors (the sender has already taken its own copy).
    Send(InterruptMessage),
}

/// The answer to an interrupt-acknowledge cycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acknowledge {
    /// Deliver this vector.
    Vector(u8),
    /// Ask the external 8259 for the vector.
    External,
    /// The request went away.
    Nothing,
}

/// The local APIC in xAPIC and x2APIC mode.
#[derive(Clone, Debug)]
pub struct Lapic {}

impl Lapic {
    /// Software-disabled, timer stopped, in xAPIC mode at its usual base.
    pub fn new(config: LapicConfig) -> Lapic {
        Lapic {}
    }

    /// Power-on reset.
    pub fn reset(&mut self) {}

    /// INIT reset: like power-on, but id, IA32_APIC_BASE stay.
    pub fn init(&mut self) {}

    /// Base of the 4 KiB register page while memory-mapped (xAPIC mode), else `None`.
    pub fn mmio_base(&self) -> Option<PhysAddr> {
        Some(PhysAddr(0xfee0_0000))
    }

    /// Reads the register page.
    pub fn read(&mut self, offset: u64, size: AccessSize, now: Nanos) -> u64 {
        0
    }

    /// Writes the register page; then ask [`Lapic::take_event`].
    pub fn write(&mut self, offset: u64, size: AccessSize, value: u64, now: Nanos) {}

    /// Reads IA32_APIC_BASE, IA32_TSC_DEADLINE or an x2APIC register. `tsc` is the time-stamp counter at `now`.
    pub fn msr_read(&mut self, msr: u32, tsc: u64, now: Nanos) -> MsrAnswer {
        MsrAnswer::Fault
    }

    /// Writes one of those; then ask [`Lapic::take_event`] and [`Lapic::mmio_base`].
    pub fn msr_write(&mut self, msr: u32, value: u64, tsc: u64, now: Nanos) -> MsrAnswer {
        MsrAnswer::Fault
    }

    /// Software moved the time-stamp counter: it is `tsc` at `now`. A waiting TSC deadline is timed anew.
    pub fn tsc_changed(&mut self, tsc: u64, now: Nanos) {}

    /// What the last access asks of the board, once.
    pub fn take_event(&mut self) -> Option<LapicEvent> {
        None
    }

    /// CR8.
    pub fn task_priority(&self) -> u8 {
        0
    }

    /// Writes CR8; only the low four bits are used.
    pub fn set_task_priority(&mut self, cr8: u8) {}

    /// Whether `message` (from an I/O APIC, an MSI or another processor) is meant for this local APIC.
    pub fn accepts(&self, message: &InterruptMessage) -> bool {
        false
    }

    /// Takes in a message that [`Lapic::accepts`].
    pub fn deliver(&mut self, message: &InterruptMessage) {}

    /// Level of LINT0, on a PC the 8259's INT.
    pub fn set_lint0(&mut self, level: bool) {}

    /// Level of LINT1, on a PC the board's NMI.
    pub fn set_lint1(&mut self, level: bool) {}

    /// Whether a maskable interrupt waits for the processor.
    pub fn interrupt_asserted(&self) -> bool {
        false
    }

    /// Interrupt-acknowledge cycle.
    pub fn acknowledge(&mut self) -> Acknowledge {
        Acknowledge::Nothing
    }

    /// True once after an NMI.
    pub fn take_nmi(&mut self) -> bool {
        false
    }

    /// True once after INIT: reset the processor and call [`Lapic::init`].
    pub fn take_init(&mut self) -> bool {
        false
    }

    /// The page number of a start-up message, once.
    pub fn take_startup(&mut self) -> Option<u8> {
        None
    }

    /// Guest time at which outputs change by themselves.
    pub fn next_deadline(&self) -> Option<Nanos> {
        None
    }

    /// Brings the chip up to `now`.
    pub fn advance(&mut self, now: Nanos) {}

    /// Writes the state.
    #[must_use]
    pub fn save(&self) -> Section {
        Section::encode("skeleton", 1, &0u8)
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The section is of another version or malformed.
    pub fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
        section.decode::<u8>(1).map(|_| ())
    }
}
