//! One of the 8254's three counters.

use serde::{Deserialize, Serialize};

/// Read/write field of the control word.
const ACCESS_LATCH: u8 = 0;
const ACCESS_LOW: u8 = 1;
const ACCESS_HIGH: u8 = 2;

/// Status byte of the read-back command (8254, figure 12); the low six bits are the control word.
const STATUS_OUT: u8 = 1 << 7;
const STATUS_NULL_COUNT: u8 = 1 << 6;

/// What the counting element does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Element {
    /// Holds `count`: no initial count or no trigger yet. OUT is at the mode's resting level.
    Idle {
        /// What a read sees.
        count: u32,
    },
    /// Was loaded with `initial` at tick `since`, and counts.
    Counting {
        /// Initial count, 1 to 65,536.
        initial: u32,
        /// May be one tick in the future: loading waits for the next clock.
        since: u64,
    },
    /// GATE stopped it `elapsed` ticks after it was loaded.
    Paused {
        /// Initial count.
        initial: u32,
        /// Ticks counted before.
        elapsed: u64,
    },
}

/// One counter. All times are absolute oscillator ticks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Counter {
    /// The control word's low six bits: access, mode, BCD.
    control: u8,
    gate: bool,
    element: Element,
    /// The count register: what is loaded next.
    count_register: Option<u32>,
    /// Modes 2 and 3: a new count that takes over at this tick.
    next_period: Option<(u32, u64)>,
    /// The low byte of a two-byte write whose high byte is still to come.
    low_byte: Option<u8>,
    /// The next read of a two-byte access answers the high byte.
    read_high: bool,
    latched_count: Option<u16>,
    latched_status: Option<u8>,
}

impl Counter {
    pub(super) fn new(gate: bool) -> Counter {
        Counter {
            control: 3 << 4,
            gate,
            element: Element::Idle { count: 0 },
            count_register: None,
            next_period: None,
            low_byte: None,
            read_high: false,
            latched_count: None,
            latched_status: None,
        }
    }

    /// Whether a restored counter is in a state the chip can be in.
    pub(super) fn is_valid(&self) -> bool {
        let count = |initial: u32| (1..=0x1_0000).contains(&initial);
        let element = match self.element {
            Element::Idle { count } => count <= 0x1_0000,
            Element::Counting { initial, .. } | Element::Paused { initial, .. } => count(initial),
        };
        let register = self.count_register.is_none_or(count);
        let next = self.next_period.is_none_or(|(initial, _)| count(initial));
        element && register && next && self.control < 0x40 && self.access() != ACCESS_LATCH
    }

    fn access(&self) -> u8 {
        self.control >> 4
    }

    /// Mode 0 to 5; the encodings 6 and 7 are modes 2 and 3 (8254, figure 7).
    fn mode(&self) -> u8 {
        let mode = self.control >> 1 & 7;
        if mode > 5 { mode - 4 } else { mode }
    }

    /// Distinct counts: what a count of zero means, and where the element wraps.
    fn modulus(&self) -> u32 {
        if self.control & 1 != 0 { 10_000 } else { 0x1_0000 }
    }

    fn is_periodic(&self) -> bool {
        matches!(self.mode(), 2 | 3)
    }

    /// Modes 1 and 5 start on a rising GATE.
    fn is_triggered(&self) -> bool {
        matches!(self.mode(), 1 | 5)
    }

    pub(super) fn write_control(&mut self, control: u8, tick: u64) {
        if control >> 4 == ACCESS_LATCH {
            self.latch_count(tick);
            return;
        }
        let count = self.count(tick);
        *self = Counter { control, element: Element::Idle { count }, ..Counter::new(self.gate) };
    }

    pub(super) fn write(&mut self, value: u8, tick: u64) {
        let count = match self.access() {
            ACCESS_LOW => u16::from(value),
            ACCESS_HIGH => u16::from(value) << 8,
            _ => match self.low_byte.take() {
                None => {
                    self.low_byte = Some(value);
                    if self.mode() == 0 {
                        // The first byte already stops the count and takes OUT low (8254, mode 0).
                        self.element = Element::Idle { count: self.count(tick) };
                    }
                    return;
                }
                Some(low) => u16::from_le_bytes([low, value]),
            },
        };
        self.load(self.decode(count), tick);
    }

    fn load(&mut self, initial: u32, tick: u64) {
        self.settle(tick);
        self.count_register = Some(initial);
        match self.element {
            _ if self.is_triggered() => {}
            Element::Counting { initial: period, since } if self.is_periodic() => {
                let takes_over = since.saturating_add(end_of_period(tick.saturating_sub(since), period));
                self.next_period = Some((initial, takes_over));
            }
            _ if self.gate => self.element = Element::Counting { initial, since: tick.saturating_add(1) },
            // A rising GATE reloads a periodic counter and resumes a mode 0 or 4 one.
            _ if self.is_periodic() => {}
            _ => self.element = Element::Paused { initial, elapsed: 0 },
        }
    }

    pub(super) fn set_gate(&mut self, level: bool, tick: u64) {
        let rising = level && !self.gate;
        let falling = !level && self.gate;
        self.settle(tick);
        self.gate = level;
        let restarts = self.is_triggered() || self.is_periodic();
        match (self.element, self.count_register) {
            (_, Some(initial)) if rising && restarts => {
                self.element = Element::Counting { initial, since: tick.saturating_add(1) };
                self.next_period = None;
            }
            (Element::Paused { initial, elapsed }, _) if rising => {
                self.element = Element::Counting { initial, since: tick.saturating_sub(elapsed) };
            }
            (Element::Counting { initial, since }, _) if falling && !self.is_triggered() => {
                self.element = Element::Paused { initial, elapsed: tick.saturating_sub(since) };
                self.next_period = None;
            }
            _ => {}
        }
    }

