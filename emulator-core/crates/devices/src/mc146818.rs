//! The MC146818 real-time clock with 128 bytes of battery-backed RAM (Motorola MC146818 data sheet; the PC/AT adds
//! the index register with its NMI mask bit, and a century byte at 0x32 that ACPI's FADT names).
//!
//! The clock is an offset to guest time: registers are worked out when they are read, nothing ticks. An update takes
//! no time, but its warning (UIP) comes 244 us earlier as in the data sheet.
//!
//! Deliberately missing: a day of the week apart from the date, daylight saving, the square wave.

mod calendar;

use crate::frequency::Frequency;
use calendar::{Calendar, LAST_SECOND};
use platform::{Nanos, RestoreError, Section};
use serde::{Deserialize, Serialize};

const SECOND: Nanos = 1_000_000_000;
/// After the divider leaves reset, the first update comes half a second later (MC146818, "Divider control").
const AFTER_DIVIDER_RESET: Nanos = SECOND / 2;
/// The "buffer time" in which UIP warns of an update.
const UPDATE_WARNING: Nanos = 244_000;
const DIVIDER: Frequency = Frequency::new(32_768);
const RAM_BYTES: usize = 128;

mod register {
    pub const SECONDS: usize = 0x00;
    pub const SECONDS_ALARM: usize = 0x01;
    pub const MINUTES: usize = 0x02;
    pub const MINUTES_ALARM: usize = 0x03;
    pub const HOURS: usize = 0x04;
    pub const HOURS_ALARM: usize = 0x05;
    pub const WEEKDAY: usize = 0x06;
    pub const DAY: usize = 0x07;
    pub const MONTH: usize = 0x08;
    pub const YEAR: usize = 0x09;
    pub const A: usize = 0x0a;
    pub const B: usize = 0x0b;
    pub const C: usize = 0x0c;
    pub const D: usize = 0x0d;
    pub const CENTURY: usize = 0x32;
    /// The clock's own registers, which shadow RAM.
    pub const TIME: [usize; 8] = [SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CENTURY];
}

/// Register A.
mod a {
    pub const UPDATE_IN_PROGRESS: u8 = 1 << 7;
    /// Divider chain held in reset.
    pub const DIVIDER_RESET: u8 = 0b110 << 4;
    pub const RATE: u8 = 0x0f;
    /// 32.768 kHz time base, 1024 Hz periodic rate: what PC firmware sets.
    pub const POWER_ON: u8 = 0x26;
}

/// Register B.
mod b {
    pub const SET: u8 = 1 << 7;
    pub const PERIODIC: u8 = 1 << 6;
    pub const ALARM: u8 = 1 << 5;
    pub const UPDATE: u8 = 1 << 4;
    pub const SQUARE_WAVE: u8 = 1 << 3;
    pub const BINARY: u8 = 1 << 2;
    pub const HOURS_24: u8 = 1 << 1;
}

/// Register C; each flag sits at its enable bit of register B.
const INTERRUPT_REQUEST: u8 = 1 << 7;
const FLAGS: u8 = b::PERIODIC | b::ALARM | b::UPDATE;
/// Register D: RAM and time are valid.
const VALID_RAM_AND_TIME: u8 = 1 << 7;
/// Alarm bytes from here on match everything.
const DO_NOT_CARE: u8 = 0xc0;
const PM: u8 = 0x80;

const SECTION: &str = "mc146818";
const VERSION: u16 = 1;

/// How the clock starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RtcConfig {
    /// Wall-clock time at guest time 0, in seconds since 1970; the guest sees it as it is, so UTC for most.
    /// Times after the year 9999 stand still at its end.
    pub unix_seconds: u64,
}

/// The chip.
#[derive(Clone, Debug)]
pub struct Mc146818 {
    state: State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    index: u8,
    nmi_masked: bool,
    /// All 128 bytes; those of the clock are stale unless the clock is being set.
    ram: Vec<u8>,
    flags: u8,
    /// Seconds since 1970 shown at divider time 0.
    base_seconds: u64,
    /// Guest time at which the divider started.
    divider_start: Nanos,
    /// Guest time up to which flags are collected.
    seen: Nanos,
}

impl Mc146818 {
    /// The clock runs from `config`; RAM is zero; 24-hour BCD mode.
    #[must_use]
    pub fn new(config: RtcConfig) -> Mc146818 {
        let mut ram = vec![0; RAM_BYTES];
        ram[register::A] = a::POWER_ON;
        ram[register::B] = b::HOURS_24;
        ram[register::SECONDS_ALARM] = DO_NOT_CARE;
        ram[register::MINUTES_ALARM] = DO_NOT_CARE;
        ram[register::HOURS_ALARM] = DO_NOT_CARE;
        let base_seconds = config.unix_seconds.min(LAST_SECOND);
        let state = State { index: 0, nmi_masked: false, ram, flags: 0, base_seconds, divider_start: 0, seen: 0 };
        Mc146818 { state }
    }

