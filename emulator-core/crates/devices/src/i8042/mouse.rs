//! A PS/2 mouse with a wheel (IBM PS/2 Hardware Interface Technical Reference, "Mouse"; Microsoft's IntelliMouse adds
//! the wheel, which software switches on by setting the sample rates 200, 100 and 80 one after another).
//!
//! Deliberately missing: the sampling rate as a limit (a report is sent whenever the host has one), 2:1 scaling and the
//! resolution as anything but remembered settings.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Bytes that may wait to be sent; movement beyond them adds up until there is room.
const QUEUE_BYTES: usize = 64;

const ACKNOWLEDGE: u8 = 0xfa;
const RESEND: u8 = 0xfe;
const SELF_TEST_PASSED: u8 = 0xaa;
const PLAIN_MOUSE: u8 = 0x00;
const WHEEL_MOUSE: u8 = 0x03;
const WHEEL_KNOCK: [u8; 3] = [200, 100, 80];

mod command {
    pub const SCALING_1_TO_1: u8 = 0xe6;
    pub const SCALING_2_TO_1: u8 = 0xe7;
    pub const SET_RESOLUTION: u8 = 0xe8;
    pub const STATUS: u8 = 0xe9;
    pub const STREAM_MODE: u8 = 0xea;
    pub const READ_DATA: u8 = 0xeb;
    pub const RESET_WRAP: u8 = 0xec;
    pub const SET_WRAP: u8 = 0xee;
    pub const REMOTE_MODE: u8 = 0xf0;
    pub const IDENTIFY: u8 = 0xf2;
    pub const SET_SAMPLE_RATE: u8 = 0xf3;
    pub const ENABLE: u8 = 0xf4;
    pub const DISABLE: u8 = 0xf5;
    pub const SET_DEFAULT: u8 = 0xf6;
    pub const RESEND: u8 = 0xfe;
    pub const RESET: u8 = 0xff;
}

/// What the mouse saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MouseEvent {
    /// Movement to the right, in counts.
    pub dx: i32,
    /// Movement away from the user (up), in counts.
    pub dy: i32,
    /// Wheel movement towards the user, in detents.
    pub dz: i32,
    /// Buttons held down: bit 0 left, bit 1 right, bit 2 middle.
    pub buttons: u8,
}

/// The mouse.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Mouse {
    enabled: bool,
    remote: bool,
    wrap: bool,
    scaling_2_to_1: bool,
    resolution: u8,
    sample_rate: u8,
    has_wheel: bool,
    /// The last three sample rates, for the knock that switches the wheel on.
    rates: [u8; 3],
    awaiting: Option<u8>,
    last_sent: u8,
    buttons: u8,
    /// Movement not reported yet.
    moved: [i32; 3],
    /// Buttons or movement changed since the last report.
    changed: bool,
    output: VecDeque<u8>,
}

impl Mouse {
    pub(super) fn new() -> Mouse {
        Mouse {
            enabled: false,
            remote: false,
            wrap: false,
            scaling_2_to_1: false,
            resolution: 2,
            sample_rate: 100,
            has_wheel: false,
            rates: [0; 3],
            awaiting: None,
            last_sent: 0,
            buttons: 0,
            moved: [0; 3],
            changed: false,
            output: VecDeque::new(),
        }
    }

    pub(super) fn is_valid(&self) -> bool {
        self.output.len() <= QUEUE_BYTES && self.buttons <= 7
    }

    pub(super) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    pub(super) fn take_output(&mut self) -> Option<u8> {
        let byte = self.output.pop_front()?;
        self.last_sent = byte;
        self.report_changes();
        Some(byte)
    }

    pub(super) fn push(&mut self, event: MouseEvent) {
        let buttons = event.buttons & 7;
        let movement = [event.dx, event.dy, event.dz];
        self.changed |= buttons != self.buttons || movement != [0; 3];
        self.buttons = buttons;
        for (sum, step) in self.moved.iter_mut().zip(movement) {
            *sum = sum.saturating_add(step);
        }
        self.report_changes();
    }

    /// Streams reports while something is left to tell and a whole report has room.
    fn report_changes(&mut self) {
        let streams = self.enabled && !self.remote && !self.wrap;
        while streams && self.changed && self.output.len() + 4 <= QUEUE_BYTES {
            self.report();
            self.changed = self.moved != [0; 3];
        }
    }

