//! Points in time as log lines show them, in UTC. The date is worked out once a second and thread.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    seconds: u64,
    nanos: u32,
}

const LENGTH: usize = "2026-11-24T23:39:00".len();

thread_local! {
    static SECOND: Cell<(u64, [u8; LENGTH])> = const { Cell::new((u64::MAX, [b'0'; LENGTH])) };
}

impl Moment {
    pub(crate) fn now() -> Self {
        // A clock before 1970 is told as 1970.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { seconds: since.as_secs(), nanos: since.subsec_nanos() }
    }

    /// `2026-11-24T23:39:00.123456Z` (RFC 3339).
    pub(crate) fn write_rfc3339(self, line: &mut String) {
        self.write(line, 'T', '.', self.nanos / 1000, 6);
        line.push('Z');
    }

    /// `2026-11-24 23:39:00,123`, as Python's `asctime`.
    pub(super) fn write_asctime(self, line: &mut String) {
        self.write(line, ' ', ',', self.nanos / 1_000_000, 3);
    }

    pub(super) fn millis(self) -> f64 {
        f64::from(self.nanos / 1_000_000)
    }

    /// Seconds since the epoch.
    #[expect(clippy::cast_precision_loss, reason = "microseconds are told apart until the year 2255")]
    pub(super) fn timestamp(self) -> f64 {
        self.seconds as f64 + f64::from(self.nanos) / 1e9
    }

    fn write(self, line: &mut String, between: char, point: char, fraction: u32, digits: usize) {
        let (second, mut text) = SECOND.get();
        if second != self.seconds {
            text = date_and_time(self.seconds);
            SECOND.set((self.seconds, text));
        }
        let text = std::str::from_utf8(&text).unwrap_or_default();
        let (date, time) = text.split_at(10);
        line.push_str(date);
        line.push(between);
        line.push_str(&time[1..]);
        line.push(point);
        let mut buffer = [b'0'; 6];
        let mut rest = fraction;
        for digit in buffer[..digits].iter_mut().rev() {
            *digit = digit_of(rest);
            rest /= 10;
        }
        line.push_str(std::str::from_utf8(&buffer[..digits]).unwrap_or_default());
    }
}

fn digit_of(number: u32) -> u8 {
    b'0' + u8::try_from(number % 10).unwrap_or_default()
}

/// `2026-11-24T23:39:00`. The days are counted from the first of March, so that a leap day is the last of its year.
fn date_and_time(seconds: u64) -> [u8; LENGTH] {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let mut text = *b"0000-00-00T00:00:00";
    let mut put = |at: usize, digits: usize, number: u64| {
        let mut rest = u32::try_from(number).unwrap_or_default();
        for digit in text[at..at + digits].iter_mut().rev() {
            *digit = digit_of(rest);
            rest /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, month);
    put(8, 2, day);
    put(11, 2, second / 3600);
    put(14, 2, second / 60 % 60);
    put(17, 2, second % 60);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_on_the_days_that_are_easily_wrong() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_709_164_800, "2024-02-29T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (1_735_689_600, "2025-01-01T00:00:00"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(std::str::from_utf8(&date_and_time(seconds)).unwrap(), expected);
        }
    }

    #[test]
    fn fractions_are_cut_and_filled() {
        let moment = Moment { seconds: 1_735_689_599, nanos: 7_045_999 };
        let mut line = String::new();
        moment.write_rfc3339(&mut line);
        line.push('|');
        moment.write_asctime(&mut line);
        assert_eq!(line, "2024-12-31T23:59:59.007045Z|2024-12-31 23:59:59,007");
    }
}
