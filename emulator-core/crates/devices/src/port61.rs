//! NMI status and control port of the AT board: speaker, timer channel 2 and the refresh toggle
//! (Intel 82371SB (PIIX3) data sheet, 2.5.5.1 "NMISC").
//!
//! Deliberately missing: SERR# and IOCHK# sources (their status bits read 0), the sound itself.

use platform::{Nanos, RestoreError, Section};
use serde::{Deserialize, Serialize};

const TIMER2_GATE: u8 = 1 << 0;
const SPEAKER_DATA: u8 = 1 << 1;
const SERR_DISABLE: u8 = 1 << 2;
const IOCHK_DISABLE: u8 = 1 << 3;
const REFRESH_TOGGLE: u8 = 1 << 4;
const TIMER2_OUT: u8 = 1 << 5;
const WRITABLE: u8 = TIMER2_GATE | SPEAKER_DATA | SERR_DISABLE | IOCHK_DISABLE;

/// Memory is refreshed every 18 ticks of the 1.193182 MHz timer clock; each refresh flips the toggle.
const REFRESH_NANOS: Nanos = 15_085;

const SECTION: &str = "port61";
const VERSION: u16 = 1;

/// The port.
#[derive(Clone, Debug, Default)]
pub struct Port61 {
    state: State,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    value: u8,
}

impl Port61 {
    /// Speaker off, timer gate closed.
    #[must_use]
    pub fn new() -> Port61 {
        Port61::default()
    }

    /// Back to the state of [`Port61::new`].
    pub fn reset(&mut self) {
        self.state = State::default();
    }

    /// Reads the port; `timer2_out` is the level of the timer's channel 2 at `now`.
    #[must_use]
    pub fn read(&self, timer2_out: bool, now: Nanos) -> u8 {
        let toggle = if now / REFRESH_NANOS % 2 == 1 { REFRESH_TOGGLE } else { 0 };
        let out = if timer2_out { TIMER2_OUT } else { 0 };
        self.state.value | toggle | out
    }

    /// Sets the gate and speaker bits; afterwards the board passes [`Port61::timer2_gate`] on to the timer.
    pub fn write(&mut self, value: u8) {
        self.state.value = value & WRITABLE;
    }

    /// Gate input of the timer's channel 2.
    #[must_use]
    pub fn timer2_gate(&self) -> bool {
        self.state.value & TIMER2_GATE != 0
    }

    /// Whether the timer's output reaches the speaker.
    #[must_use]
    pub fn speaker_enabled(&self) -> bool {
        self.state.value & SPEAKER_DATA != 0
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
        self.state = State { value: state.value & WRITABLE };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refresh_toggle_flips_about_every_fifteen_microseconds() {
        let port = Port61::new();
        let flips = (1..1000).filter(|us| port.read(false, us * 1000) != port.read(false, (us - 1) * 1000)).count();
        assert_eq!(flips, 999 / 15);
    }

    #[test]
    fn status_bits_cannot_be_written_and_timer_output_is_bit_five() {
        let mut port = Port61::new();
        port.write(0xff);
        assert_eq!(port.read(false, 0), 0x0f);
        assert_eq!(port.read(true, 0), 0x2f);
        assert!(port.timer2_gate() && port.speaker_enabled());
    }
}
