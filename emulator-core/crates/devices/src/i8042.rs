//! The 8042 keyboard controller with a keyboard and a wheel mouse attached.
//!
//! SKELETON: the interface is final, the behaviour follows.

#![allow(unused_variables)]

use platform::{Nanos, RestoreError, Section};

/// What the mouse saw since the last report.
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

/// The 8042 keyboard controller with a keyboard and a wheel mouse attached.
#[derive(Clone, Debug)]
pub struct I8042 {}

impl I8042 {
    /// `a20_open` is the state of the A20 gate after power-on.
    pub fn new(a20_open: bool) -> I8042 {
        I8042 {}
    }

    /// Power-on reset of controller, keyboard and mouse.
    pub fn reset(&mut self, a20_open: bool) {}

    /// Reads the output buffer.
    pub fn read_data(&mut self, now: Nanos) -> u8 {
        0xff
    }

    /// Reads the status register.
    pub fn read_status(&mut self, now: Nanos) -> u8 {
        0xff
    }

    /// Writes the data register.
    pub fn write_data(&mut self, value: u8, now: Nanos) {}

    /// Writes the command register.
    pub fn write_command(&mut self, value: u8, now: Nanos) {}

    /// Level of the keyboard interrupt pin.
    pub fn keyboard_irq(&self) -> bool {
        false
    }

    /// Level of the mouse interrupt pin.
    pub fn mouse_irq(&self) -> bool {
        false
    }

    /// Whether the controller lets address line 20 through.
    pub fn a20_gate(&self) -> bool {
        true
    }

    /// True once after software pulsed the processor's reset.
    pub fn take_reset(&mut self) -> bool {
        false
    }

    /// Key make/break bytes in scancode set 2; answers how many were accepted.
    pub fn push_key_bytes(&mut self, bytes: &[u8], now: Nanos) -> usize {
        bytes.len()
    }

    /// Mouse movement and buttons.
    pub fn push_mouse(&mut self, event: MouseEvent, now: Nanos) {}

    /// Guest time at which outputs change by themselves.
    pub fn next_deadline(&self) -> Option<Nanos> {
        None
    }

    /// Brings the chip up to `now`.
    pub fn advance(&mut self, now: Nanos) {}

    /// Writes the state.
    #[must_use]
    pub fn save(&self) -> Section {
        Section::encode("skeleton", 1, &0u8)
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The section is of another version or malformed.
    pub fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
        section.decode::<u8>(1).map(|_| ())
    }
}
