//! What a deserializer says, in the words of whoever wrote the file.

/// One of serde's messages without the words of Rust. Messages of our own types stay as they are.
pub(super) fn plainly(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown variant ")
        && let Some((written, allowed)) = rest.split_once(", expected ")
    {
        let allowed =
            allowed.strip_prefix("one of ").unwrap_or(allowed).replace(" or ", ", ").replace('`', "");
        return format!("{} is not one of {allowed}", written.replace('`', "\""));
    }
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match rest.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((given, wanted)) => format!("{} is not {}", of_given(given), of_wanted(wanted)),
        None => message.to_owned(),
    }
}

fn of_given(given: &str) -> String {
    match given {
        "sequence" => "a list".to_owned(),
        "map" => "a map".to_owned(),
        "null" | "unit value" | "Option value" => "nothing at all".to_owned(),
        _ => given
            .trim_start_matches("boolean ")
            .trim_start_matches("integer ")
            .trim_start_matches("floating point ")
            .trim_start_matches("string ")
            .replace('`', ""),
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
            ("invalid type: sequence, expected a string", "a list is not a text"),
            ("invalid type: boolean `false`, expected string or map", "false is not a text"),
            ("invalid type: string \"x\", expected struct LogFile", "\"x\" is not a map of settings"),
            (
                "invalid type: string \"a, expected b\", expected u32",
                "\"a, expected b\" is not a whole number from 0 on that fits",
            ),
            ("invalid value: integer `-1`, expected u32", "-1 is not a whole number from 0 on that fits"),
            ("invalid type: null, expected struct HttpProcess", "nothing at all is not a map of settings"),
            (
                "unknown variant `Loud`, expected one of `Trace`, `Debug`",
                "\"Loud\" is not one of Trace, Debug",
            ),
            ("unknown variant `on`, expected `On` or `Off`", "\"on\" is not one of On, Off"),
            ("\"soon\" is not a duration", "\"soon\" is not a duration"),
            ("missing field `name`", "missing field `name`"),
        ] {
            assert_eq!(super::plainly(message), plain);
        }
    }
}
