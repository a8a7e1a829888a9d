//! Guest time: what it is now, how fast it runs while instructions retire, and when an idle guest is to be woken.
//!
//! Invariant: guest time never goes backwards and never passes a chip's deadline unseen.

use platform::Nanos;

use crate::Clock;

/// How far guest time may lag behind host time before the difference is forgotten: a machine that was paused, or whose
/// host slept, goes on where it was instead of living through the missed time.
const LAG_LIMIT_NS: u64 = 1_000_000_000;
/// First guess of the processor's speed: 100 million instructions a second.
const FIRST_GUESS: u32 = 10_000;
/// Speeds believed: 10 billion to 1 million instructions a second.
const BELIEVED: core::ops::RangeInclusive<u64> = 100..=1_000_000;
/// Fewer instructions than this measure nothing.
const MEASURABLE: u64 = 10_000;
/// Guest time runs at most this much faster or slower than measured while it catches up.
const CATCH_UP: u64 = 4;
/// A slice expected to last longer than this is not planned to its end.
const PLANNED_NS: u64 = 20_000_000;

/// What an idle guest does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Idle {
    /// Guest time went on to the next deadline.
    Jumped,
    /// Nothing happens before this host time; without one, nothing happens at all.
    Sleep(Option<u64>),
}

/// The clock of one machine.
#[derive(Debug)]
pub(crate) struct GuestClock {
    mode: Clock,
    now: Nanos,
    /// Thousandths of a nanosecond not yet in `now`.
    fraction: u64,
    /// Measured speed, in nanoseconds for 1,000 instructions.
    measured: u32,
    /// Speed of guest time in this run.
    rate: u32,
    /// Host time minus guest time; known from the first run on.
    origin: Option<i128>,
    /// Guest time that corresponds to the host time of this run.
    target: Nanos,
    /// Host time and instructions retired at the start of the last run.
    last: Option<(u64, u64)>,
    /// Guest time at which the sleeping guest asked to be woken.
    asleep_until: Option<Nanos>,
}

impl GuestClock {
    /// A clock that shows 0.
    pub fn new(mode: Clock) -> GuestClock {
        let rate = match mode {
            Clock::Realtime => FIRST_GUESS,
            Clock::Instructions { ns_per_kilo_instruction } => ns_per_kilo_instruction.max(1),
        };
        GuestClock {
            mode,
            now: 0,
            fraction: 0,
            measured: rate,
            rate,
            origin: None,
            target: 0,
            last: None,
            asleep_until: None,
        }
    }

    /// What a snapshot keeps: guest time, and thousandths of a nanosecond beside it.
    pub fn save(&self) -> (Nanos, u64) {
        (self.now, self.fraction)
    }

    /// Goes on from what [`GuestClock::save`] said.
    pub fn restore(&mut self, (now, fraction): (Nanos, u64)) {
        (self.now, self.fraction, self.target) = (now, fraction % 1000, now);
    }

    /// Guest time.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// Guest nanoseconds for 1,000 instructions, in this run.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// A run starts at host time `host_now`, `instructions` having retired so far and `budget` to come.
    pub fn begin(&mut self, host_now: u64, instructions: u64, budget: u64, deadline: Option<Nanos>) {
        if self.mode != Clock::Realtime {
            return;
        }
        self.measure(host_now, instructions);
        let origin = *self.origin.get_or_insert(i128::from(host_now) - i128::from(self.now));
        let target = (i128::from(host_now) - origin).clamp(0, i128::from(u64::MAX)) as u64;
        let believable = self.asleep_until.unwrap_or(0).max(self.now).saturating_add(LAG_LIMIT_NS);
        self.target = target.min(believable);
        if target > believable {
            self.origin = Some(i128::from(host_now) - i128::from(believable));
        }
        if self.asleep_until.take().is_some() {
            // The time asleep has passed; deadlines in it still have to be seen one by one.
            self.now = self.now.max(self.target.min(deadline.unwrap_or(u64::MAX)));
        }
        self.rate = self.steer(budget);
    }

    fn measure(&mut self, host_now: u64, instructions: u64) {
        if let Some((host_before, instructions_before)) = self.last.replace((host_now, instructions)) {
            let retired = instructions - instructions_before;
            let elapsed = host_now.saturating_sub(host_before);
            if self.asleep_until.is_none() && retired >= MEASURABLE {
                let speed = elapsed.saturating_mul(1000) / retired;
                let speed = speed.clamp(*BELIEVED.start(), *BELIEVED.end());
                self.measured = ((3 * u64::from(self.measured) + speed) / 4) as u32;
            }
        }
    }

    /// The rate that brings guest time back to host time by the end of the run.
    fn steer(&self, budget: u64) -> u32 {
        let measured = u64::from(self.measured);
        let planned = (budget.saturating_mul(measured) / 1000).clamp(1, PLANNED_NS);
        let ahead = self.now.saturating_sub(self.target);
        let behind = self.target.saturating_sub(self.now);
        let wanted = (planned + behind).saturating_sub(ahead);
        let rate = (u128::from(measured) * u128::from(wanted) / u128::from(planned)) as u64;
        rate.clamp((measured / CATCH_UP).max(1), measured * CATCH_UP) as u32
    }

