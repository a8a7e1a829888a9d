//! The 8237A DMA controller (Intel data sheet, order 231466), its register file only: drivers that program a channel
//! find what they wrote.
//!
//! Deliberately missing: transfers. No device on the board requests any, so no channel ever reaches terminal count.

use platform::{RestoreError, Section};
use serde::{Deserialize, Serialize};

const CHANNELS: usize = 4;

/// Registers above the eight address and count registers.
mod register {
    pub const STATUS_COMMAND: u8 = 0x8;
    pub const REQUEST: u8 = 0x9;
    pub const SINGLE_MASK: u8 = 0xa;
    pub const MODE: u8 = 0xb;
    pub const CLEAR_FLIP_FLOP: u8 = 0xc;
    pub const MASTER_CLEAR: u8 = 0xd;
    pub const CLEAR_MASKS: u8 = 0xe;
    pub const ALL_MASKS: u8 = 0xf;
}

/// Bit 2 of the single mask and request registers sets, the low two bits choose the channel.
const SET_BIT: u8 = 1 << 2;
const ALL_CHANNELS: u8 = 0x0f;

const VERSION: u16 = 1;

/// The chip.
#[derive(Clone, Debug)]
pub struct I8237 {
    name: &'static str,
    state: State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    addresses: [u16; CHANNELS],
    counts: [u16; CHANNELS],
    modes: [u8; CHANNELS],
    command: u8,
    requests: u8,
    masks: u8,
    /// The next address or count byte is the high one.
    high_byte: bool,
}

impl I8237 {
    /// `name` is the name of its snapshot section, unique on a board (`"i8237.0"`). All channels are masked.
    #[must_use]
    pub fn new(name: &'static str) -> I8237 {
        let state = State {
            addresses: [0; CHANNELS],
            counts: [0; CHANNELS],
            modes: [0; CHANNELS],
            command: 0,
            requests: 0,
            masks: ALL_CHANNELS,
            high_byte: false,
        };
        I8237 { name, state }
    }

    /// Back to the state of [`I8237::new`].
    pub fn reset(&mut self) {
        *self = I8237::new(self.name);
    }

    /// Reads register 0 to 15.
    pub fn read(&mut self, register: u8) -> u8 {
        if let Some(word) = self.state.channel_word(register) {
            let bytes = word.to_le_bytes();
            let high = self.state.flip();
            return bytes[usize::from(high)];
        }
        match register {
            // Requests show in the upper half; no channel has reached terminal count.
            register::STATUS_COMMAND => self.state.requests << 4,
            register::MASTER_CLEAR => 0,
            register::ALL_MASKS => self.state.masks | 0xf0,
            _ => 0xff,
        }
    }

    /// Writes register 0 to 15.
    pub fn write(&mut self, register: u8, value: u8) {
        if let Some(word) = self.state.channel_word(register) {
            let mut bytes = word.to_le_bytes();
            let high = self.state.flip();
            bytes[usize::from(high)] = value;
            self.state.set_channel_word(register, u16::from_le_bytes(bytes));
            return;
        }
        let state = &mut self.state;
        let channel = usize::from(value & 3);
        let with_bit = |bits: u8| if value & SET_BIT != 0 { bits | 1 << channel } else { bits & !(1 << channel) };
        match register {
            register::STATUS_COMMAND => state.command = value,
            register::REQUEST => state.requests = with_bit(state.requests),
            register::SINGLE_MASK => state.masks = with_bit(state.masks),
            register::MODE => state.modes[channel] = value & !3,
            register::CLEAR_FLIP_FLOP => state.high_byte = false,
            register::MASTER_CLEAR => {
                state.command = 0;
                state.requests = 0;
                state.high_byte = false;
                state.masks = ALL_CHANNELS;
            }
            register::CLEAR_MASKS => state.masks = 0,
            register::ALL_MASKS => state.masks = value & ALL_CHANNELS,
            _ => {}
        }
    }

    /// Writes the state.
    #[must_use]
    pub fn save(&self) -> Section {
        Section::encode(self.name, VERSION, &self.state)
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The section is of another version or malformed.
    pub fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
        let state: State = section.decode(VERSION)?;
        if (state.masks | state.requests) & !ALL_CHANNELS != 0 {
            return Err(section.damaged());
        }
        self.state = state;
        Ok(())
    }
}

impl State {
    /// Address (even) or count (odd) register of a channel.
    fn channel_word(&self, register: u8) -> Option<u16> {
        let words = if register & 1 == 0 { &self.addresses } else { &self.counts };
        words.get(usize::from(register / 2)).copied()
    }

    fn set_channel_word(&mut self, register: u8, word: u16) {
        let words = if register & 1 == 0 { &mut self.addresses } else { &mut self.counts };
        if let Some(place) = words.get_mut(usize::from(register / 2)) {
            *place = word;
        }
    }

    /// Turns the first/last flip-flop; answers what it was.
    fn flip(&mut self) -> bool {
        self.high_byte = !self.high_byte;
        !self.high_byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_counts_are_written_and_read_low_byte_first() {
        let mut dma = I8237::new("i8237.0");
        dma.write(0xc, 0);
        for register in 0..8 {
            dma.write(register, 0x10 + register);
            dma.write(register, 0xa0 + register);
        }
        for register in 0..8 {
            assert_eq!((dma.read(register), dma.read(register)), (0x10 + register, 0xa0 + register));
        }
    }

    #[test]
    fn master_clear_masks_every_channel() {
        let mut dma = I8237::new("i8237.0");
        assert_eq!(dma.read(0xf) & 0xf, 0xf);
        dma.write(0xe, 0);
        assert_eq!(dma.read(0xf) & 0xf, 0x0);
        dma.write(0xa, 0x06);
        assert_eq!(dma.read(0xf) & 0xf, 0x4);
        dma.write(0x9, 0x05);
        assert_eq!(dma.read(0x8), 0x20);
        dma.write(0xd, 0);
        assert_eq!((dma.read(0xf) & 0xf, dma.read(0x8)), (0xf, 0));
    }

    #[test]
    fn every_register_takes_every_byte() {
        let mut dma = I8237::new("i8237.1");
        for register in 0..=255 {
            for value in 0..=255 {
                dma.write(register, value);
                dma.read(register);
            }
        }
        let mut twin = I8237::new("i8237.1");
        twin.restore(&dma.save()).unwrap();
        assert_eq!(twin.save(), dma.save());
    }
}
