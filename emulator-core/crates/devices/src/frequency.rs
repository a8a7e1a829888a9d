//! Exact conversion between guest time and the ticks of a chip's oscillator, without drift.

use platform::Nanos;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// An oscillator that has run since guest time 0; its first tick (number 1) ends its first period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frequency {
    hz: u64,
}

impl Frequency {
    /// An oscillator of `hz` Hertz, 1 Hz to 16 GHz (so that no intermediate product below overflows).
    ///
    /// # Panics
    /// `hz` is outside that range; boards use constants.
    #[must_use]
    pub const fn new(hz: u64) -> Frequency {
        assert!(hz > 0 && hz <= 16_000_000_000, "oscillator frequency out of range");
        Frequency { hz }
    }

    /// Whole ticks that have passed at guest time `now`.
    #[must_use]
    pub const fn ticks(self, now: Nanos) -> u64 {
        // Splitting off whole seconds keeps the products in 64 bits and loses nothing:
        // a whole second is exactly `hz` ticks.
        let (seconds, rest) = (now / NANOS_PER_SECOND, now % NANOS_PER_SECOND);
        seconds.wrapping_mul(self.hz).wrapping_add(rest * self.hz / NANOS_PER_SECOND)
    }

    /// The first guest time at which [`Frequency::ticks`] answers `tick` or more; saturates at the end of time.
    #[must_use]
    pub const fn time_of(self, tick: u64) -> Nanos {
        let (seconds, rest) = (tick / self.hz, tick % self.hz);
        seconds.saturating_mul(NANOS_PER_SECOND).saturating_add((rest * NANOS_PER_SECOND).div_ceil(self.hz))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pc_timer_loses_no_tick_in_a_hundred_years() {
        let pit = Frequency::new(1_193_182);
        let century = 100 * 365 * 86_400;
        assert_eq!(pit.ticks(century * NANOS_PER_SECOND), century * 1_193_182);
        assert_eq!(pit.time_of(century * 1_193_182), century * NANOS_PER_SECOND);
    }

    #[test]
    fn time_of_is_the_first_nanosecond_of_a_tick() {
        for hz in [1, 32_768, 1_193_182, 3_579_545, 1_000_000_000, 2_500_000_000] {
            let clock = Frequency::new(hz);
            for tick in [1, 2, 3, 1000, 1_193_181, 1_193_182, 1_193_183, 7_777_777_777] {
                let time = clock.time_of(tick);
                assert!(clock.ticks(time) >= tick, "{hz} Hz, tick {tick}");
                assert!(time == 0 || clock.ticks(time - 1) < tick, "{hz} Hz, tick {tick}");
            }
        }
    }
}