    /// One data report (figure "Data Report"): nine-bit movement, the top bits in the first byte.
    fn report(&mut self) {
        let [x, y] = [0, 1].map(|axis: usize| {
            let step = self.moved[axis].clamp(-256, 255);
            self.moved[axis] -= step;
            step
        });
        let negative = |step: i32, bit: u8| if step < 0 { bit } else { 0 };
        let first = 1 << 3 | self.buttons | negative(x, 1 << 4) | negative(y, 1 << 5);
        self.output.extend([first, x as u8, y as u8]);
        let wheel = self.moved[2].clamp(-8, 7);
        if self.has_wheel {
            self.moved[2] -= wheel;
            self.output.push_back(wheel as u8);
        } else {
            self.moved[2] = 0;
        }
    }

    fn answer(&mut self, bytes: &[u8]) {
        if self.output.len() + bytes.len() <= QUEUE_BYTES {
            self.output.extend(bytes);
        }
    }

    /// A byte from the system.
    pub(super) fn write(&mut self, byte: u8) {
        if self.wrap && !matches!(byte, command::RESET | command::RESET_WRAP) {
            self.answer(&[byte]);
            return;
        }
        match self.awaiting.take() {
            Some(command) => self.option(command, byte),
            None => self.command(byte),
        }
    }

    fn command(&mut self, byte: u8) {
        if byte == command::RESEND {
            self.answer(&[self.last_sent]);
            return;
        }
        let known = matches!(
            byte,
            command::SCALING_1_TO_1..=command::SET_WRAP
                | command::REMOTE_MODE..=command::SET_DEFAULT
                | command::RESET
        );
        if !known {
            self.answer(&[RESEND]);
            return;
        }
        // A command ends what was being sent.
        self.output.clear();
        self.answer(&[ACKNOWLEDGE]);
        match byte {
            command::SCALING_1_TO_1 => self.scaling_2_to_1 = false,
            command::SCALING_2_TO_1 => self.scaling_2_to_1 = true,
            command::SET_RESOLUTION | command::SET_SAMPLE_RATE => self.awaiting = Some(byte),
            command::STATUS => self.answer(&[self.status(), self.resolution, self.sample_rate]),
            command::STREAM_MODE => self.remote = false,
            command::READ_DATA => self.report(),
            command::RESET_WRAP => self.wrap = false,
            command::SET_WRAP => self.wrap = true,
            command::REMOTE_MODE => self.remote = true,
            command::IDENTIFY => self.answer(&[self.identity()]),
            command::ENABLE => {
                self.forget_movement();
                self.enabled = true;
            }
            command::DISABLE => self.enabled = false,
            command::SET_DEFAULT => self.set_default(),
            command::RESET => {
                self.set_default();
                self.has_wheel = false;
                self.answer(&[SELF_TEST_PASSED, self.identity()]);
            }
            _ => {}
        }
    }

    fn option(&mut self, command: u8, byte: u8) {
        self.output.clear();
        self.answer(&[ACKNOWLEDGE]);
        if command == command::SET_RESOLUTION {
            self.resolution = byte & 3;
            return;
        }
        self.sample_rate = byte;
        self.rates = [self.rates[1], self.rates[2], byte];
        self.has_wheel |= self.rates == WHEEL_KNOCK;
    }

    /// Defaults keep the wheel and the buttons; the acknowledgement on its way stays.
    fn set_default(&mut self) {
        let output = std::mem::take(&mut self.output);
        let (has_wheel, buttons, last_sent) = (self.has_wheel, self.buttons, self.last_sent);
        *self = Mouse { has_wheel, buttons, last_sent, output, ..Mouse::new() };
    }

    fn forget_movement(&mut self) {
        self.moved = [0; 3];
        self.changed = false;
    }

    fn identity(&self) -> u8 {
        if self.has_wheel { WHEEL_MOUSE } else { PLAIN_MOUSE }
    }

    fn status(&self) -> u8 {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        // Here the order is left, middle, right from the top, unlike in a report.
        let [left, right, middle] = [0, 1, 2].map(|button| self.buttons >> button & 1);
        let buttons = left << 2 | middle << 1 | right;
        flag(self.remote, 1 << 6) | flag(self.enabled, 1 << 5) | flag(self.scaling_2_to_1, 1 << 4) | buttons
    }
}
