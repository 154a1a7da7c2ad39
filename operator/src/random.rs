//! Randomness from the one crypto library: keys, and the jitter of waits.

use aws_lc_rs::rand;

use crate::error::Error;

/// The 256 random bits of an API key.
///
/// # Errors
/// The system gives no random bytes.
pub fn key() -> Result<[u8; 32], Error> {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}

/// A number in `0.0..1.0` for jitter. Without randomness it is the middle: waits then lose their spread, not their length.
pub fn fraction() -> f64 {
    let mut bytes = [0_u8; 4];
    match rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ() {
        assert_ne!(key().unwrap(), key().unwrap());
    }

    #[test]
    fn a_fraction_stays_below_one() {
        for _ in 0..1000 {
            assert!((0.0..1.0).contains(&fraction()));
        }
    }
}
