//! The 82093AA I/O APIC (Intel data sheet, order 290566), with the EOI register of later versions (ICH family
//! data sheets, version 0x20), which ends a level-triggered interrupt without a broadcast.
//!
//! Lines are given as asserted or not: the board knows which of its lines are active low, so the polarity bit of a
//! redirection entry changes nothing. Messages are handed to the board, which carries them to the local APICs.
//!
//! Deliberately missing: the APIC bus and its arbitration id, delivery retries (a message always arrives).

use crate::interrupt_message::{DeliveryMode, Destination, InterruptMessage};
use platform::{AccessSize, RestoreError, Section};
use serde::{Deserialize, Serialize};

/// Interrupt input pins.
pub const PINS: usize = 24;

/// Memory-mapped registers.
mod window {
    pub const SELECT: u64 = 0x00;
    pub const DATA: u64 = 0x10;
    pub const END_OF_INTERRUPT: u64 = 0x40;
}

/// Registers behind the select register.
mod register {
    pub const ID: u8 = 0x00;
    pub const VERSION: u8 = 0x01;
    pub const ARBITRATION: u8 = 0x02;
    pub const REDIRECTION: u8 = 0x10;
    pub const REDIRECTION_LAST: u8 = 0x3f;
}

/// Version 0x20, highest redirection entry 23.
const VERSION_VALUE: u32 = 0x0017_0020;

/// Bits of a redirection entry (82093AA, 3.2.4).
mod entry {
    pub const LOGICAL: u64 = 1 << 11;
    pub const REMOTE_IRR: u64 = 1 << 14;
    pub const LEVEL: u64 = 1 << 15;
    pub const MASKED: u64 = 1 << 16;
    pub const WRITABLE: u64 = 0xff00_0000_0001_afff;
}

const SECTION: &str = "ioapic";
const VERSION: u16 = 1;

/// The chip.
#[derive(Clone, Debug)]
pub struct IoApic {
    initial_id: u8,
    state: State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    id: u8,
    selected: u8,
    /// One bit a pin: asserted inputs.
    lines: u32,
    /// Rising edges of unmasked, edge-triggered pins that wait to be sent.
    edges: u32,
    entries: [u64; PINS],
}

impl State {
    fn power_on(id: u8) -> State {
        State { id: id & 15, selected: 0, lines: 0, edges: 0, entries: [entry::MASKED; PINS] }
    }
}

impl IoApic {
    /// All pins masked. `id` is the reset value of its id register.
    #[must_use]
    pub fn new(id: u8) -> IoApic {
        IoApic { initial_id: id, state: State::power_on(id) }
    }

    /// Power-on reset; the levels of the lines stay.
    pub fn reset(&mut self) {
        self.state = State { lines: self.state.lines, ..State::power_on(self.initial_id) };
    }

    /// Reads at an offset into the register window.
    pub fn read(&mut self, offset: u64, size: AccessSize) -> u64 {
        let value = match offset {
            window::SELECT => u32::from(self.state.selected),
            window::DATA => self.read_register(),
            _ => 0,
        };
        u64::from(value) & size.ones()
    }

    /// Writes at an offset into the register window. The data register takes dwords only.
    pub fn write(&mut self, offset: u64, size: AccessSize, value: u64) {
        match offset {
            window::SELECT => self.state.selected = value as u8,
            window::DATA if size.bytes() >= 4 => self.write_register(value as u32),
            window::END_OF_INTERRUPT => self.end_of_interrupt(value as u8),
            _ => {}
        }
    }

    /// Level of input `pin`; pins that do not exist are ignored.
    pub fn set_line(&mut self, pin: usize, asserted: bool) {
        let Some(&redirection) = self.state.entries.get(pin) else { return };
        let bit = 1 << pin;
        let rising = asserted && self.state.lines & bit == 0;
        // An edge on a masked pin is lost (82093AA, 3.2.4, "Interrupt Mask").
        if rising && redirection & (entry::LEVEL | entry::MASKED) == 0 {
            self.state.edges |= bit;
        }
        self.state.lines = if asserted { self.state.lines | bit } else { self.state.lines & !bit };
    }

