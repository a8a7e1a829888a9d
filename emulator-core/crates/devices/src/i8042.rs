//! The 8042 keyboard controller of the AT and PS/2 boards with a keyboard and a wheel mouse attached (IBM PS/2 Hardware
//! Interface Technical Reference, "Keyboard and Auxiliary Device Controller").
//!
//! The controller answers its own commands at once. Bytes of the attached devices take [`BYTE_NANOS`] each, so that
//! the interrupt pins fall between two bytes as an edge-triggered interrupt controller needs.
//!
//! Deliberately missing: the password, the test inputs, parity and time-out errors, the four-port multiplexer.

mod keyboard;
mod mouse;
mod translation;

use keyboard::Keyboard;
use mouse::Mouse;
pub use mouse::MouseEvent;
use platform::{Nanos, RestoreError, Section};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use translation::Translator;

/// Time a device takes for one byte: a tenth of what the 10 kHz wire takes, long enough for every driver.
pub const BYTE_NANOS: Nanos = 100_000;
/// Replies of the controller itself that may wait.
const REPLIES: usize = 16;
const RAM_BYTES: usize = 32;

/// Status register.
mod status {
    pub const OUTPUT_FULL: u8 = 1 << 0;
    pub const SYSTEM: u8 = 1 << 2;
    pub const COMMAND: u8 = 1 << 3;
    pub const UNLOCKED: u8 = 1 << 4;
    pub const MOUSE_DATA: u8 = 1 << 5;
}

/// The command byte, RAM byte 0.
mod mode {
    pub const KEYBOARD_INTERRUPT: u8 = 1 << 0;
    pub const MOUSE_INTERRUPT: u8 = 1 << 1;
    pub const SYSTEM: u8 = 1 << 2;
    pub const KEYBOARD_DISABLED: u8 = 1 << 4;
    pub const MOUSE_DISABLED: u8 = 1 << 5;
    pub const TRANSLATE: u8 = 1 << 6;
    /// What firmware leaves behind: keyboard interrupts and translation on.
    pub const POWER_ON: u8 = KEYBOARD_INTERRUPT | SYSTEM | TRANSLATE;
}

mod command {
    pub const READ_RAM: u8 = 0x20;
    pub const READ_RAM_LAST: u8 = 0x3f;
    pub const WRITE_RAM: u8 = 0x60;
    pub const WRITE_RAM_LAST: u8 = 0x7f;
    pub const TEST_PASSWORD: u8 = 0xa4;
    pub const DISABLE_MOUSE: u8 = 0xa7;
    pub const ENABLE_MOUSE: u8 = 0xa8;
    pub const TEST_MOUSE_PORT: u8 = 0xa9;
    pub const SELF_TEST: u8 = 0xaa;
    pub const TEST_KEYBOARD_PORT: u8 = 0xab;
    pub const DISABLE_KEYBOARD: u8 = 0xad;
    pub const ENABLE_KEYBOARD: u8 = 0xae;
    pub const READ_INPUT_PORT: u8 = 0xc0;
    pub const READ_OUTPUT_PORT: u8 = 0xd0;
    pub const WRITE_OUTPUT_PORT: u8 = 0xd1;
    pub const WRITE_KEYBOARD_BUFFER: u8 = 0xd2;
    pub const WRITE_MOUSE_BUFFER: u8 = 0xd3;
    pub const WRITE_MOUSE: u8 = 0xd4;
    pub const CLOSE_A20: u8 = 0xdd;
    pub const OPEN_A20: u8 = 0xdf;
    /// 0xf0 to 0xff pulse the low output port bits that are zero in the command.
    pub const PULSE: u8 = 0xf0;
}

const SELF_TEST_PASSED: u8 = 0x55;
const PORT_TEST_PASSED: u8 = 0x00;
const NO_PASSWORD: u8 = 0xf1;
/// Keyboard not inhibited.
const INPUT_PORT: u8 = 0x80;
/// Output port: bit 0 is the processor's reset (active low), bit 1 the A20 gate, bits 4 and 5 the interrupts, the others
/// clock and data lines of keyboard and mouse, high while idle.
const OUTPUT_NOT_RESET: u8 = 1 << 0;
const OUTPUT_A20: u8 = 1 << 1;
const OUTPUT_KEYBOARD_FULL: u8 = 1 << 4;
const OUTPUT_MOUSE_FULL: u8 = 1 << 5;
const OUTPUT_IDLE: u8 = 0xcc;

const SECTION: &str = "i8042";
const VERSION: u16 = 1;

/// Who a byte comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Source {
    Keyboard,
    Mouse,
}