    /// Lets a new period take over once its time has come.
    fn settle(&mut self, tick: u64) {
        if let Some((initial, since)) = self.next_period
            && tick >= since
        {
            self.element = Element::Counting { initial, since };
            self.next_period = None;
        }
    }

    /// The element as it is at `tick`, after any pending change of period.
    fn element_at(&self, tick: u64) -> Element {
        match self.next_period {
            Some((initial, since)) if tick >= since => Element::Counting { initial, since },
            _ => self.element,
        }
    }

    /// Initial count and ticks since it was loaded; `None` while idle.
    fn progress(&self, tick: u64) -> Option<(u32, u64)> {
        match self.element_at(tick) {
            Element::Idle { .. } => None,
            Element::Counting { initial, since } => Some((initial, tick.saturating_sub(since))),
            Element::Paused { initial, elapsed } => Some((initial, elapsed)),
        }
    }

    /// The counting element's value.
    fn count(&self, tick: u64) -> u32 {
        let Some((initial, elapsed)) = self.progress(tick) else {
            let Element::Idle { count } = self.element else { return 0 };
            return count;
        };
        let in_period = (elapsed % u64::from(initial)) as u32;
        match self.mode() {
            2 => initial - in_period,
            3 => {
                // Counts down by two, twice a period; an odd count's high half is one tick longer.
                let even = initial & !1;
                let high_ticks = initial.div_ceil(2);
                let in_half = if in_period < high_ticks { in_period } else { in_period - high_ticks };
                even.saturating_sub(2 * in_half)
            }
            _ => {
                let modulus = self.modulus();
                let counted = (elapsed % u64::from(modulus)) as u32;
                (initial + modulus - counted) % modulus
            }
        }
    }

    /// Level of the OUT pin.
    pub(super) fn out(&self, tick: u64) -> bool {
        let resting = self.mode() != 0;
        let Some((initial, elapsed)) = self.progress(tick) else { return resting };
        let period = u64::from(initial);
        match self.mode() {
            0 => elapsed >= period,
            // Not yet loaded: a trigger takes OUT low on the clock after it.
            1 => elapsed >= period || !self.has_loaded(tick),
            2 => !self.gate || period == 1 || elapsed % period != period - 1,
            3 => !self.gate || elapsed % period < period.div_ceil(2),
            _ => elapsed != period,
        }
    }

    fn has_loaded(&self, tick: u64) -> bool {
        !matches!(self.element_at(tick), Element::Counting { since, .. } if since > tick)
    }

    /// The first tick after `tick` at which OUT goes from low to high by itself.
    pub(super) fn next_rise(&self, tick: u64) -> Option<u64> {
        let Element::Counting { initial, since } = self.element_at(tick) else { return None };
        let rise = match self.mode() {
            0 | 1 => since.checked_add(u64::from(initial))?,
            2 | 3 => since.checked_add(end_of_period(tick.saturating_sub(since), initial))?,
            _ => since.checked_add(u64::from(initial) + 1)?,
        };
        (rise > tick).then_some(rise)
    }

    pub(super) fn latch_count(&mut self, tick: u64) {
        // A second latch command before the first value is read is ignored (8254, "Counter latch command").
        if self.latched_count.is_none() {
            self.latched_count = Some(self.encode(self.count(tick)));
        }
    }

    pub(super) fn latch_status(&mut self, tick: u64) {
        let out = if self.out(tick) { STATUS_OUT } else { 0 };
        let not_loaded = match self.element_at(tick) {
            Element::Counting { since, .. } => since > tick,
            Element::Idle { .. } => true,
            Element::Paused { .. } => false,
        };
        let waits = self.next_period.is_some_and(|(_, since)| since > tick);
        let null_count = if not_loaded || waits { STATUS_NULL_COUNT } else { 0 };
        self.latched_status.get_or_insert(out | null_count | self.control);
    }

    pub(super) fn read(&mut self, tick: u64) -> u8 {
        if let Some(status) = self.latched_status.take() {
            return status;
        }
        let [low, high] = self.latched_count.unwrap_or_else(|| self.encode(self.count(tick))).to_le_bytes();
        let (byte, complete) = match self.access() {
            ACCESS_LOW => (low, true),
            ACCESS_HIGH => (high, true),
            _ => {
                self.read_high = !self.read_high;
                if self.read_high { (low, false) } else { (high, true) }
            }
        };
        if complete {
            self.latched_count = None;
        }
        byte
    }

    /// A count as software wrote it; zero is the largest. Digits above 9 weigh what they say.
    fn decode(&self, written: u16) -> u32 {
        let count = if self.control & 1 == 0 {
            u32::from(written)
        } else {
            let digit = |place: u32| u32::from(written >> (4 * place) & 15);
            (digit(0) + 10 * digit(1) + 100 * digit(2) + 1000 * digit(3)) % self.modulus()
        };
        if count == 0 { self.modulus() } else { count }
    }

    /// A count as software reads it.
    fn encode(&self, count: u32) -> u16 {
        let count = count % self.modulus();
        if self.control & 1 == 0 {
            return count as u16;
        }
        let digit = |place: u32| (count / 10u32.pow(place) % 10) << (4 * place);
        (digit(0) | digit(1) | digit(2) | digit(3)) as u16
    }
}

/// Ticks from loading to the end of the period that tick `elapsed` lies in.
fn end_of_period(elapsed: u64, period: u32) -> u64 {
    let period = u64::from(period);
    (elapsed / period).saturating_add(1).saturating_mul(period)
}
