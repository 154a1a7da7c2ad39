//! Which key was meant by one that means nothing.

use serde::de::value::{Error, MapAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserialize, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use crate::{Path, ProcessConfig, ServiceConfig, compat, path::Segment};

/// The key beside `path` whose name is so near that it was probably meant.
pub(super) fn key(path: &Path) -> Option<Path> {
    let (Segment::Key(written), above) = (path.segments().last()?, path.parent()?) else { return None };
    let known = known::<ServiceConfig>(&above).into_iter().chain(known::<ProcessConfig>(&above));
    let classic = compat::keys().map(Path::of).filter(|key| key.parent().as_ref() == Some(&above));
    let classic = classic.filter_map(|key| match key.segments().last() {
        Some(Segment::Key(name)) => Some(name.clone()),
        _ => None,
    });
    nearest(written, known.map(str::to_owned).chain(classic)).map(|name| above.key(name))
}

/// The nearest of some words, if any is near.
pub(super) fn word<'w>(written: &str, words: &[&'w str]) -> Option<&'w str> {
    let found = nearest(written, words.iter().map(|word| (*word).to_owned()))?;
    words.iter().find(|word| **word == found).copied()
}

/// The nearest of some names, if any is near: spelt alike, or the one that holds all of what was written.
fn nearest(written: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let wanted = plain(written);
    let near = |name: String| {
        let known = plain(&name);
        let distance = strsim::osa_distance(&wanted, &known);
        let bound = (wanted.chars().count() / 3).clamp(1, 3);
        let part = wanted.len() >= 4 && known.contains(&wanted);
        (distance <= bound || part).then_some((distance, name))
    };
    known.filter_map(near).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// The names of the fields at `path`, as the types themselves tell them to whoever deserializes them.
fn known<T: for<'de> Deserialize<'de>>(path: &Path) -> Vec<&'static str> {
    let mut fields = Vec::new();
    // It never comes to a value: the way ends with an error.
    let _ended = T::deserialize(Probe { path: path.segments(), fields: &mut fields });
    fields
}

/// A document in which there is nothing but the way to one place. There it takes down which fields are asked for.
struct Probe<'a> {
    path: &'a [Segment],
    fields: &'a mut Vec<&'static str>,
}

fn end() -> Error {
    de::Error::custom("the end of the way")
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(end())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.path.split_first() {
            Some((Segment::Index(_), path)) => {
                visitor.visit_seq(Step { path, key: None, fields: self.fields })
            }
            _ => Err(end()),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.path.split_first() {
            None => {
                self.fields.extend(fields);
                Err(end())
            }
            Some((Segment::Key(key), path)) if fields.contains(&key.as_str()) => {
                let step = Step { path, key: Some(key), fields: self.fields };
                MapAccessDeserializer::new(step).deserialize_any(visitor)
            }
            Some(_) => Err(end()),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        tuple tuple_struct map enum identifier ignored_any
    }
}

/// The one entry of a map, or the one item of a list, that the way goes through.
struct Step<'a> {
    path: &'a [Segment],
    key: Option<&'a str>,
    fields: &'a mut Vec<&'static str>,
}

impl<'de> MapAccess<'de> for Step<'_> {
    type Error = Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let key: Option<StrDeserializer<'_, Error>> =
            self.key.take().map(IntoDeserializer::into_deserializer);
        key.map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(Probe { path: self.path, fields: self.fields })
    }
}

impl<'de> SeqAccess<'de> for Step<'_> {
    type Error = Error;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        seed.deserialize(Probe { path: self.path, fields: self.fields }).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_was_meant() {
        let header = Path::of("tools").index(3).key("http").key("headers").index(1);
        for (written, meant) in [
            (Path::of("auth.keys"), Some("auth.apiKeys")),
            (Path::of("auth.apikeys"), Some("auth.apiKeys")),
            (Path::of("auth.api_keys_fil"), Some("auth.api_keys_file")),
            (Path::of("rateLimit.requestPerMinute"), Some("rateLimit.requestsPerMinute")),
            (Path::of("servername"), Some("serverName")),
            (Path::of("server_nam"), Some("serverName")),
            (Path::of("shutdown.dely"), Some("shutdown.delay")),
            (Path::of("http.adress"), Some("http.address")),
            (Path::of("http.max_body"), Some("http.maxBody")),
            (Path::of("tools").index(0).key("discription"), Some("tools[0].description")),
            (header.key("secrets"), Some("tools[3].http.headers[1].secret")),
            (Path::of("colour"), None),
            (Path::of("auth.colour.depth"), None),
        ] {
            let shown = key(&written).map(|path| path.to_string());
            assert_eq!(shown.as_deref(), meant, "{written}");
        }
    }
}