/// The controller and its devices.
#[derive(Clone, Debug)]
pub struct I8042 {
    state: State,
    reset_requested: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    ram: [u8; RAM_BYTES],
    last_write_was_command: bool,
    /// A command whose data byte is still to come.
    awaiting: Option<u8>,
    a20: bool,
    /// The output buffer, and whose byte it holds while full.
    output: u8,
    full: Option<Source>,
    replies: VecDeque<(u8, Source)>,
    /// No device byte arrives earlier.
    next_byte: Nanos,
    translator: Translator,
    keyboard: Keyboard,
    mouse: Mouse,
}

impl I8042 {
    /// `a20_open` is the state of the A20 gate after power-on.
    #[must_use]
    pub fn new(a20_open: bool) -> I8042 {
        let mut ram = [0; RAM_BYTES];
        ram[0] = mode::POWER_ON;
        let state = State {
            ram,
            last_write_was_command: false,
            awaiting: None,
            a20: a20_open,
            output: 0,
            full: None,
            replies: VecDeque::new(),
            next_byte: 0,
            translator: Translator::default(),
            keyboard: Keyboard::new(),
            mouse: Mouse::new(),
        };
        I8042 { state, reset_requested: false }
    }

    /// Power-on reset of controller, keyboard and mouse.
    pub fn reset(&mut self, a20_open: bool) {
        *self = I8042::new(a20_open);
    }

    /// Reads the output buffer; empty, it still holds the byte read last.
    pub fn read_data(&mut self, now: Nanos) -> u8 {
        self.advance(now);
        let byte = self.state.output;
        if self.state.full.take().is_some() {
            self.delay_next_byte(now);
            self.load_reply();
        }
        byte
    }

    /// Reads the status register.
    pub fn read_status(&mut self, now: Nanos) -> u8 {
        self.advance(now);
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        status::UNLOCKED
            | flag(self.mode() & mode::SYSTEM != 0, status::SYSTEM)
            | flag(self.state.last_write_was_command, status::COMMAND)
            | flag(self.state.full.is_some(), status::OUTPUT_FULL)
            | flag(self.state.full == Some(Source::Mouse), status::MOUSE_DATA)
    }

    /// Writes the data register: the data of a command, or a byte for the keyboard.
    pub fn write_data(&mut self, value: u8, now: Nanos) {
        self.advance(now);
        self.state.last_write_was_command = false;
        match self.state.awaiting.take() {
            Some(command) => self.finish_command(command, value, now),
            None => {
                // Talking to the keyboard switches its interface on.
                self.state.ram[0] &= !mode::KEYBOARD_DISABLED;
                self.state.keyboard.write(value);
                self.delay_next_byte(now);
            }
        }
        self.advance(now);
    }

    /// Writes the command register.
    pub fn write_command(&mut self, value: u8, now: Nanos) {
        self.advance(now);
        self.state.last_write_was_command = true;
        self.state.awaiting = None;
        match value {
            command::READ_RAM..=command::READ_RAM_LAST => self.reply(self.state.ram[usize::from(value & 31)]),
            command::WRITE_RAM..=command::WRITE_RAM_LAST
            | command::WRITE_OUTPUT_PORT
            | command::WRITE_KEYBOARD_BUFFER
            | command::WRITE_MOUSE_BUFFER
            | command::WRITE_MOUSE => self.state.awaiting = Some(value),
            command::TEST_PASSWORD => self.reply(NO_PASSWORD),
            command::DISABLE_MOUSE => self.state.ram[0] |= mode::MOUSE_DISABLED,
            command::ENABLE_MOUSE => self.state.ram[0] &= !mode::MOUSE_DISABLED,
            command::TEST_MOUSE_PORT | command::TEST_KEYBOARD_PORT => self.reply(PORT_TEST_PASSED),
            command::SELF_TEST => {
                self.state.ram[0] |= mode::SYSTEM;
                self.reply(SELF_TEST_PASSED);
            }
            command::DISABLE_KEYBOARD => self.state.ram[0] |= mode::KEYBOARD_DISABLED,
            command::ENABLE_KEYBOARD => self.state.ram[0] &= !mode::KEYBOARD_DISABLED,
            command::READ_INPUT_PORT => self.reply(INPUT_PORT),
            command::READ_OUTPUT_PORT => self.reply(self.output_port()),
            command::CLOSE_A20 => self.state.a20 = false,
            command::OPEN_A20 => self.state.a20 = true,
            command::PULSE.. => self.reset_requested |= value & OUTPUT_NOT_RESET == 0,
            _ => {}
        }
        self.advance(now);
    }

