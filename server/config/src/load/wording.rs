//! What a deserializer says, in the words of whoever wrote the file. Values are never repeated: any of them could be a
//! secret that stands in the wrong place.

/// One of serde's messages without the words of Rust and without the value. Messages of our own types stay as they are.
#[must_use]
pub fn plainly(message: &str) -> String {
    if message.starts_with("unknown variant ") {
        // What was written may hold the separator, the list of what is allowed cannot.
        let Some((written, allowed)) = message.rsplit_once(", expected ") else {
            return "is not one of the words that are allowed here".to_owned();
        };
        let allowed = allowed.strip_prefix("one of ").unwrap_or(allowed);
        let allowed: Vec<_> = allowed
            .split([',', '`'])
            .flat_map(|word| word.split(" or "))
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        let written = written.trim_start_matches("unknown variant ").trim_matches('`');
        let meant = super::nearest::word(written, &allowed).map(|word| format!("; did you mean {word}?"));
        return format!("is not one of {}{}", allowed.join(", "), meant.unwrap_or_default());
    }
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match rest.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((given, wanted)) => format!("is {}, not {}", of_given(given), of_wanted(wanted)),
        None if rest.is_some() || message.starts_with("unknown field ") => "does not fit here".to_owned(),
        None => message.to_owned(),
    }
}

/// The kind of what was written.
fn of_given(given: &str) -> &'static str {
    match given.split([' ', '`']).next().unwrap_or_default() {
        "sequence" => "a list",
        "map" => "a map",
        "null" | "unit" | "Option" => "nothing at all",
        "boolean" => "true or false",
        "integer" | "floating" => "a number",
        "string" | "character" => "a text",
        _ => "something else",
    }
}

fn of_wanted(wanted: &str) -> &str {
    match wanted {
        "string or map" | "a string" | "string" => "a text",
        "a sequence" => "a list",
        "a boolean" => "true or false",
        "i8" | "i16" | "i32" | "i64" => "a whole number that fits",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0 on that fits",
        "f32" | "f64" => "a number",
        _ if wanted.starts_with("struct ") => "a map of settings",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nobody_has_to_know_rust() {
        for (message, plain) in [
            ("invalid type: sequence, expected a string", "is a list, not a text"),
            ("invalid type: boolean `false`, expected string or map", "is true or false, not a text"),
            ("invalid type: string \"canary\", expected struct LogFile", "is a text, not a map of settings"),
            (
                "invalid type: string \"a, expected b\", expected u32",
                "is a text, not a whole number from 0 on that fits",
            ),
            (
                "invalid value: integer `-1`, expected u32",
                "is a number, not a whole number from 0 on that fits",
            ),
            ("invalid type: null, expected struct HttpProcess", "is nothing at all, not a map of settings"),
            ("unknown variant `Loud`, expected one of `Trace`, `Debug`", "is not one of Trace, Debug"),
            (
                "unknown variant `trace`, expected one of `Trace`, `Debug`",
                "is not one of Trace, Debug; did you mean Trace?",
            ),
            ("unknown variant `x, expected y`, expected `On` or `Off`", "is not one of On, Off"),
            ("is not a duration", "is not a duration"),
            ("missing field `name`", "missing field `name`"),
        ] {
            assert_eq!(super::plainly(message), plain);
        }
    }
}