    /// Bus reset: interrupts off; time and RAM stay, they are on battery (MC146818, "RESET").
    pub fn reset(&mut self) {
        self.state.ram[register::B] &= !(FLAGS | b::SQUARE_WAVE);
        self.state.flags = 0;
        self.state.nmi_masked = false;
    }

    /// Reads the index (register 0, all ones) or data (register 1) register.
    pub fn read(&mut self, register: u8, now: Nanos) -> u8 {
        if register != 1 {
            return 0xff;
        }
        self.advance(now);
        let index = usize::from(self.state.index);
        match index {
            register::A if self.is_running() && self.divider_time(now) % SECOND >= SECOND - UPDATE_WARNING => {
                self.state.ram[register::A] | a::UPDATE_IN_PROGRESS
            }
            register::C => {
                let request = if self.irq_asserted() { INTERRUPT_REQUEST } else { 0 };
                std::mem::take(&mut self.state.flags) | request
            }
            register::D => VALID_RAM_AND_TIME,
            _ => {
                if register::TIME.contains(&index) {
                    self.refresh(now);
                }
                self.state.ram[index]
            }
        }
    }

    /// Writes the index (register 0; bit 7 masks NMI) or data (register 1) register.
    pub fn write(&mut self, register: u8, value: u8, now: Nanos) {
        match register {
            0 => {
                self.state.index = value & 0x7f;
                self.state.nmi_masked = value & 0x80 != 0;
            }
            1 => {
                self.advance(now);
                self.write_data(usize::from(self.state.index), value, now);
            }
            _ => {}
        }
    }

    fn write_data(&mut self, index: usize, value: u8, now: Nanos) {
        match index {
            register::A => {
                self.refresh(now);
                let was_running = self.is_running();
                let was_reset = self.is_divider_reset();
                self.state.ram[register::A] = value & !a::UPDATE_IN_PROGRESS;
                if was_reset && !self.is_divider_reset() {
                    self.state.divider_start = now.saturating_sub(AFTER_DIVIDER_RESET);
                }
                self.restart(was_running, now);
            }
            register::B => {
                self.refresh(now);
                let was_running = self.is_running();
                let ends_updates = if value & b::SET != 0 { b::UPDATE } else { 0 };
                self.state.ram[register::B] = value & !ends_updates;
                self.restart(was_running, now);
            }
            register::C | register::D => {}
            _ if register::TIME.contains(&index) => {
                self.refresh(now);
                self.state.ram[index] = value;
                if self.is_running() {
                    self.set_time(now);
                }
            }
            _ => self.state.ram[index] = value,
        }
    }

    /// Sets a byte of RAM from the board's side (memory sizes, boot order); the clock's registers are not reachable.
    pub fn set_nvram(&mut self, index: u8, value: u8) {
        let index = usize::from(index);
        if index > register::D && index < RAM_BYTES && index != register::CENTURY {
            self.state.ram[index] = value;
        }
    }

    /// A byte of RAM; all ones past the end.
    #[must_use]
    pub fn nvram(&self, index: u8) -> u8 {
        self.state.ram.get(usize::from(index)).copied().unwrap_or(0xff)
    }

    /// Whether software masked NMI through the index register.
    #[must_use]
    pub fn nmi_masked(&self) -> bool {
        self.state.nmi_masked
    }

    /// Level of the interrupt pin.
    #[must_use]
    pub fn irq_asserted(&self) -> bool {
        self.state.flags & self.state.ram[register::B] & FLAGS != 0
    }

