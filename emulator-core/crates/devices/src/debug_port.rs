//! Two write-only ports for people who debug firmware and kernels: the AT board's POST code display, and the text
//! port of Bochs and QEMU ("port E9 hack"). Both are recorded, bounded, for the host to show.

use platform::{RestoreError, Section};
use serde::{Deserialize, Serialize};

/// POST codes remembered; older ones are forgotten.
pub const POST_CODES: usize = 256;
/// Bytes of text kept until the host takes them; further bytes are dropped.
pub const TEXT_BYTES: usize = 64 * 1024;

/// What the text port reads as, so that a guest can tell it is there.
const TEXT_PORT_PRESENT: u8 = 0xe9;

const SECTION: &str = "debug_port";
const VERSION: u16 = 1;

/// Both ports.
#[derive(Clone, Debug, Default)]
pub struct DebugPort {
    state: State,
    text: Vec<u8>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    post_codes: Vec<u8>,
}

impl DebugPort {
    /// Nothing recorded.
    #[must_use]
    pub fn new() -> DebugPort {
        DebugPort::default()
    }

    /// Keeps what was recorded: after a reset it is what one wants to see.
    pub fn reset(&mut self) {}

    /// Records a POST code. Linux writes here only to pass time, so a repeated code is recorded once.
    pub fn write_post(&mut self, code: u8) {
        let codes = &mut self.state.post_codes;
        if codes.last() == Some(&code) {
            return;
        }
        if codes.len() == POST_CODES {
            codes.remove(0);
        }
        codes.push(code);
    }

    /// The codes written, oldest first.
    #[must_use]
    pub fn post_codes(&self) -> &[u8] {
        &self.state.post_codes
    }

    /// Reads the text port.
    #[must_use]
    pub fn read_text(&self) -> u8 {
        TEXT_PORT_PRESENT
    }

    /// Records one byte of text.
    pub fn write_text(&mut self, byte: u8) {
        if self.text.len() < TEXT_BYTES {
            self.text.push(byte);
        }
    }

    /// The text written since the last call.
    pub fn take_text(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    /// Writes the state; text not yet taken belongs to the host and is not part of it.
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
        if state.post_codes.len() > POST_CODES {
            return Err(section.damaged());
        }
        *self = DebugPort { state, text: Vec::new() };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn post_codes_are_kept_in_order_and_bounded() {
        let mut port = DebugPort::new();
        for code in 0..1000u32 {
            port.write_post(code as u8);
            port.write_post(code as u8);
        }
        assert_eq!(port.post_codes().len(), POST_CODES);
        assert_eq!(port.post_codes().last(), Some(&(999u32 as u8)));
    }

    #[test]
    fn text_is_taken_once_and_bounded() {
        let mut port = DebugPort::new();
        b"ok".iter().for_each(|&byte| port.write_text(byte));
        assert_eq!(port.take_text(), b"ok");
        (0..TEXT_BYTES + 1).for_each(|_| port.write_text(b'x'));
        assert_eq!(port.take_text().len(), TEXT_BYTES);
    }
}
