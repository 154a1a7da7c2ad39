//! An answer as it is kept: as the backend gave it, before it is shaped for one client or one era.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::backend::{Answer, Hints};
use crate::protocol::capabilities::CacheScope;
use crate::protocol::raw::Raw;

/// A kept answer.
#[derive(Clone, Debug)]
pub struct Stored {
    answer: Answer,
    /// Milliseconds since the epoch after which it is of no use.
    expires: u64,
}

/// What stands in front of a kept answer: the first of its kind.
const VERSION: u8 = 1;

/// Marks that the answer has another form for older clients.
const HAS_LEGACY: u8 = 0x10;

/// Length of everything that stands in front of the results.
const HEAD: usize = 18;

/// For whom an answer says that it stays true; how long, says its expiry.
fn hints_as_byte(hints: Option<Hints>) -> u8 {
    match hints.map(|hints| hints.scope) {
        None => 0,
        Some(None) => 1,
        Some(Some(CacheScope::Private)) => 2,
        Some(Some(CacheScope::Public)) => 3,
    }
}

fn hints_of_byte(byte: u8) -> Option<Option<Hints>> {
    let scope = match byte {
        0 => return Some(None),
        1 => None,
        2 => Some(CacheScope::Private),
        3 => Some(CacheScope::Public),
        _ => return None,
    };
    Some(Some(Hints { ttl_ms: 0, scope }))
}

impl Stored {
    /// Keeps a copy: a part of a larger buffer would keep all of that.
    #[must_use]
    pub fn new(answer: &Answer, ttl: Duration) -> Self {
        let legacy = answer.legacy.as_ref().map(Raw::copied);
        let answer = Answer { result: answer.result.copied(), legacy, ..answer.clone() };
        Self { answer, expires: now().saturating_add(millis(ttl)) }
    }

    /// The answer. Where it says how long it stays true, that is as long as it is still kept.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let mut answer = self.answer.clone();
        if let Some(hints) = &mut answer.hints {
            hints.ttl_ms = millis(self.left());
        }
        answer
    }

    /// How long it is of use.
    #[must_use]
    pub fn left(&self) -> Duration {
        Duration::from_millis(self.expires.saturating_sub(now()))
    }

    /// What it takes in memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let legacy = self.answer.legacy.as_ref().map_or(0, |raw| raw.bytes().len());
        size_of::<Self>() + self.answer.result.bytes().len() + legacy
    }

    /// As bytes, for a store elsewhere.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let result = self.answer.result.bytes();
        let legacy = self.answer.legacy.as_ref().map(Raw::bytes);
        let mut bytes = Vec::with_capacity(HEAD + result.len() + legacy.map_or(0, Bytes::len));
        bytes.extend_from_slice(&[
            VERSION,
            hints_as_byte(self.answer.hints) | if legacy.is_some() { HAS_LEGACY } else { 0 },
        ]);
        bytes.extend_from_slice(&self.expires.to_be_bytes());
        bytes.extend_from_slice(&(result.len() as u64).to_be_bytes());
        bytes.extend_from_slice(result);
        if let Some(legacy) = legacy {
            bytes.extend_from_slice(legacy);
        }
        bytes
    }

    /// From bytes. None where they are of another version, or nonsense: whoever can write into the store is not trusted
    /// to write JSON.
    #[must_use]
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        let (head, body) = (bytes.get(..HEAD)?, bytes.slice(HEAD..));
        let ([version, flags], numbers) = head.split_first_chunk()?;
        let (expires, length) = numbers.split_at_checked(8)?;
        let expires = u64::from_be_bytes(expires.try_into().ok()?);
        let length = usize::try_from(u64::from_be_bytes(length.try_into().ok()?)).ok()?;
        if *version != VERSION || length > body.len() {
            return None;
        }
        let object = |bytes: Bytes| Raw::check(bytes).ok().filter(|raw| raw.bytes().first() == Some(&b'{'));
        let result = object(body.slice(..length))?;
        let legacy = match body.slice(length..) {
            rest if flags & HAS_LEGACY != 0 => Some(object(rest)?),
            rest if rest.is_empty() => None,
            _ => return None,
        };
        let mut answer = Answer::new(result).with_legacy(legacy);
        answer.hints = hints_of_byte(flags & !HAS_LEGACY)?;
        Some(Self { answer, expires })
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(legacy: bool) -> Answer {
        let result = Raw::of(&json!({"content": [], "structuredContent": [1]}));
        let legacy = legacy.then(|| Raw::of(&json!({"content": []})));
        Answer::new(result).with_legacy(legacy)
    }

    #[test]
    fn comes_back_as_it_was() {
        for legacy in [true, false] {
            let stored = Stored::new(&answer(legacy), Duration::from_secs(60));
            let back = Stored::decode(&stored.encode().into()).unwrap();
            assert_eq!(back.answer.result, stored.answer.result);
            assert_eq!(back.answer.legacy, stored.answer.legacy);
            assert_eq!(back.expires, stored.expires);
            assert!(back.left() > Duration::from_secs(50) && back.left() <= Duration::from_secs(60));
        }
    }

    #[test]
    fn what_it_says_of_itself_runs_down() {
        for scope in [None, Some(CacheScope::Private), Some(CacheScope::Public)] {
            let answer = answer(false).with_hints(Hints { ttl_ms: 60_000, scope });
            let stored = Stored::new(&answer, Duration::from_secs(30));
            for stored in [stored.clone(), Stored::decode(&stored.encode().into()).unwrap()] {
                let hints = stored.answer().hints.unwrap();
                assert_eq!(hints.scope, scope);
                assert!(hints.ttl_ms <= 30_000 && hints.ttl_ms > 20_000, "{hints:?}");
            }
        }
    }

    #[test]
    fn does_not_keep_the_buffer_that_it_was_part_of() {
        let buffer = Bytes::from(vec![b' '; 1 << 20]);
        let whole = Bytes::from([&buffer[..], b"{}"].concat());
        let part = Raw::check(whole.slice(1 << 20..)).unwrap();
        let stored = Stored::new(&Answer::new(part), Duration::ZERO);
        assert!(stored.answer.result.bytes().is_unique(), "nobody else holds it");
        assert!(stored.size() < 1024);
    }

    #[test]
    fn nonsense_is_no_answer() {
        let good = Stored::new(&answer(true), Duration::from_secs(60)).encode();
        assert!(Stored::decode(&good.clone().into()).is_some());
        for length in 0..good.len() {
            assert!(Stored::decode(&Bytes::copy_from_slice(&good[..length])).is_none(), "{length}");
        }
        let mut other = good.clone();
        other[0] = 2;
        assert!(Stored::decode(&other.into()).is_none(), "of another version");
        let mut other = good;
        other[HEAD] = b'[';
        assert!(Stored::decode(&other.into()).is_none(), "no object");
    }
}
