//! The APIC timer (SDM vol. 3, 11.5.4): one-shot, periodic and TSC-deadline mode.

use super::LapicConfig;
use crate::frequency::Frequency;
use platform::Nanos;
use serde::{Deserialize, Serialize};

const MODE: u32 = 3 << 17;
const MODE_PERIODIC: u32 = 1 << 17;
const MODE_TSC_DEADLINE: u32 = 2 << 17;
const DIVIDE_BITS: u32 = 0b1011;

/// A guest that asks for a shorter period gets this one: it could not do anything else, and neither could the host.
const SHORTEST_PERIOD_NANOS: Nanos = 10_000;

/// The timer's registers and the moment it expires.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Timer {
    initial: u32,
    divide: u32,
    /// The bus tick at which the count reaches zero; `None` while stopped.
    zero_tick: Option<u64>,
    /// IA32_TSC_DEADLINE; zero while disarmed.
    tsc_deadline: u64,
    /// The guest time at which the time-stamp counter reaches it.
    tsc_deadline_time: Nanos,
}

fn bus(config: &LapicConfig) -> Frequency {
    Frequency::new(config.bus_hz)
}

impl Timer {
    pub(super) fn is_valid(&self) -> bool {
        self.divide & !DIVIDE_BITS == 0
    }

    pub(super) fn initial_count(&self) -> u32 {
        self.initial
    }

    pub(super) fn divide_configuration(&self) -> u32 {
        self.divide
    }

    pub(super) fn tsc_deadline(&self) -> u64 {
        self.tsc_deadline
    }

    /// Bus ticks for each count (SDM vol. 3, figure 11-10).
    fn divisor(&self) -> u64 {
        match self.divide & 3 | self.divide >> 1 & 4 {
            7 => 1,
            exponent => 2 << exponent,
        }
    }

    /// Writing the initial count starts the timer, zero stops it. In TSC-deadline mode it is ignored.
    pub(super) fn start(&mut self, initial: u32, entry: u32, config: &LapicConfig, now: Nanos) {
        if entry & MODE == MODE_TSC_DEADLINE {
            return;
        }
        self.initial = initial;
        let duration = u64::from(initial) * self.divisor();
        self.zero_tick = (initial != 0).then(|| bus(config).ticks(now).saturating_add(duration));
    }

    pub(super) fn current_count(&self, config: &LapicConfig, now: Nanos) -> u32 {
        let Some(zero_tick) = self.zero_tick else { return 0 };
        let remaining = zero_tick.saturating_sub(bus(config).ticks(now));
        u32::try_from(remaining.div_ceil(self.divisor())).unwrap_or(u32::MAX)
    }

    /// A running count goes on from where it is, at the new speed.
    pub(super) fn set_divide_configuration(&mut self, value: u32, config: &LapicConfig, now: Nanos) {
        let remaining = u64::from(self.current_count(config, now));
        self.divide = value & DIVIDE_BITS;
        if self.zero_tick.is_some() {
            let duration = remaining * self.divisor();
            self.zero_tick = Some(bus(config).ticks(now).saturating_add(duration));
        }
    }

    /// Entering or leaving TSC-deadline mode disarms the timer (SDM vol. 3, 11.5.4.1).
    pub(super) fn mode_changed(&mut self, before: u32, after: u32) {
        let was_deadline = before & MODE == MODE_TSC_DEADLINE;
        let is_deadline = after & MODE == MODE_TSC_DEADLINE;
        if was_deadline != is_deadline {
            self.zero_tick = None;
            self.tsc_deadline = 0;
        }
    }

    /// Writes IA32_TSC_DEADLINE; ignored outside TSC-deadline mode.
    pub(super) fn set_tsc_deadline(&mut self, value: u64, entry: u32, tsc: u64, config: &LapicConfig, now: Nanos) {
        if entry & MODE == MODE_TSC_DEADLINE {
            self.tsc_deadline = value;
            self.tsc_changed(tsc, config, now);
        }
    }

    /// The time-stamp counter is `tsc` at `now`: works out when it reaches the deadline.
    pub(super) fn tsc_changed(&mut self, tsc: u64, config: &LapicConfig, now: Nanos) {
        let wait = Frequency::new(config.tsc_hz).time_of(self.tsc_deadline.saturating_sub(tsc));
        self.tsc_deadline_time = now.saturating_add(wait);
    }

    pub(super) fn deadline(&self, config: &LapicConfig) -> Option<Nanos> {
        match self.zero_tick {
            Some(tick) => Some(bus(config).time_of(tick)),
            None => (self.tsc_deadline != 0).then_some(self.tsc_deadline_time),
        }
    }

    /// Answers whether the timer expired at or before `now`; several periods count once.
    pub(super) fn advance(&mut self, entry: u32, config: &LapicConfig, now: Nanos) -> bool {
        if self.deadline(config).is_none_or(|deadline| deadline > now) {
            return false;
        }
        self.tsc_deadline = 0;
        if let Some(zero_tick) = self.zero_tick {
            self.zero_tick = (entry & MODE == MODE_PERIODIC).then(|| self.next_zero(zero_tick, config, now)).flatten();
        }
        true
    }

    /// The first end of a period after `now`, on the grid that `zero_tick` lies on.
    fn next_zero(&self, zero_tick: u64, config: &LapicConfig, now: Nanos) -> Option<u64> {
        let shortest = bus(config).ticks(SHORTEST_PERIOD_NANOS).max(1);
        let period = (u64::from(self.initial) * self.divisor()).max(shortest);
        let passed = bus(config).ticks(now).saturating_sub(zero_tick) / period;
        zero_tick.checked_add((passed + 1).checked_mul(period)?)
    }
}
