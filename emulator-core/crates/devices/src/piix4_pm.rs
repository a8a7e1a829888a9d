//! The power management function of the 82371AB (PIIX4) south bridge (Intel data sheet, order 290562, chapter 7):
//! fixed ACPI events, the power management timer, soft off, general purpose events.
//!
//! Deliberately missing: the SMBus host (never enabled), device monitors, clock throttling, sleeping states other than
//! soft off. System management interrupts do not exist on this board: the APM control port stands in for the handler that
//! would turn ACPI mode on and off.

use crate::frequency::Frequency;
use crate::pci::{ConfigSpace, PciFunction, header};
use AccessSize::{Byte, Dword};
use platform::{AccessSize, Nanos, RestoreError, Section};
use serde::{Deserialize, Serialize};

/// Bytes of the power management register block.
pub const PM_BYTES: u16 = 64;
/// Written to APM control: turn ACPI mode on. For the FADT's ACPI_ENABLE.
pub const ACPI_ENABLE: u8 = 0xf1;
/// Written to APM control: turn ACPI mode off. For the FADT's ACPI_DISABLE.
pub const ACPI_DISABLE: u8 = 0xf0;

const TIMER: Frequency = Frequency::new(3_579_545);
const TIMER_BITS: u32 = 24;

/// Configuration registers: base address of the block, and its enable bit in "PM region miscellaneous".
const PM_BASE: u8 = 0x40;
const PM_BASE_MASK: u32 = 0xffc0;
const PM_REGION: u8 = 0x80;
const PM_REGION_ENABLED: u32 = 1 << 0;
/// "Device activity B": writes to the APM control port raise system management interrupts (APMC_EN). Firmware sets it when its handler is
/// in place, and waits for that handler; preset, it tells firmware that looks that nothing is left to do.
const DEVACTB: u8 = 0x58;
const APMC_EN: u32 = 1 << 25;

/// Registers of the block, by byte.
mod register {
    pub const STATUS: u16 = 0x00;
    pub const ENABLE: u16 = 0x02;
    pub const CONTROL: u16 = 0x04;
    pub const TIMER: u16 = 0x08;
    pub const TIMER_LAST: u16 = 0x0b;
    pub const GPE_STATUS: u16 = 0x0c;
    pub const GPE_ENABLE: u16 = 0x0e;
}

/// PMSTS; PMEN has its enable bits at the same places.
mod event {
    pub const TIMER_OVERFLOW: u16 = 1 << 0;
    pub const GLOBAL: u16 = 1 << 5;
    pub const POWER_BUTTON: u16 = 1 << 8;
    pub const RTC: u16 = 1 << 10;
    pub const RESUME: u16 = 1 << 15;
    pub const ENABLES: u16 = TIMER_OVERFLOW | GLOBAL | POWER_BUTTON | RTC;
    pub const STATUSES: u16 = ENABLES | RESUME;
}

/// PMCNTRL.
mod control {
    pub const SCI_ENABLE: u16 = 1 << 0;
    pub const BUS_MASTER_RELOAD: u16 = 1 << 1;
    pub const SUSPEND_TYPE: u16 = 7 << 10;
    pub const SUSPEND_ENABLE: u16 = 1 << 13;
    /// Suspend type 0 is soft off (82371AB, table 38).
    pub const SOFT_OFF: u16 = 0 << 10;
    pub const WRITABLE: u16 = SCI_ENABLE | BUS_MASTER_RELOAD | SUSPEND_TYPE;
}

const SECTION: &str = "piix4_pm";
const VERSION: u16 = 1;

/// The function.
#[derive(Clone, Debug)]
pub struct Piix4Pm {
    initial: (u16, bool),
    config: ConfigSpace,
    state: State,
    power_off: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    status: u16,
    enable: u16,
    control: u16,
    gpe_status: u16,
    gpe_enable: u16,
    apm: [u8; 2],
    /// Guest time up to which timer overflows are collected.
    seen: Nanos,
}