    fn finish_command(&mut self, command: u8, value: u8, now: Nanos) {
        match command {
            command::WRITE_RAM..=command::WRITE_RAM_LAST => self.state.ram[usize::from(command & 31)] = value,
            command::WRITE_OUTPUT_PORT => {
                self.state.a20 = value & OUTPUT_A20 != 0;
                self.reset_requested |= value & OUTPUT_NOT_RESET == 0;
            }
            command::WRITE_KEYBOARD_BUFFER => self.queue_reply(value, Source::Keyboard),
            command::WRITE_MOUSE_BUFFER => self.queue_reply(value, Source::Mouse),
            command::WRITE_MOUSE => {
                self.state.ram[0] &= !mode::MOUSE_DISABLED;
                self.state.mouse.write(value);
                self.delay_next_byte(now);
            }
            _ => {}
        }
    }

    /// Level of the keyboard interrupt pin.
    #[must_use]
    pub fn keyboard_irq(&self) -> bool {
        self.state.full == Some(Source::Keyboard) && self.mode() & mode::KEYBOARD_INTERRUPT != 0
    }

    /// Level of the mouse interrupt pin.
    #[must_use]
    pub fn mouse_irq(&self) -> bool {
        self.state.full == Some(Source::Mouse) && self.mode() & mode::MOUSE_INTERRUPT != 0
    }

    /// Whether the controller lets address line 20 through.
    #[must_use]
    pub fn a20_gate(&self) -> bool {
        self.state.a20
    }

    /// True once after software pulsed the processor's reset.
    pub fn take_reset(&mut self) -> bool {
        std::mem::take(&mut self.reset_requested)
    }

    /// Key make and break bytes in scan code set 2; answers how many were accepted. Push the rest again later.
    pub fn push_key_bytes(&mut self, bytes: &[u8], now: Nanos) -> usize {
        self.advance(now);
        let accepted = self.state.keyboard.push_keys(bytes);
        self.delay_next_byte(now);
        accepted
    }

    /// Mouse movement and buttons.
    pub fn push_mouse(&mut self, event: MouseEvent, now: Nanos) {
        self.advance(now);
        self.state.mouse.push(event);
        self.delay_next_byte(now);
    }

    /// When the next byte of a device arrives; never while the output buffer is full.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Nanos> {
        let waits = self.keyboard_may_send() || self.mouse_may_send();
        (self.state.full.is_none() && waits).then_some(self.state.next_byte)
    }

    /// Takes the next byte of a device into the output buffer once its time has come.
    pub fn advance(&mut self, now: Nanos) {
        if self.state.full.is_some() || now < self.state.next_byte {
            return;
        }
        if self.keyboard_may_send() {
            let Some(byte) = self.state.keyboard.take_output() else { return };
            let translates = self.mode() & mode::TRANSLATE != 0;
            let byte = if translates { self.state.translator.translate(byte) } else { Some(byte) };
            match byte {
                Some(byte) => self.fill(byte, Source::Keyboard),
                // A break prefix shows only in the byte after it.
                None => self.delay_next_byte(now),
            }
        } else if self.mouse_may_send()
            && let Some(byte) = self.state.mouse.take_output()
        {
            self.fill(byte, Source::Mouse);
        }
    }

    fn mode(&self) -> u8 {
        self.state.ram[0]
    }

    fn keyboard_may_send(&self) -> bool {
        self.mode() & mode::KEYBOARD_DISABLED == 0 && self.state.keyboard.has_output()
    }

    fn mouse_may_send(&self) -> bool {
        self.mode() & mode::MOUSE_DISABLED == 0 && self.state.mouse.has_output()
    }

    fn delay_next_byte(&mut self, now: Nanos) {
        self.state.next_byte = self.state.next_byte.max(now.saturating_add(BYTE_NANOS));
    }

    fn fill(&mut self, byte: u8, source: Source) {
        self.state.output = byte;
        self.state.full = Some(source);
    }

    fn reply(&mut self, byte: u8) {
        self.queue_reply(byte, Source::Keyboard);
    }

    fn queue_reply(&mut self, byte: u8, source: Source) {
        if self.state.replies.len() < REPLIES {
            self.state.replies.push_back((byte, source));
        }
        self.load_reply();
    }

    fn load_reply(&mut self) {
        if self.state.full.is_none()
            && let Some((byte, source)) = self.state.replies.pop_front()
        {
            self.fill(byte, source);
        }
    }

    fn output_port(&self) -> u8 {
        let a20 = if self.state.a20 { OUTPUT_A20 } else { 0 };
        let full = match self.state.full {
            Some(Source::Keyboard) => OUTPUT_KEYBOARD_FULL,
            Some(Source::Mouse) => OUTPUT_MOUSE_FULL,
            None => 0,
        };
        OUTPUT_IDLE | OUTPUT_NOT_RESET | a20 | full
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
        if state.replies.len() > REPLIES || !state.keyboard.is_valid() || !state.mouse.is_valid() {
            return Err(section.damaged());
        }
        *self = I8042 { state, reset_requested: false };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