    /// Instructions that retire before `deadline`, at least one.
    pub fn instructions_until(&self, deadline: Option<Nanos>) -> u64 {
        let Some(deadline) = deadline else { return u64::MAX };
        let distance = u128::from(deadline.saturating_sub(self.now)) * 1000;
        let whole = distance.saturating_sub(u128::from(self.fraction)).div_ceil(u128::from(self.rate));
        u64::try_from(whole).unwrap_or(u64::MAX).max(1)
    }

    /// `instructions` have retired.
    pub fn advance(&mut self, instructions: u64) {
        let thousandths = u128::from(instructions) * u128::from(self.rate) + u128::from(self.fraction);
        self.now = self.now.saturating_add((thousandths / 1000) as u64);
        self.fraction = (thousandths % 1000) as u64;
    }

    /// The guest has nothing to do before `deadline`.
    pub fn idle(&mut self, deadline: Option<Nanos>) -> Idle {
        let reached = match self.mode {
            Clock::Realtime => deadline.filter(|deadline| *deadline <= self.target.max(self.now)),
            Clock::Instructions { .. } => deadline,
        };
        if let Some(deadline) = reached {
            self.now = self.now.max(deadline);
            return Idle::Jumped;
        }
        self.now = self.now.max(self.target);
        self.asleep_until = Some(deadline.unwrap_or(self.now));
        let origin = self.origin.unwrap_or(0);
        Idle::Sleep(deadline.map(|deadline| (i128::from(deadline) + origin).clamp(0, i128::from(u64::MAX)) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn realtime() -> GuestClock {
        let mut clock = GuestClock::new(Clock::Realtime);
        clock.begin(500 * MS, 0, 100_000, None);
        clock
    }

    #[test]
    fn a_thousand_instructions_take_the_configured_time() {
        let mut clock = GuestClock::new(Clock::Instructions { ns_per_kilo_instruction: 2500 });
        (0..1000).for_each(|_| clock.advance(1));
        assert_eq!(clock.now(), 2500);
        assert_eq!(clock.instructions_until(Some(2501)), 1);
        assert_eq!(clock.instructions_until(Some(5000)), 1000);
    }

    #[test]
    fn with_an_instruction_clock_an_idle_guest_jumps_to_its_deadline() {
        let mut clock = GuestClock::new(Clock::Instructions { ns_per_kilo_instruction: 1000 });
        assert_eq!(clock.idle(Some(7 * MS)), Idle::Jumped);
        assert_eq!(clock.now(), 7 * MS);
        assert_eq!(clock.idle(None), Idle::Sleep(None));
    }

    #[test]
    fn an_idle_guest_sleeps_until_the_host_time_of_its_deadline() {
        let mut clock = realtime();
        assert_eq!(clock.idle(Some(10 * MS)), Idle::Sleep(Some(510 * MS)));
        clock.begin(510 * MS, 0, 100_000, Some(10 * MS));
        assert_eq!(clock.idle(Some(10 * MS)), Idle::Jumped);
        assert_eq!(clock.now(), 10 * MS);
    }

    #[test]
    fn after_a_long_sleep_every_deadline_is_still_seen_in_order() {
        let mut clock = realtime();
        clock.idle(Some(10 * MS));
        clock.begin(535 * MS, 0, 100_000, Some(10 * MS));
        assert_eq!(clock.now(), 10 * MS);
        assert_eq!(clock.idle(Some(20 * MS)), Idle::Jumped);
        assert_eq!(clock.idle(Some(40 * MS)), Idle::Sleep(Some(540 * MS)));
        assert_eq!(clock.now(), 35 * MS);
    }

    #[test]
    fn a_pause_of_an_hour_is_not_lived_through() {
        let mut clock = realtime();
        clock.begin(3_600_000 * MS, 1_000_000, 100_000, None);
        assert_eq!(clock.idle(None), Idle::Sleep(None));
        assert_eq!(clock.now(), 1000 * MS);
    }

    #[test]
    fn guest_time_settles_on_host_time_whatever_the_processors_speed() {
        for ns_per_instruction in [3u64, 40] {
            let mut clock = realtime();
            let (mut host, mut instructions) = (500 * MS, 0);
            for _ in 0..2000 {
                clock.advance(100_000);
                instructions += 100_000;
                host += 100_000 * ns_per_instruction;
                let before = clock.now();
                clock.begin(host, instructions, 100_000, None);
                assert!(clock.now() >= before);
            }
            let error = (host - 500 * MS).abs_diff(clock.now());
            assert!(error < 20 * MS, "{error} ns off at {ns_per_instruction} ns an instruction");
        }
    }
}
