//! Reset control register of the PIIX3 (Intel 82371SB data sheet, 2.5.5.4 "RC").

use platform::{RestoreError, Section};
use serde::{Deserialize, Serialize};

const HARD_RESET: u8 = 1 << 1;
const RESET_PROCESSOR: u8 = 1 << 2;

const SECTION: &str = "reset_control";
const VERSION: u16 = 1;

/// What is reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reset {
    /// The processor only (INIT).
    Soft,
    /// The whole board.
    Hard,
}

/// The register.
#[derive(Clone, Debug, Default)]
pub struct ResetControl {
    state: State,
    requested: Option<Reset>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    value: u8,
}

impl ResetControl {
    /// Register zero.
    #[must_use]
    pub fn new() -> ResetControl {
        ResetControl::default()
    }

    /// Back to the state of [`ResetControl::new`].
    pub fn reset(&mut self) {
        *self = ResetControl::default();
    }

    /// The bits last written.
    #[must_use]
    pub fn read(&self) -> u8 {
        self.state.value
    }

    /// A rising RCPU bit starts the reset that the SRST bit chooses.
    pub fn write(&mut self, value: u8) {
        let rising = value & !self.state.value & RESET_PROCESSOR != 0;
        if rising {
            self.requested = Some(if value & HARD_RESET != 0 { Reset::Hard } else { Reset::Soft });
        }
        self.state.value = value & (HARD_RESET | RESET_PROCESSOR);
    }

    /// The reset asked for since the last call.
    pub fn take_reset(&mut self) -> Option<Reset> {
        self.requested.take()
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
        *self = ResetControl { state: section.decode(VERSION)?, requested: None };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_rising_processor_bit_resets_and_srst_chooses_which() {
        let mut register = ResetControl::new();
        register.write(0x02);
        assert_eq!(register.take_reset(), None);
        register.write(0x06);
        assert_eq!(register.take_reset(), Some(Reset::Hard));
        register.write(0x06);
        assert_eq!(register.take_reset(), None);
        register.write(0x00);
        register.write(0x04);
        assert_eq!(register.take_reset(), Some(Reset::Soft));
    }
}
