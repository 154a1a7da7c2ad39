//! What a secret is known by: its SHA-256.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

/// The SHA-256 of a key or a token. Keys and tokens have far too many bits to be found from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(digest(&SHA256, secret).as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// Reads hexadecimal or base64; none where it is neither, or not 32 bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = match text.len() {
            64 => from_hex(text)?,
            44 => BASE64_STANDARD.decode(text).ok()?,
            43 => BASE64_URL_SAFE_NO_PAD.decode(text).ok()?,
            _ => return None,
        };
        bytes.try_into().ok().map(Self)
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// In hexadecimal, as `sha256sum` writes it.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |pair: &[u8]| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok();
    text.as_bytes().chunks_exact(2).map(pair).collect()
}

// It identifies a secret: logs have no use for it.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_in_both_spellings() {
        let print = Fingerprint::of(b"abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(print.to_hex(), hex);
        for text in [hex.to_owned(), hex.to_uppercase(), BASE64_STANDARD.encode(print.bytes())] {
            assert_eq!(Fingerprint::parse(&text), Some(print), "{text}");
        }
        assert_eq!(Fingerprint::parse(&BASE64_URL_SAFE_NO_PAD.encode(print.bytes())), Some(print));
        for wrong in ["", "abc", &hex[1..], &format!("{}g", &hex[1..]), &"é".repeat(32), &"=".repeat(44)] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }
}
