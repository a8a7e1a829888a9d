//! The DMA page registers of the AT board (a 74LS612 memory mapper): sixteen bytes of address bits 16 to 23, one for
//! each DMA channel and some spare (IBM PC/AT Technical Reference, "DMA Page Register Addresses").
//!
//! Deliberately missing: anything that uses them; see [`crate::i8237`].

use platform::{RestoreError, Section};
use serde::{Deserialize, Serialize};

const SECTION: &str = "ls612";
const VERSION: u16 = 1;

/// The register file.
#[derive(Clone, Debug, Default)]
pub struct Ls612 {
    state: State,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    pages: [u8; 16],
}

impl Ls612 {
    /// All registers zero.
    #[must_use]
    pub fn new() -> Ls612 {
        Ls612::default()
    }

    /// Back to the state of [`Ls612::new`].
    pub fn reset(&mut self) {
        self.state = State::default();
    }

    /// Reads a register; only the low four bits of `register` are decoded.
    #[must_use]
    pub fn read(&self, register: u8) -> u8 {
        self.state.pages[usize::from(register & 15)]
    }

    /// Writes a register.
    pub fn write(&mut self, register: u8, value: u8) {
        self.state.pages[usize::from(register & 15)] = value;
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
        self.state = section.decode(VERSION)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_register_holds_its_own_byte() {
        let mut pages = Ls612::new();
        (0..16).for_each(|register| pages.write(register, 0xa0 + register));
        assert!((0..16).all(|register| pages.read(register) == 0xa0 + register));
    }
}
