//! The high precision event timer (IA-PC HPET Specification 1.0a) with a 64-bit counter at 100 MHz and three
//! comparators, all of which can be periodic.
//!
//! Deliberately missing: front side bus (message) interrupts, which the capabilities do not announce.

mod comparator;

use crate::frequency::Frequency;
use comparator::Comparator;
use platform::{AccessSize, Nanos, RestoreError, Section};
use serde::{Deserialize, Serialize};

/// Comparators.
pub const TIMERS: usize = 3;
/// I/O APIC pins a comparator may be routed to, one bit a pin: 20 to 23, which nothing else on the board uses.
pub const ROUTABLE_PINS: u32 = 0x00f0_0000;

const COUNTER: Frequency = Frequency::new(100_000_000);
const PERIOD_FEMTOSECONDS: u64 = 10_000_000;

mod register {
    pub const CAPABILITIES: u64 = 0x000;
    pub const CONFIGURATION: u64 = 0x010;
    pub const STATUS: u64 = 0x020;
    pub const COUNTER: u64 = 0x0f0;
    pub const TIMERS: u64 = 0x100;
    pub const TIMER_STRIDE: u64 = 0x20;
    pub const TIMER_CONFIGURATION: u64 = 0x00;
    pub const TIMER_COMPARATOR: u64 = 0x08;
}

/// Revision 1, three timers, 64-bit counter, legacy replacement capable, vendor Intel.
const CAPABILITIES: u64 = PERIOD_FEMTOSECONDS << 32 | 0x8086 << 16 | 1 << 15 | 1 << 13 | (TIMERS as u64 - 1) << 8 | 1;

/// General configuration register.
mod configuration {
    pub const ENABLED: u64 = 1 << 0;
    pub const LEGACY_REPLACEMENT: u64 = 1 << 1;
}

const SECTION: &str = "hpet";
const VERSION: u16 = 1;

/// Where a comparator's interrupt goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HpetRoute {
    /// In place of the interval timer's interrupt.
    LegacyTimer,
    /// In place of the real-time clock's interrupt.
    LegacyRtc,
    /// This I/O APIC pin.
    IoApicPin(u8),
}

/// The timer block.
#[derive(Clone, Debug)]
pub struct Hpet {
    state: State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    configuration: u64,
    /// Level-triggered interrupts that are active, one bit a comparator.
    status: u64,
    /// The main counter at guest time `seen`.
    counter: u64,
    /// Guest time up to which comparators have been compared.
    seen: Nanos,
    timers: [Comparator; TIMERS],
}

impl Default for Hpet {
    fn default() -> Hpet {
        Hpet::new()
    }
}

impl Hpet {
    /// Stopped at zero.
    #[must_use]
    pub fn new() -> Hpet {
        let timers = [Comparator::default(); TIMERS];
        Hpet { state: State { configuration: 0, status: 0, counter: 0, seen: 0, timers } }
    }

    /// Back to the state of [`Hpet::new`].
    pub fn reset(&mut self) {
        let seen = self.state.seen;
        *self = Hpet::new();
        self.state.seen = seen;
    }

    /// Reads the 1 KiB register block.
    pub fn read(&mut self, offset: u64, size: AccessSize, now: Nanos) -> u64 {
        self.advance(now);
        let value = match offset & !7 {
            register::CAPABILITIES => CAPABILITIES,
            register::CONFIGURATION => self.state.configuration,
            register::STATUS => self.state.status,
            register::COUNTER => self.state.counter,
            aligned => match self.timer_register(aligned) {
                Some((timer, register::TIMER_CONFIGURATION)) => self.state.timers[timer].configuration(),
                Some((timer, register::TIMER_COMPARATOR)) => self.state.timers[timer].comparator(),
                _ => 0,
            },
        };
        value >> (8 * (offset & 7)) & size.ones()
    }

