//! System control port A of the PS/2 and later ISA boards: fast A20 gate and fast reset
//! (IBM PS/2 Hardware Interface Technical Reference, "System Control Port A").
//!
//! Deliberately missing: the security lock and fixed-disk light bits, which only remember what was written.

use platform::{RestoreError, Section};
use serde::{Deserialize, Serialize};

const FAST_RESET: u8 = 1 << 0;
const A20_GATE: u8 = 1 << 1;
const READ_BACK: u8 = 0b1100_1010;

const SECTION: &str = "port92";
const VERSION: u16 = 1;

/// The port.
#[derive(Clone, Debug)]
pub struct Port92 {
    state: State,
    reset_requested: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    value: u8,
}

impl Port92 {
    /// `a20_open` is the state of the gate after power-on: closed where firmware starts at the reset vector.
    #[must_use]
    pub fn new(a20_open: bool) -> Port92 {
        Port92 { state: State { value: if a20_open { A20_GATE } else { 0 } }, reset_requested: false }
    }

    /// Closes the gate, or leaves it as `a20_open` says.
    pub fn reset(&mut self, a20_open: bool) {
        *self = Port92::new(a20_open);
    }

    /// The bits as last written; the reset bit reads back 0 since its pulse is over.
    #[must_use]
    pub fn read(&self) -> u8 {
        self.state.value
    }

    /// Sets the A20 gate; a rising reset bit pulses the processor's reset.
    pub fn write(&mut self, value: u8) {
        self.reset_requested |= value & FAST_RESET != 0;
        self.state.value = value & READ_BACK;
    }

    /// Whether this port lets address line 20 through; the board ORs it with the keyboard controller's gate.
    #[must_use]
    pub fn a20_gate(&self) -> bool {
        self.state.value & A20_GATE != 0
    }

    /// True once after software pulsed the processor's reset.
    pub fn take_reset(&mut self) -> bool {
        std::mem::take(&mut self.reset_requested)
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
        *self = Port92 { state: State { value: state.value & READ_BACK }, reset_requested: false };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_one_opens_the_a20_gate_and_bit_zero_resets_once() {
        let mut port = Port92::new(false);
        assert!(!port.a20_gate());
        port.write(port.read() | 2);
        assert!(port.a20_gate());
        assert!(!port.take_reset());
        port.write(port.read() | 1);
        assert!(port.take_reset());
        assert!(!port.take_reset());
        assert_eq!(port.read(), 2);
    }
}