    /// When an enabled interrupt comes next. Once the pin is asserted it stays so until register C is read.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Nanos> {
        let enabled = self.state.ram[register::B] & FLAGS;
        if enabled == 0 || self.irq_asserted() || self.is_divider_reset() {
            return None;
        }
        let sources = [
            (b::PERIODIC, self.next_periodic(self.state.seen)),
            (b::ALARM, self.next_alarm(self.state.seen)),
            (b::UPDATE, self.next_update(self.state.seen)),
        ];
        sources.into_iter().filter(|(bit, _)| enabled & bit != 0).filter_map(|(_, time)| time).min()
    }

    /// Collects what happened up to `now`.
    pub fn advance(&mut self, now: Nanos) {
        let seen = self.state.seen;
        if now <= seen {
            return;
        }
        let passed = |time: Option<Nanos>| time.is_some_and(|time| time <= now);
        let periodic = if passed(self.next_periodic(seen)) { b::PERIODIC } else { 0 };
        let alarm = if passed(self.next_alarm(seen)) { b::ALARM } else { 0 };
        let update = if passed(self.next_update(seen)) { b::UPDATE } else { 0 };
        self.state.flags |= periodic | alarm | update;
        self.state.seen = now;
    }

    fn is_divider_reset(&self) -> bool {
        self.state.ram[register::A] & a::DIVIDER_RESET == a::DIVIDER_RESET
    }

    fn is_running(&self) -> bool {
        self.state.ram[register::B] & b::SET == 0 && !self.is_divider_reset()
    }

    fn divider_time(&self, now: Nanos) -> Nanos {
        now.saturating_sub(self.state.divider_start)
    }

    /// The time shown at `now`, while running.
    fn seconds(&self, now: Nanos) -> u64 {
        self.state.base_seconds.saturating_add(self.divider_time(now) / SECOND).min(LAST_SECOND)
    }

    fn next_update(&self, after: Nanos) -> Option<Nanos> {
        let next = self.divider_time(after) / SECOND + 1;
        self.is_running().then(|| self.state.divider_start.saturating_add(next.saturating_mul(SECOND)))
    }

    /// Periodic interrupts come from the divider and do not care whether the time is being set.
    fn next_periodic(&self, after: Nanos) -> Option<Nanos> {
        let shift = match self.state.ram[register::A] & a::RATE {
            0 => return None,
            // 256 Hz and 128 Hz; from 3 on 8192 Hz and down to 2 Hz (MC146818, table 5).
            rate @ 1..=2 => rate + 6,
            rate => rate - 1,
        };
        if self.is_divider_reset() {
            return None;
        }
        let tick = ((DIVIDER.ticks(self.divider_time(after)) >> shift) + 1) << shift;
        Some(self.state.divider_start.saturating_add(DIVIDER.time_of(tick)))
    }

    /// The first update after `after` that shows the alarm's time of day.
    fn next_alarm(&self, after: Nanos) -> Option<Nanos> {
        let update = self.next_update(after)?;
        let first = self.seconds(update) % calendar::DAY_SECONDS;
        let wanted = |index: usize, decode: fn(&Mc146818, u8) -> u8| {
            let byte = self.state.ram[index];
            (byte < DO_NOT_CARE).then(|| u64::from(decode(self, byte)))
        };
        let hour = wanted(register::HOURS_ALARM, Mc146818::decode_hour);
        let minute = wanted(register::MINUTES_ALARM, Mc146818::decode);
        let second = wanted(register::SECONDS_ALARM, Mc146818::decode);
        let wait = calendar::seconds_until(first, hour, minute, second)?;
        Some(update.saturating_add(wait * SECOND))
    }

    /// Brings the clock's bytes in RAM up to date; they stand still while the clock is set.
    fn refresh(&mut self, now: Nanos) {
        if !self.is_running() {
            return;
        }
        let time = Calendar::from_unix(self.seconds(now));
        let hour = self.encode_hour(time.hour);
        let fields = [
            (register::SECONDS, self.encode(time.second)),
            (register::MINUTES, self.encode(time.minute)),
            (register::HOURS, hour),
            (register::WEEKDAY, self.encode(time.weekday)),
            (register::DAY, self.encode(time.day)),
            (register::MONTH, self.encode(time.month)),
            (register::YEAR, self.encode((time.year % 100) as u8)),
            (register::CENTURY, self.encode((time.year / 100) as u8)),
        ];
        for (index, value) in fields {
            self.state.ram[index] = value;
        }
    }

    /// Goes on from the bytes in RAM if the clock was halted and now runs.
    fn restart(&mut self, was_running: bool, now: Nanos) {
        if !was_running && self.is_running() {
            self.set_time(now);
        }
    }

    /// Takes the bytes in RAM as the time at `now`; the divider's phase stays.
    fn set_time(&mut self, now: Nanos) {
        let field = |index: usize| self.decode(self.state.ram[index]);
        let year = u16::from(field(register::CENTURY)) * 100 + u16::from(field(register::YEAR));
        let shown = Calendar {
            second: field(register::SECONDS),
            minute: field(register::MINUTES),
            hour: self.decode_hour(self.state.ram[register::HOURS]),
            weekday: 0,
            day: field(register::DAY),
            month: field(register::MONTH),
            year,
        };
        let whole_seconds = self.divider_time(now) / SECOND;
        // Restart the count of seconds here, so that the base never has to be negative.
        self.state.divider_start = self.state.divider_start.saturating_add(whole_seconds * SECOND);
        self.state.base_seconds = shown.to_unix();
    }

    fn encode(&self, value: u8) -> u8 {
        let is_binary = self.state.ram[register::B] & b::BINARY != 0;
        if is_binary { value } else { ((value / 10) << 4) | (value % 10) }
    }

    fn decode(&self, byte: u8) -> u8 {
        let is_binary = self.state.ram[register::B] & b::BINARY != 0;
        if is_binary { byte } else { (byte >> 4).saturating_mul(10).saturating_add(byte & 15) }
    }

    /// Hours are 1 to 12 with the top bit for PM in 12-hour mode.
    fn encode_hour(&self, hour: u8) -> u8 {
        if self.state.ram[register::B] & b::HOURS_24 != 0 {
            return self.encode(hour);
        }
        let twelve = if hour.is_multiple_of(12) { 12 } else { hour % 12 };
        self.encode(twelve) | if hour >= 12 { PM } else { 0 }
    }

    fn decode_hour(&self, byte: u8) -> u8 {
        if self.state.ram[register::B] & b::HOURS_24 != 0 {
            return self.decode(byte);
        }
        self.decode(byte & !PM) % 12 + if byte & PM != 0 { 12 } else { 0 }
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
        if state.ram.len() != RAM_BYTES || state.index > 0x7f || state.base_seconds > LAST_SECOND {
            return Err(section.damaged());
        }
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