impl Piix4Pm {
    /// `io_base` is preset and enabled as firmware would; 0 leaves that to the guest. ACPI mode (SCI_EN) is on when
    /// `acpi_enabled`.
    #[must_use]
    pub fn new(io_base: u16, acpi_enabled: bool) -> Piix4Pm {
        let region = if io_base == 0 { 0 } else { PM_REGION_ENABLED };
        let config = ConfigSpace::new(0x8086, 0x7113, 0x03, 0x06_80_00)
            .with(header::STATUS, AccessSize::Word, 0x0280)
            .writable(header::COMMAND, AccessSize::Word, 0x0001)
            .with(header::INTERRUPT_PIN, Byte, 1)
            .writable(header::INTERRUPT_LINE, Byte, 0xff)
            .with(PM_BASE, Dword, u32::from(io_base) & PM_BASE_MASK | 1)
            .writable(PM_BASE, Dword, PM_BASE_MASK)
            .with(DEVACTB, Dword, APMC_EN)
            .with(PM_REGION, Byte, region)
            .writable(PM_REGION, Byte, PM_REGION_ENABLED);
        let control = if acpi_enabled { control::SCI_ENABLE } else { 0 };
        let state = State { control, ..State::default() };
        Piix4Pm { initial: (io_base, acpi_enabled), config, state, power_off: false }
    }

    /// Back to the state of [`Piix4Pm::new`].
    pub fn reset(&mut self) {
        let (io_base, acpi_enabled) = self.initial;
        *self = Piix4Pm::new(io_base, acpi_enabled);
    }

    /// Base port of the register block, while enabled.
    #[must_use]
    pub fn io_base(&self) -> Option<u16> {
        let base = (self.config.read(PM_BASE, Dword) & PM_BASE_MASK) as u16;
        let enabled = self.config.read(PM_REGION, Byte) & PM_REGION_ENABLED != 0;
        (enabled && base != 0).then_some(base)
    }

    /// Reads the register block.
    pub fn read(&mut self, offset: u16, size: AccessSize, now: Nanos) -> u32 {
        self.advance(now);
        let lanes = (0..size.bytes().min(4) as u16).rev();
        lanes.fold(0, |value, lane| value << 8 | u32::from(self.read_byte(offset.saturating_add(lane), now)))
    }

    fn read_byte(&self, offset: u16, now: Nanos) -> u8 {
        let state = &self.state;
        let word = match offset & !1 {
            register::STATUS => state.status,
            register::ENABLE => state.enable,
            register::CONTROL => state.control,
            register::GPE_STATUS => state.gpe_status,
            register::GPE_ENABLE => state.gpe_enable,
            register::TIMER..=register::TIMER_LAST => {
                let ticks = TIMER.ticks(now) as u32 & ((1 << TIMER_BITS) - 1);
                return ticks.to_le_bytes()[usize::from(offset & 3)];
            }
            _ => 0,
        };
        word.to_le_bytes()[usize::from(offset & 1)]
    }

    /// Writes the register block.
    pub fn write(&mut self, offset: u16, size: AccessSize, value: u32, now: Nanos) {
        self.advance(now);
        let lanes = size.bytes().min(4) as usize;
        for (lane, byte) in (0..).zip(value.to_le_bytes()).take(lanes) {
            self.write_byte(offset.saturating_add(lane), byte);
        }
    }

    fn write_byte(&mut self, offset: u16, byte: u8) {
        let shift = 8 * (offset & 1);
        let written = u16::from(byte) << shift;
        let lane = 0xff << shift;
        let state = &mut self.state;
        match offset & !1 {
            register::STATUS => state.status &= !written,
            register::ENABLE => state.enable = state.enable & !lane | written & event::ENABLES,
            register::CONTROL => {
                state.control = state.control & !lane | written & control::WRITABLE;
                // The suspend type and its trigger share a byte (82371AB, 7.2.3).
                let suspends = written & control::SUSPEND_ENABLE != 0;
                self.power_off |= suspends && written & control::SUSPEND_TYPE == control::SOFT_OFF;
            }
            register::GPE_STATUS => state.gpe_status &= !written,
            register::GPE_ENABLE => state.gpe_enable = state.gpe_enable & !lane | written,
            _ => {}
        }
    }

