//! One comparator of the HPET (specification, 2.3.8 and 2.3.9).

use super::ROUTABLE_PINS;
use serde::{Deserialize, Serialize};

const LEVEL: u64 = 1 << 1;
const INTERRUPT: u64 = 1 << 2;
const PERIODIC: u64 = 1 << 3;
const SET_VALUE: u64 = 1 << 6;
const MODE_32_BIT: u64 = 1 << 8;
const ROUTE_SHIFT: u32 = 9;
const ROUTE: u64 = 0x1f << ROUTE_SHIFT;
/// Writable bits but the route.
const WRITABLE: u64 = LEVEL | INTERRUPT | PERIODIC | SET_VALUE | MODE_32_BIT;
/// Periodic and 64-bit capable, and the pins it can be routed to.
const CAPABILITIES: u64 = (ROUTABLE_PINS as u64) << 32 | 1 << 5 | 1 << 4;
const FIRST_ROUTE: u64 = ROUTABLE_PINS.trailing_zeros() as u64;

/// A guest that asks for a shorter period gets this one (10 us): it could not do anything else, nor could the host.
const SHORTEST_PERIOD: u64 = 1000;

/// A comparator; all values are ticks of the main counter.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Comparator {
    configuration: u64,
    comparator: u64,
    /// What is added to the comparator when a periodic one fires.
    period: u64,
    edge: bool,
}

impl Default for Comparator {
    fn default() -> Comparator {
        Comparator { configuration: FIRST_ROUTE << ROUTE_SHIFT, comparator: u64::MAX, period: 0, edge: false }
    }
}

impl Comparator {
    pub(super) fn is_valid(&self) -> bool {
        self.configuration & !(WRITABLE | ROUTE) == 0 && ROUTABLE_PINS & 1 << self.route() != 0
    }

    pub(super) fn configuration(&self) -> u64 {
        self.configuration | CAPABILITIES
    }

    pub(super) fn comparator(&self) -> u64 {
        self.comparator
    }

    pub(super) fn route(&self) -> u8 {
        ((self.configuration & ROUTE) >> ROUTE_SHIFT) as u8
    }

    pub(super) fn is_level(&self) -> bool {
        self.configuration & LEVEL != 0
    }

    fn is_periodic(&self) -> bool {
        self.configuration & PERIODIC != 0
    }

    /// The bits of counter and comparator that are compared.
    fn width(&self) -> u64 {
        if self.configuration & MODE_32_BIT != 0 { u32::MAX.into() } else { u64::MAX }
    }

    pub(super) fn take_edge(&mut self) -> bool {
        std::mem::take(&mut self.edge)
    }

    pub(super) fn write_configuration(&mut self, value: u64, mask: u64) {
        let written = self.configuration & !mask | value;
        let wanted = (written & ROUTE) >> ROUTE_SHIFT;
        // A route the timer does not have is not taken; software notices when it reads back (2.3.8).
        let route = if ROUTABLE_PINS >> wanted & 1 != 0 { wanted << ROUTE_SHIFT } else { self.configuration & ROUTE };
        self.configuration = written & WRITABLE | route;
        self.comparator &= self.width();
        self.period &= self.width();
    }

    /// In periodic mode the value is the period, and the next match as well while the "set value" bit asks for it.
    pub(super) fn write_comparator(&mut self, value: u64, mask: u64) {
        let merge = |old: u64, width: u64| (old & !mask | value) & width;
        let width = self.width();
        if !self.is_periodic() || self.configuration & SET_VALUE != 0 {
            self.comparator = merge(self.comparator, width);
        }
        if self.is_periodic() {
            self.period = merge(self.period, width);
        }
        self.configuration &= !SET_VALUE;
    }

    /// Ticks from `counter` to the next match; `None` where it never comes. A match now is over.
    fn ticks_to_match(&self, counter: u64) -> Option<u64> {
        let distance = self.comparator.wrapping_sub(counter) & self.width();
        if distance != 0 { Some(distance) } else { self.width().checked_add(1) }
    }

    /// Ticks until it interrupts.
    pub(super) fn ticks_to_interrupt(&self, counter: u64) -> Option<u64> {
        if self.configuration & INTERRUPT == 0 {
            return None;
        }
        let wait = self.ticks_to_match(counter)?;
        let hasty = self.is_periodic() && self.period < SHORTEST_PERIOD;
        Some(if hasty { wait.max(SHORTEST_PERIOD) } else { wait })
    }

    /// The counter runs from `counter` for `elapsed` ticks; answers whether an interrupt was raised.
    pub(super) fn advance(&mut self, counter: u64, elapsed: u64) -> bool {
        let Some(wait) = self.ticks_to_match(counter).filter(|&wait| wait <= elapsed) else { return false };
        if self.is_periodic() && self.period != 0 {
            let periods = (elapsed - wait) / self.period + 1;
            let ahead = periods.wrapping_mul(self.period);
            self.comparator = self.comparator.wrapping_add(ahead) & self.width();
        }
        let interrupts = self.configuration & INTERRUPT != 0;
        self.edge |= interrupts && !self.is_level();
        interrupts
    }
}
