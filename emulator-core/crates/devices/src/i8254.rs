//! The 8254 programmable interval timer (Intel 8254 data sheet, order 231164), clocked as in every PC.
//!
//! A counter stores at which clock tick it was loaded; its count and OUT pin at any other tick are arithmetic, so
//! nothing is stepped and nothing drifts. Counting elements load one tick after the write, as the data sheet says.
//!
//! Deliberately missing: in mode 3 a new count takes over at the end of the whole period instead of the half period.

mod counter;

use crate::frequency::Frequency;
use counter::Counter;
use platform::{Nanos, RestoreError, Section};

/// Oscillator of the PC's timer, in Hertz.
pub const PC_TIMER_HZ: u64 = 1_193_182;

const OSCILLATOR: Frequency = Frequency::new(PC_TIMER_HZ);
const CONTROL_WORD: u8 = 3;
/// In the read-back command these are active low (8254, figure 11).
const READ_BACK_NO_COUNT: u8 = 1 << 5;
const READ_BACK_NO_STATUS: u8 = 1 << 4;

const SECTION: &str = "i8254";
const VERSION: u16 = 1;

/// The chip.
#[derive(Clone, Debug)]
pub struct I8254 {
    counters: [Counter; 3],
    /// Tick up to which rising edges of counter 0 have been collected.
    seen: u64,
    edge: bool,
}

type State = ([Counter; 3], u64, bool);

impl Default for I8254 {
    fn default() -> I8254 {
        I8254::new()
    }
}

impl I8254 {
    /// All three counters wait to be programmed; gates 0 and 1 are high, gate 2 low.
    #[must_use]
    pub fn new() -> I8254 {
        I8254 { counters: [Counter::new(true), Counter::new(true), Counter::new(false)], seen: 0, edge: false }
    }

    /// Back to the state of [`I8254::new`].
    pub fn reset(&mut self, now: Nanos) {
        *self = I8254 { seen: OSCILLATOR.ticks(now), ..I8254::new() };
    }

    /// Reads counter 0 to 2 (register 0 to 2); the control word register (3) reads as all ones.
    pub fn read(&mut self, register: u8, now: Nanos) -> u8 {
        let tick = OSCILLATOR.ticks(now);
        self.counters.get_mut(usize::from(register)).map_or(0xff, |counter| counter.read(tick))
    }

    /// Writes counter 0 to 2 or the control word register (3).
    pub fn write(&mut self, register: u8, value: u8, now: Nanos) {
        self.change(now, |counters, tick| {
            if register == CONTROL_WORD {
                write_control_word(counters, value, tick);
            } else if let Some(counter) = counters.get_mut(usize::from(register)) {
                counter.write(value, tick);
            }
        });
    }

    /// Level of a counter's GATE input; counters that do not exist are ignored.
    pub fn set_gate(&mut self, counter: usize, level: bool, now: Nanos) {
        self.change(now, |counters, tick| {
            if let Some(counter) = counters.get_mut(counter) {
                counter.set_gate(level, tick);
            }
        });
    }

    /// Level of a counter's OUT pin at `now`; a counter that does not exist is low.
    #[must_use]
    pub fn out(&self, counter: usize, now: Nanos) -> bool {
        self.counters.get(counter).is_some_and(|counter| counter.out(OSCILLATOR.ticks(now)))
    }

    /// True once after counter 0's OUT rose since the last call; several rises count once, as in an
    /// edge-triggered interrupt controller.
    pub fn take_timer_edge(&mut self) -> bool {
        std::mem::take(&mut self.edge)
    }

    /// When counter 0's OUT rises next. The other counters interrupt nobody.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Nanos> {
        self.counters[0].next_rise(self.seen).map(|tick| OSCILLATOR.time_of(tick))
    }

    /// Collects the rising edges of counter 0 up to `now`.
    pub fn advance(&mut self, now: Nanos) {
        let tick = OSCILLATOR.ticks(now);
        if tick > self.seen {
            self.edge |= self.counters[0].next_rise(self.seen).is_some_and(|rise| rise <= tick);
            self.seen = tick;
        }
    }

    /// Applies an access; it may itself move counter 0's OUT.
    fn change(&mut self, now: Nanos, access: impl FnOnce(&mut [Counter; 3], u64)) {
        self.advance(now);
        let tick = self.seen;
        let before = self.counters[0].out(tick);
        access(&mut self.counters, tick);
        self.edge |= !before && self.counters[0].out(tick);
    }

    /// Writes the state.
    #[must_use]
    pub fn save(&self) -> Section {
        let state: State = (self.counters.clone(), self.seen, self.edge);
        Section::encode(SECTION, VERSION, &state)
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The section is of another version or malformed.
    pub fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
        let (counters, seen, edge): State = section.decode(VERSION)?;
        if !counters.iter().all(Counter::is_valid) {
            return Err(section.damaged());
        }
        *self = I8254 { counters, seen, edge };
        Ok(())
    }
}

fn write_control_word(counters: &mut [Counter; 3], value: u8, tick: u64) {
    let selected = usize::from(value >> 6);
    if let Some(counter) = counters.get_mut(selected) {
        counter.write_control(value & 0x3f, tick);
        return;
    }
    for (index, counter) in counters.iter_mut().enumerate() {
        if value & 2 << index == 0 {
            continue;
        }
        if value & READ_BACK_NO_STATUS == 0 {
            counter.latch_status(tick);
        }
        if value & READ_BACK_NO_COUNT == 0 {
            counter.latch_count(tick);
        }
    }
}

#[cfg(test)]
mod tests;
