//! Kubernetes' quantities as numbers: `500m`, `0.5` and `5e-1` are one amount, and the API server writes it its way.

/// An amount in billionths, the finest grain that a quantity has; none where the text is not a quantity or does not
/// fit, and then only the same text is the same amount.
#[must_use]
pub fn nanos(text: &str) -> Option<i128> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let number_length = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, suffix) = text.split_at(number_length);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (factor, exponent) = scale(suffix)?;
    let exponent = exponent + 9 - i32::try_from(fraction.len()).ok()?;
    let scaled = digits.checked_mul(factor)?;
    let amount = match u32::try_from(exponent) {
        Ok(exponent) => scaled.checked_mul(10_i128.checked_pow(exponent)?)?,
        // Finer than a billionth: the API server rounds up, away from zero.
        Err(_) => {
            let divisor = 10_i128.checked_pow(exponent.unsigned_abs())?;
            scaled / divisor + i128::from(scaled % divisor != 0)
        }
    };
    Some(if negative { -amount } else { amount })
}

/// Whether two texts are the same amount.
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    a == b || nanos(a).is_some_and(|amount| nanos(b) == Some(amount))
}

/// Whether an amount is more than another; false where either is not a quantity.
#[must_use]
pub fn exceeds(a: &str, b: &str) -> bool {
    matches!((nanos(a), nanos(b)), (Some(a), Some(b)) if a > b)
}

/// A suffix as a factor and a power of ten.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [(&str, i32); 10] = [
        ("n", -9),
        ("u", -6),
        ("m", -3),
        ("", 0),
        ("k", 3),
        ("M", 6),
        ("G", 9),
        ("T", 12),
        ("P", 15),
        ("E", 18),
    ];
    if let Some(power) = BINARY.iter().position(|unit| *unit == suffix) {
        return Some((1 << (10 * (power + 1)), 0));
    }
    if let Some((_, exponent)) = DECIMAL.iter().find(|(unit, _)| *unit == suffix) {
        return Some((1, *exponent));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?;
    (-30..=30).contains(&exponent).then_some((1, exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        for (a, b) in [
            ("500m", "0.5"),
            ("1", "1000m"),
            ("1Gi", "1024Mi"),
            ("64Mi", "67108864"),
            ("1e3", "1k"),
            ("1.5Gi", "1536Mi"),
            ("0.1m", "100u"),
            ("1E", "1e18"),
            ("+1", "1"),
            (".5", "500m"),
            ("5.", "5"),
            ("0.1n", "1n"),
        ] {
            assert!(same(a, b), "{a} {b}: {:?} {:?}", nanos(a), nanos(b));
        }
        for (a, b) in [("1", "2"), ("1k", "1Ki"), ("1", "-1"), ("x", "y"), ("1", "1.0.0"), ("1", "1Zi")] {
            assert!(!same(a, b), "{a} {b}");
        }
        assert!(exceeds("64Mi", "32Mi") && !exceeds("64Mi", "64Mi") && !exceeds("x", "1"));
    }
}
