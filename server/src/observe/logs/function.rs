//! In which function an event stands.

/// Files and the lines of their events, with the function around each; made by `build.rs`.
static FUNCTIONS: &[(&str, &[(u32, &str)])] = include!(concat!(env!("OUT_DIR"), "/functions.rs"));

/// What Python's `logging` says of code outside of a function, and what is said of an event whose function is not known:
/// one of another crate.
pub(crate) const UNKNOWN: &str = "<module>";

/// The function around the event of this crate at a line of a file, as the compiler names both.
pub(crate) fn at(file: &str, line: u32) -> &'static str {
    // In front of it stands where the crate was compiled.
    let Some(begin) = file.rfind("src/") else { return UNKNOWN };
    let found = FUNCTIONS
        .binary_search_by(|(known, _)| (*known).cmp(&file[begin..]))
        .ok()
        .and_then(|at| FUNCTIONS.get(at))
        .and_then(|(_, lines)| Some(lines[lines.binary_search_by_key(&line, |(known, _)| *known).ok()?].1));
    found.unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(line: u32) -> &'static str {
        at(file!(), line)
    }

    #[test]
    fn an_event_knows_its_function() {
        let closure = || here(line!());
        assert_eq!(closure(), "an_event_knows_its_function");
        fn inner() -> &'static str {
            here(line!())
        }
        assert_eq!(inner(), "inner");
        assert_eq!(here(line!()), "an_event_knows_its_function", "an inner function has ended");
        assert_eq!(here(1), UNKNOWN);
        assert_eq!(at("/elsewhere/src/no_such_file.rs", 1), UNKNOWN);
    }

    #[test]
    fn files_and_lines_are_in_order() {
        assert!(FUNCTIONS.is_sorted_by_key(|(file, _)| *file));
        assert!(FUNCTIONS.iter().all(|(_, lines)| lines.is_sorted_by_key(|(line, _)| *line)));
        assert!(FUNCTIONS.len() > 20);
    }
}
