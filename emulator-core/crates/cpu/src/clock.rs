//! Guest time within a run, derived from retired instructions.

use platform::Nanos;

/// Guest time as a linear function of retired instructions, set anew at the start of every run.
#[derive(Clone, Copy, Default)]
pub(crate) struct SliceClock {
    start: Nanos,
    retired_at_start: u64,
    ns_per_kilo_instruction: u32,
}

impl SliceClock {
    pub(crate) fn new(start: Nanos, retired_at_start: u64, ns_per_kilo_instruction: u32) -> SliceClock {
        SliceClock { start, retired_at_start, ns_per_kilo_instruction }
    }

    /// What guest time follows from where of `limit` instructions in all some are left: see [`crate::compiled::Context::time`].
    pub(crate) fn before(self, limit: u64) -> [u64; 3] {
        [self.start, limit - self.retired_at_start, u64::from(self.ns_per_kilo_instruction)]
    }

    /// Guest time when `retired` instructions have retired in all.
    pub(crate) fn at(self, retired: u64) -> Nanos {
        self.start + (retired - self.retired_at_start) * u64::from(self.ns_per_kilo_instruction) / 1000
    }
}