    /// The end of the level-triggered interrupt `vector` was broadcast: pins still asserted interrupt again.
    pub fn end_of_interrupt(&mut self, vector: u8) {
        for redirection in &mut self.state.entries {
            if *redirection as u8 == vector && *redirection & entry::LEVEL != 0 {
                *redirection &= !entry::REMOTE_IRR;
            }
        }
    }

    /// The next message for the local APICs; call until `None`.
    pub fn take_message(&mut self) -> Option<InterruptMessage> {
        let mut waiting = self.state.lines | self.state.edges;
        while waiting != 0 {
            let pin = waiting.trailing_zeros() as usize;
            waiting &= waiting - 1;
            if let Some(message) = self.take_message_of(pin) {
                return Some(message);
            }
        }
        None
    }

    fn take_message_of(&mut self, pin: usize) -> Option<InterruptMessage> {
        let redirection = self.state.entries[pin];
        let level = redirection & entry::LEVEL != 0;
        if redirection & entry::MASKED != 0 {
            return None;
        }
        if level {
            let asserted = self.state.lines & 1 << pin != 0;
            if !asserted || redirection & entry::REMOTE_IRR != 0 {
                return None;
            }
            self.state.entries[pin] |= entry::REMOTE_IRR;
        } else {
            let edge = self.state.edges & 1 << pin != 0;
            self.state.edges &= !(1 << pin);
            if !edge {
                return None;
            }
        }
        let address = (redirection >> 56) as u32;
        let is_logical = redirection & entry::LOGICAL != 0;
        Some(InterruptMessage {
            destination: if is_logical { Destination::Logical(address) } else { Destination::Physical(address) },
            mode: DeliveryMode::from_bits((redirection >> 8) as u32)?,
            vector: redirection as u8,
            level,
        })
    }

    /// The redirection entry that the selected register is half of, and whether it is the upper half.
    fn selected_entry(&self) -> Option<(usize, bool)> {
        let index = self.state.selected.checked_sub(register::REDIRECTION)?;
        let in_table = self.state.selected <= register::REDIRECTION_LAST;
        in_table.then_some((usize::from(index / 2), index % 2 == 1))
    }

    fn read_register(&self) -> u32 {
        match self.state.selected {
            register::ID | register::ARBITRATION => u32::from(self.state.id) << 24,
            register::VERSION => VERSION_VALUE,
            _ => self.selected_entry().map_or(0, |(pin, upper)| {
                let redirection = self.state.entries[pin];
                if upper { (redirection >> 32) as u32 } else { redirection as u32 }
            }),
        }
    }

    fn write_register(&mut self, value: u32) {
        if self.state.selected == register::ID {
            self.state.id = (value >> 24) as u8 & 15;
        }
        let Some((pin, upper)) = self.selected_entry() else { return };
        let before = self.state.entries[pin];
        let written = if upper {
            u64::from(value) << 32 | before & 0xffff_ffff
        } else {
            before & !0xffff_ffff | u64::from(value)
        };
        let mut after = written & entry::WRITABLE | before & entry::REMOTE_IRR;
        if after & entry::LEVEL == 0 {
            // Remote IRR means nothing for edge-triggered pins; software clears it by switching over and back.
            after &= !entry::REMOTE_IRR;
        } else {
            self.state.edges &= !(1 << pin);
        }
        self.state.entries[pin] = after;
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
        let known = entry::WRITABLE | entry::REMOTE_IRR;
        let no_such_pin = !0u32 << PINS;
        if (state.lines | state.edges) & no_such_pin != 0 || state.entries.iter().any(|entry| entry & !known != 0) {
            return Err(section.damaged());
        }
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
