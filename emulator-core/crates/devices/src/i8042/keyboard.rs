//! A 101-key keyboard (IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-Key)").
//!
//! Deliberately missing: typematic repeat (the host's own keyboard repeats), scan code sets 1 and 3 (accepted and
//! reported, but keys keep sending set 2), per-key modes of set 3.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Bytes that may wait to be sent; a key that does not fit is not accepted.
const QUEUE_BYTES: usize = 256;
/// Answers always fit beside the keys.
const ANSWER_BYTES: usize = 16;

const ACKNOWLEDGE: u8 = 0xfa;
const RESEND: u8 = 0xfe;
const SELF_TEST_PASSED: u8 = 0xaa;
const ECHO: u8 = 0xee;
const IDENTITY: [u8; 2] = [0xab, 0x83];

mod command {
    pub const SET_LEDS: u8 = 0xed;
    pub const ECHO: u8 = 0xee;
    pub const SCAN_CODE_SET: u8 = 0xf0;
    pub const IDENTIFY: u8 = 0xf2;
    pub const SET_TYPEMATIC: u8 = 0xf3;
    pub const ENABLE: u8 = 0xf4;
    pub const DISABLE: u8 = 0xf5;
    pub const SET_DEFAULT: u8 = 0xf6;
    /// 0xf7 to 0xfa change all keys of set 3; 0xfb to 0xfd one key each.
    pub const SET_3_ALL_KEYS: u8 = 0xf7;
    pub const SET_3_LAST: u8 = 0xfd;
    pub const RESEND: u8 = 0xfe;
    pub const RESET: u8 = 0xff;
}

/// The keyboard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Keyboard {
    enabled: bool,
    scan_code_set: u8,
    leds: u8,
    /// A command whose option byte is still to come.
    awaiting: Option<u8>,
    last_sent: u8,
    output: VecDeque<u8>,
}

impl Keyboard {
    pub(super) fn new() -> Keyboard {
        Keyboard { enabled: true, scan_code_set: 2, leds: 0, awaiting: None, last_sent: 0, output: VecDeque::new() }
    }

    pub(super) fn is_valid(&self) -> bool {
        self.output.len() <= QUEUE_BYTES + ANSWER_BYTES && (1..=3).contains(&self.scan_code_set)
    }

    pub(super) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    pub(super) fn take_output(&mut self) -> Option<u8> {
        let byte = self.output.pop_front()?;
        self.last_sent = byte;
        Some(byte)
    }

    /// Keys pressed while scanning is disabled are lost, as on the desk.
    pub(super) fn push_keys(&mut self, bytes: &[u8]) -> usize {
        if !self.enabled {
            return bytes.len();
        }
        let accepted = bytes.len().min(QUEUE_BYTES.saturating_sub(self.output.len()));
        self.output.extend(&bytes[..accepted]);
        accepted
    }

    /// A byte from the system.
    pub(super) fn write(&mut self, byte: u8) {
        // No option has the top bits of a command; a command in its place cancels the one before.
        match self.awaiting.take() {
            Some(command) if byte < command::SET_LEDS => self.option(command, byte),
            _ => self.command(byte),
        }
    }

    fn answer(&mut self, bytes: &[u8]) {
        if self.output.len() + bytes.len() <= QUEUE_BYTES + ANSWER_BYTES {
            self.output.extend(bytes);
        }
    }

    fn set_default(&mut self, enabled: bool) {
        let (leds, last_sent) = (self.leds, self.last_sent);
        *self = Keyboard { enabled, leds, last_sent, ..Keyboard::new() };
    }

    fn command(&mut self, byte: u8) {
        match byte {
            command::SET_LEDS | command::SCAN_CODE_SET | command::SET_TYPEMATIC => {
                self.awaiting = Some(byte);
                self.answer(&[ACKNOWLEDGE]);
            }
            command::ECHO => self.answer(&[ECHO]),
            command::IDENTIFY => self.answer(&[ACKNOWLEDGE, IDENTITY[0], IDENTITY[1]]),
            command::ENABLE => {
                self.enabled = true;
                self.output.clear();
                self.answer(&[ACKNOWLEDGE]);
            }
            command::DISABLE => {
                self.set_default(false);
                self.answer(&[ACKNOWLEDGE]);
            }
            command::SET_DEFAULT => {
                self.set_default(self.enabled);
                self.answer(&[ACKNOWLEDGE]);
            }
            command::SET_3_ALL_KEYS..=command::SET_3_LAST => self.answer(&[ACKNOWLEDGE]),
            command::RESEND => self.answer(&[self.last_sent]),
            command::RESET => {
                *self = Keyboard::new();
                self.answer(&[ACKNOWLEDGE, SELF_TEST_PASSED]);
            }
            _ => self.answer(&[RESEND]),
        }
    }

    fn option(&mut self, command: u8, byte: u8) {
        match (command, byte) {
            (command::SET_LEDS, _) => self.leds = byte & 7,
            (command::SCAN_CODE_SET, 0) => {
                self.answer(&[ACKNOWLEDGE, self.scan_code_set]);
                return;
            }
            (command::SCAN_CODE_SET, 1..=3) => self.scan_code_set = byte,
            (command::SCAN_CODE_SET, _) => {
                self.answer(&[RESEND]);
                return;
            }
            _ => {}
        }
        self.answer(&[ACKNOWLEDGE]);
    }
}