    /// Writes the 1 KiB register block, in aligned dwords or qwords; others are dropped (specification, 2.3.2).
    pub fn write(&mut self, offset: u64, size: AccessSize, value: u64, now: Nanos) {
        if size.bytes() < 4 || !offset.is_multiple_of(size.bytes()) {
            return;
        }
        self.advance(now);
        let shift = 8 * (offset & 7);
        let mask = size.ones() << shift;
        let value = value << shift & mask;
        match offset & !7 {
            register::CONFIGURATION => {
                let writable = configuration::ENABLED | configuration::LEGACY_REPLACEMENT;
                self.state.configuration = (self.state.configuration & !mask | value) & writable;
            }
            register::STATUS => self.state.status &= !value,
            register::COUNTER => self.state.counter = self.state.counter & !mask | value,
            aligned => match self.timer_register(aligned) {
                Some((timer, register::TIMER_CONFIGURATION)) => {
                    self.state.timers[timer].write_configuration(value, mask);
                    if !self.state.timers[timer].is_level() {
                        self.state.status &= !(1 << timer);
                    }
                }
                Some((timer, register::TIMER_COMPARATOR)) => self.state.timers[timer].write_comparator(value, mask),
                _ => {}
            },
        }
    }

    fn timer_register(&self, aligned: u64) -> Option<(usize, u64)> {
        let from_first = aligned.checked_sub(register::TIMERS)?;
        let timer = usize::try_from(from_first / register::TIMER_STRIDE).ok()?;
        (timer < TIMERS).then_some((timer, from_first % register::TIMER_STRIDE))
    }

    /// Legacy replacement routing is on: the interval timer's and real-time clock's own interrupts are disconnected.
    #[must_use]
    pub fn legacy_replacement(&self) -> bool {
        self.state.configuration & configuration::LEGACY_REPLACEMENT != 0
    }

    /// Where a comparator's interrupt goes.
    #[must_use]
    pub fn route(&self, timer: usize) -> HpetRoute {
        match timer {
            0 if self.legacy_replacement() => HpetRoute::LegacyTimer,
            1 if self.legacy_replacement() => HpetRoute::LegacyRtc,
            _ => HpetRoute::IoApicPin(self.state.timers.get(timer).map_or(0, Comparator::route)),
        }
    }

    /// True once after a comparator in edge mode fired.
    pub fn take_edge(&mut self, timer: usize) -> bool {
        self.state.timers.get_mut(timer).is_some_and(Comparator::take_edge)
    }

    /// Level of a comparator in level mode.
    #[must_use]
    pub fn irq_asserted(&self, timer: usize) -> bool {
        timer < TIMERS && self.state.status & 1 << timer != 0
    }

    fn is_running(&self) -> bool {
        self.state.configuration & configuration::ENABLED != 0
    }

    /// When the next enabled comparator fires.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Nanos> {
        if !self.is_running() {
            return None;
        }
        let wait = self.state.timers.iter().filter_map(|timer| timer.ticks_to_interrupt(self.state.counter)).min()?;
        Some(COUNTER.time_of(COUNTER.ticks(self.state.seen).checked_add(wait)?))
    }

    /// Runs the counter up to `now`.
    pub fn advance(&mut self, now: Nanos) {
        if now <= self.state.seen {
            return;
        }
        let elapsed = COUNTER.ticks(now) - COUNTER.ticks(self.state.seen);
        self.state.seen = now;
        if !self.is_running() {
            return;
        }
        for (index, timer) in self.state.timers.iter_mut().enumerate() {
            let fired = timer.advance(self.state.counter, elapsed);
            if fired && timer.is_level() {
                self.state.status |= 1 << index;
            }
        }
        self.state.counter = self.state.counter.wrapping_add(elapsed);
    }

    /// Writes the state.
    #[must_use]
    pub fn save(&self) -> Section {
        Section::encode(SECTION, VERSION, &self.state)
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The section is of another version or malformed.
    pub fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
        let state: State = section.decode(VERSION)?;
        let known = configuration::ENABLED | configuration::LEGACY_REPLACEMENT;
        let in_range = state.configuration & !known == 0 && state.status >> TIMERS == 0;
        if !in_range || !state.timers.iter().all(Comparator::is_valid) {
            return Err(section.damaged());
        }
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
