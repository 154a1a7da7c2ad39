//! Bytes that are no text: which of them a model can see or hear, and what text is in another character set than UTF-8.

use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8};
use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The media type of an answer (RFC 9110, 8.3.1).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MediaType {
    /// Type and subtype in small letters; empty where there is none.
    pub(super) essence: String,
    /// Absent where it is UTF-8, or not known.
    charset: Option<&'static Encoding>,
}

/// What is not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    Image,
    Audio,
}

impl MediaType {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let label = value.trim().trim_matches('"').as_bytes();
            name.trim().eq_ignore_ascii_case("charset").then(|| Encoding::for_label(label)).flatten()
        });
        Self { essence, charset: charset.filter(|charset| *charset != UTF_8) }
    }

    /// The body in UTF-8. It is returned as it is where it should be UTF-8 already, or where what it is in is not known.
    ///
    /// # Errors
    /// Where it has bytes that its character set does not have.
    pub(super) fn in_utf8(&self, body: &Bytes) -> Result<Bytes, ()> {
        const MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe"];
        let marked = self.medium(body).is_none() && MARKS.iter().any(|mark| body.starts_with(mark));
        if self.charset.is_none() && !marked {
            return Ok(body.clone());
        }
        // A byte order mark counts more than what was declared (WHATWG Encoding, "decode").
        match self.charset.unwrap_or(UTF_8).decode(body) {
            (_, _, true) => Err(()),
            (text, _, false) => Ok(text.into_owned().into()),
        }
    }

    /// Whether it is an image or sound: by its media type, or by how it begins where that says nothing.
    pub(super) fn medium(&self, body: &[u8]) -> Option<(Medium, &str)> {
        match self.essence.as_str() {
            "" | "application/octet-stream" | "binary/octet-stream" => sniff(body),
            markup if markup.ends_with("+xml") => None,
            image if image.starts_with("image/") => Some((Medium::Image, image)),
            audio if audio.starts_with("audio/") => Some((Medium::Audio, audio)),
            _ => None,
        }
    }

    /// What it is, for a message.
    pub(super) fn name(&self) -> &str {
        if self.essence.is_empty() { "bytes without a media type" } else { &self.essence }
    }
}

/// Images and sound, by their first bytes (WHATWG MIME Sniffing, 6).
pub(super) fn sniff(body: &[u8]) -> Option<(Medium, &'static str)> {
    let riff = |form: &[u8]| body.starts_with(b"RIFF") && body.get(8..12) == Some(form);
    Some(match body {
        _ if body.starts_with(b"\x89PNG\r\n\x1a\n") => (Medium::Image, "image/png"),
        _ if body.starts_with(b"\xff\xd8\xff") => (Medium::Image, "image/jpeg"),
        _ if body.starts_with(b"GIF87a") || body.starts_with(b"GIF89a") => (Medium::Image, "image/gif"),
        _ if riff(b"WEBP") => (Medium::Image, "image/webp"),
        _ if riff(b"WAVE") => (Medium::Audio, "audio/wav"),
        _ if body.starts_with(b"OggS\0") => (Medium::Audio, "audio/ogg"),
        _ if body.starts_with(b"fLaC") => (Medium::Audio, "audio/flac"),
        _ if body.starts_with(b"ID3") => (Medium::Audio, "audio/mpeg"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(text: &str) -> MediaType {
        MediaType::of(&HeaderMap::from_iter([(CONTENT_TYPE, text.parse().unwrap())]))
    }

    #[test]
    fn a_character_set_is_read_and_what_it_does_not_have_is_refused() {
        for (kind, bytes, expected) in [
            ("text/plain; charset=ISO-8859-1", &b"gr\xfc\xdfe"[..], Some("grüße")),
            ("text/plain;Charset=\"windows-1252\"", b"\x80", Some("€")),
            ("application/json; charset=utf-16le", b"1\x002\x00", Some("12")),
            ("text/plain; charset=shift_jis", b"\x93\xfa", Some("日")),
            ("text/plain; charset=shift_jis", b"\x93", None),
            ("text/plain", b"\xef\xbb\xbfa", Some("a")),
            ("text/plain", b"\xff\xfea\x00", Some("a")),
            ("text/plain; charset=utf-8", "ü".as_bytes(), Some("ü")),
            ("text/plain; charset=nothing-known", b"a", Some("a")),
        ] {
            let text = media(kind).in_utf8(&Bytes::copy_from_slice(bytes)).ok();
            assert_eq!(text.as_deref(), expected.map(str::as_bytes), "{kind}");
        }
        // What is not text at all is somebody else's to judge.
        let png = Bytes::from_static(b"\x89PNG\r\n\x1a\n\xff");
        assert_eq!(media("image/png").in_utf8(&png), Ok(png));
    }

    #[test]
    fn what_can_be_seen_or_heard_is_known_by_its_type_and_else_by_how_it_begins() {
        for (kind, bytes, expected) in [
            ("image/png", &b"x"[..], Some((Medium::Image, "image/png"))),
            ("IMAGE/Webp; q=1", b"x", Some((Medium::Image, "image/webp"))),
            ("audio/mpeg", b"x", Some((Medium::Audio, "audio/mpeg"))),
            ("image/svg+xml", b"<svg/>", None),
            ("text/plain", b"GIF89a", None),
            ("application/pdf", b"%PDF", None),
            ("application/octet-stream", b"\x89PNG\r\n\x1a\n", Some((Medium::Image, "image/png"))),
            ("application/octet-stream", b"RIFF0000WAVE", Some((Medium::Audio, "audio/wav"))),
            ("application/octet-stream", b"RIFF", None),
        ] {
            assert_eq!(media(kind).medium(bytes), expected, "{kind}");
        }
        assert_eq!(MediaType::of(&HeaderMap::new()).name(), "bytes without a media type");
    }
}
