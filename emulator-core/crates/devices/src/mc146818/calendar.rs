//! Seconds since 1970 to the fields of a clock and back, in the proleptic Gregorian calendar.

/// Seconds in a day; clocks know no leap seconds.
pub(super) const DAY_SECONDS: u64 = 86_400;
/// The end of the year 9999.
pub(super) const LAST_SECOND: u64 = 253_402_300_799;

const MONTH_DAYS: [u8; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const FIRST_YEAR: u16 = 1970;
const LAST_YEAR: u16 = 9999;

/// What a clock shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Calendar {
    pub(super) second: u8,
    pub(super) minute: u8,
    pub(super) hour: u8,
    /// 1 is Sunday.
    pub(super) weekday: u8,
    /// 1 to 31.
    pub(super) day: u8,
    /// 1 to 12.
    pub(super) month: u8,
    pub(super) year: u16,
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn month_days(year: u16, month: u8) -> u64 {
    let leap_day = u64::from(month == 2 && is_leap(year));
    u64::from(MONTH_DAYS[usize::from(month - 1)]) + leap_day
}

/// Days from 1970-01-01 to January 1 of `year`.
fn days_before(year: u16) -> u64 {
    let leap_years_through = |last: u64| last / 4 - last / 100 + last / 400;
    let (first, year) = (u64::from(FIRST_YEAR), u64::from(year));
    (year - first) * 365 + leap_years_through(year - 1) - leap_years_through(first - 1)
}

impl Calendar {
    pub(super) fn from_unix(seconds: u64) -> Calendar {
        let seconds = seconds.min(LAST_SECOND);
        let (days, time) = (seconds / DAY_SECONDS, seconds % DAY_SECONDS);
        // 366-day years put the guess at or before the right year, and less than eight years before it.
        let mut year = FIRST_YEAR + (days / 366) as u16;
        while year < LAST_YEAR && days_before(year + 1) <= days {
            year += 1;
        }
        let mut day = days - days_before(year);
        let mut month = 1;
        while day >= month_days(year, month) {
            day -= month_days(year, month);
            month += 1;
        }
        Calendar {
            second: (time % 60) as u8,
            minute: (time / 60 % 60) as u8,
            hour: (time / 3600) as u8,
            // 1970-01-01 was a Thursday.
            weekday: ((days + 4) % 7) as u8 + 1,
            day: day as u8 + 1,
            month,
            year,
        }
    }

    /// Seconds since 1970; fields a calendar does not have are taken to the nearest it has.
    pub(super) fn to_unix(self) -> u64 {
        let year = self.year.clamp(FIRST_YEAR, LAST_YEAR);
        let month = self.month.clamp(1, 12);
        let day = u64::from(self.day).clamp(1, month_days(year, month));
        let whole_months: u64 = (1..month).map(|month| month_days(year, month)).sum();
        let days = days_before(year) + whole_months + day - 1;
        let (hour, minute, second) = (self.hour.min(23), self.minute.min(59), self.second.min(59));
        days * DAY_SECONDS + u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second)
    }
}

/// Seconds from the time of day `start` to the first that matches, `start` included; `None` matches everything.
/// Answers `None` when no time of day matches.
pub(super) fn seconds_until(start: u64, hour: Option<u64>, minute: Option<u64>, second: Option<u64>) -> Option<u64> {
    let matches = |wanted: Option<u64>, value: u64| wanted.is_none_or(|wanted| wanted == value);
    let mut time = start;
    // Skip whole hours, then whole minutes: at most some 200 steps to get around the day.
    while time <= start + DAY_SECONDS {
        let of_day = time % DAY_SECONDS;
        if !matches(hour, of_day / 3600) {
            time += 3600 - of_day % 3600;
        } else if !matches(minute, of_day / 60 % 60) {
            time += 60 - of_day % 60;
        } else if !matches(second, of_day % 60) {
            time += 1;
        } else {
            return Some(time - start);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_convert_both_ways() {
        // From `date -u -d @N`.
        let known = [
            (0, (1970, 1, 1, 0, 0, 0, 5)),
            (951_782_400, (2000, 2, 29, 0, 0, 0, 3)),
            (1_000_000_000, (2001, 9, 9, 1, 46, 40, 1)),
            (1_735_689_599, (2024, 12, 31, 23, 59, 59, 3)),
            (4_107_542_400, (2100, 3, 1, 0, 0, 0, 2)),
            (LAST_SECOND, (9999, 12, 31, 23, 59, 59, 6)),
        ];
        for (unix, (year, month, day, hour, minute, second, weekday)) in known {
            let calendar = Calendar { second, minute, hour, weekday, day, month, year };
            assert_eq!(Calendar::from_unix(unix), calendar);
            assert_eq!(calendar.to_unix(), unix);
        }
    }

    #[test]
    fn nonsense_is_taken_to_a_time_that_exists() {
        let nonsense = Calendar { second: 255, minute: 99, hour: 77, weekday: 0, day: 31, month: 2, year: 2023 };
        let shown = Calendar::from_unix(nonsense.to_unix());
        assert_eq!((shown.day, shown.hour, shown.minute, shown.second), (28, 23, 59, 59));
        assert_eq!(Calendar { year: 0, month: 0, day: 0, ..nonsense }.to_unix() / DAY_SECONDS, 0);
    }

    #[test]
    fn an_alarm_waits_for_its_time_of_day() {
        assert_eq!(seconds_until(0, Some(1), Some(2), Some(3)), Some(3723));
        assert_eq!(seconds_until(3724, Some(1), Some(2), Some(3)), Some(DAY_SECONDS - 1));
        assert_eq!(seconds_until(59, None, None, Some(0)), Some(1));
        assert_eq!(seconds_until(59, None, None, None), Some(0));
        assert_eq!(seconds_until(7, None, Some(61), None), None);
        assert_eq!(seconds_until(3723, Some(1), Some(2), Some(2)), Some(DAY_SECONDS - 1));
    }
}