    /// Reads APM control (register 0) or status (1).
    #[must_use]
    pub fn read_apm(&self, register: u8) -> u8 {
        self.state.apm.get(usize::from(register)).copied().unwrap_or(0xff)
    }

    /// Writes APM control (register 0) or status (1). [`ACPI_ENABLE`] and [`ACPI_DISABLE`] act as the SMI handler of PC
    /// firmware does (ACPI 6.5, 4.8.2.5 "Legacy/ACPI Select").
    pub fn write_apm(&mut self, register: u8, value: u8) {
        if let Some(byte) = self.state.apm.get_mut(usize::from(register)) {
            *byte = value;
        }
        match (register, value) {
            (0, ACPI_ENABLE) => self.state.control |= control::SCI_ENABLE,
            (0, ACPI_DISABLE) => self.state.control &= !control::SCI_ENABLE,
            _ => {}
        }
    }

    /// The user pressed the power button.
    pub fn press_power_button(&mut self, now: Nanos) {
        self.advance(now);
        self.state.status |= event::POWER_BUTTON;
    }

    /// Level of the SCI pin.
    #[must_use]
    pub fn sci_asserted(&self) -> bool {
        let state = &self.state;
        let fixed = state.status & state.enable & event::ENABLES != 0;
        let general = state.gpe_status & state.gpe_enable != 0;
        state.control & control::SCI_ENABLE != 0 && (fixed || general)
    }

    /// True once after software entered S5 (soft off).
    pub fn take_power_off(&mut self) -> bool {
        std::mem::take(&mut self.power_off)
    }

    /// When the timer overflows, if that interrupts.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Nanos> {
        let waits = self.state.enable & event::TIMER_OVERFLOW != 0 && self.state.status & event::TIMER_OVERFLOW == 0;
        let interrupts = self.state.control & control::SCI_ENABLE != 0;
        (waits && interrupts).then(|| next_overflow(self.state.seen))
    }

    /// Collects timer overflows up to `now`.
    pub fn advance(&mut self, now: Nanos) {
        if now > self.state.seen {
            if next_overflow(self.state.seen) <= now {
                self.state.status |= event::TIMER_OVERFLOW;
            }
            self.state.seen = now;
        }
    }

    /// Writes the state.
    #[must_use]
    pub fn save(&self) -> Section {
        Section::encode(SECTION, VERSION, &(self.config.to_vec(), &self.state))
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The section is of another version or malformed.
    pub fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
        let (saved, state): (Vec<u8>, State) = section.decode(VERSION)?;
        if state.status & !event::STATUSES != 0 || state.control & !control::WRITABLE != 0 {
            return Err(section.damaged());
        }
        self.config = self.config.with_saved(&saved).ok_or_else(|| section.damaged())?;
        self.state = state;
        self.power_off = false;
        Ok(())
    }
}

/// The timer's status is set whenever its top bit changes (82371AB, 7.2.1).
fn next_overflow(after: Nanos) -> Nanos {
    let half = TIMER_BITS - 1;
    TIMER.time_of(((TIMER.ticks(after) >> half) + 1) << half)
}

impl PciFunction for Piix4Pm {
    fn config_read(&self, offset: u8, size: AccessSize) -> u32 {
        self.config.read(offset, size)
    }

    fn config_write(&mut self, offset: u8, size: AccessSize, value: u32) {
        self.config.write(offset, size, value);
    }
}

#[cfg(test)]
mod tests;
