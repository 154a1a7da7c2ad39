//! Durations as people write them in a sentence: `250 ms`, `1.5 s`, `12 s`, `2 min 5 s`, `3 h`.

use std::fmt;
use std::time::Duration;

/// A duration for a message. It is rounded: below ten seconds to two digits or so, above a minute to whole seconds, above
/// an hour to whole minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Human(pub(crate) Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let millis = rounded(micros, 1000);
        let tenths = rounded(millis, 100);
        let seconds = rounded(millis, 1000);
        let minutes = rounded(seconds, 60);
        match () {
            () if micros == 0 => f.write_str("0 s"),
            () if micros < 1000 => write!(f, "{micros} µs"),
            () if millis < 1000 => write!(f, "{millis} ms"),
            () if tenths < 100 && !tenths.is_multiple_of(10) => {
                write!(f, "{}.{} s", tenths / 10, tenths % 10)
            }
            () if tenths < 100 => write!(f, "{} s", tenths / 10),
            () if seconds < 60 => write!(f, "{seconds} s"),
            () if seconds < 3600 => two(f, seconds / 60, "min", seconds % 60, "s"),
            () => two(f, minutes / 60, "h", minutes % 60, "min"),
        }
    }
}

fn two(f: &mut fmt::Formatter<'_>, large: u128, unit: &str, small: u128, part: &str) -> fmt::Result {
    write!(f, "{large} {unit}")?;
    if small == 0 { Ok(()) } else { write!(f, " {small} {part}") }
}

const fn rounded(number: u128, unit: u128) -> u128 {
    (number + unit / 2) / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        for (micros, text) in [
            (0, "0 s"),
            (1, "1 µs"),
            (999, "999 µs"),
            (1000, "1 ms"),
            (250_000, "250 ms"),
            (999_400, "999 ms"),
            (999_600, "1 s"),
            (1_500_000, "1.5 s"),
            (9_960_000, "10 s"),
            (11_986_760, "12 s"),
            (59_400_000, "59 s"),
            (59_600_000, "1 min"),
            (125_000_000, "2 min 5 s"),
            (3_599_900_000, "1 h"),
            (12_000_000_000, "3 h 20 min"),
            (86_400_000_000, "24 h"),
        ] {
            assert_eq!(Human(Duration::from_micros(micros)).to_string(), text, "{micros}");
        }
    }
}
