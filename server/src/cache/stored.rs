//! An answer as it is kept: as the backend gave it, before it is shaped for one client or one era.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::backend::Answer;
use crate::protocol::raw::Raw;

/// A kept answer.
#[derive(Clone, Debug)]
pub struct Stored {
    pub answer: Answer,
    /// Milliseconds since the epoch after which it is of no use.
    expires: u64,
}

/// What stands in front of a kept answer: the first of its kind.
const VERSION: u8 = 1;

impl Stored {
    /// Keeps a copy: a part of a larger buffer would keep all of that.
    #[must_use]
    pub fn new(answer: &Answer, ttl: Duration) -> Self {
        let legacy = answer.legacy.as_ref().map(Raw::copied);
        let answer = Answer { result: answer.result.copied(), legacy, ..answer.clone() };
        Self { answer, expires: now().saturating_add(millis(ttl)) }
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
        let mut bytes = Vec::with_capacity(17 + result.len() + legacy.map_or(0, Bytes::len));
        bytes.push(VERSION);
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
        let (head, body) = (bytes.get(..17)?, bytes.slice(17..));
        let (version, numbers) = head.split_first()?;
        let (expires, length) = numbers.split_at_checked(8)?;
        let expires = u64::from_be_bytes(expires.try_into().ok()?);
        let length = usize::try_from(u64::from_be_bytes(length.try_into().ok()?)).ok()?;
        if *version != VERSION || length > body.len() {
            return None;
        }
        let object = |bytes: Bytes| Raw::check(bytes).ok().filter(|raw| raw.bytes().first() == Some(&b'{'));
        let result = object(body.slice(..length))?;
        let legacy = match body.slice(length..) {
            rest if rest.is_empty() => None,
            rest => Some(object(rest)?),
        };
        Some(Self { answer: Answer { result, legacy, is_error: false }, expires })
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
        Answer { result, legacy, is_error: false }
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
    fn does_not_keep_the_buffer_that_it_was_part_of() {
        let buffer = Bytes::from(vec![b' '; 1 << 20]);
        let whole = Bytes::from([&buffer[..], b"{}"].concat());
        let part = Raw::check(whole.slice(1 << 20..)).unwrap();
        let stored = Stored::new(&Answer { result: part, legacy: None, is_error: false }, Duration::ZERO);
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
        other[17] = b'[';
        assert!(Stored::decode(&other.into()).is_none(), "no object");
    }
}
