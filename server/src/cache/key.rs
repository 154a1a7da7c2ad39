//! Under what an answer is found again.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use crate::auth::principal::{Caller, PrincipalKind};
use crate::cache::canonical::canonical;

/// The hash of everything on which an answer depends. Who does not have all of it does not get the answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// Who may get an answer.
#[derive(Clone, Copy, Debug)]
pub enum Audience<'a> {
    /// Everybody who may ask.
    Everybody,
    /// Only the caller who asked; all who did not say who they are count as one.
    Only(&'a Caller),
}

impl Key {
    /// The key of a question to `target` of a method, whose definition and settings have this fingerprint. None where
    /// the arguments are no JSON, which is not worth remembering.
    #[must_use]
    pub fn new(
        method: &str,
        target: &str,
        fingerprint: &[u8; 32],
        audience: Audience<'_>,
        arguments: Option<&str>,
    ) -> Option<Self> {
        let mut hash = Context::new(&SHA256);
        // Each part tells its length first: no two lists of parts are the same bytes.
        let mut part = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(b"1");
        part(method.as_bytes());
        part(target.as_bytes());
        part(fingerprint);
        match audience {
            Audience::Everybody => part(b"everybody"),
            Audience::Only(caller) => match caller.principal.as_deref() {
                None => part(b"nobody"),
                Some(principal) => {
                    part(match principal.kind {
                        PrincipalKind::ApiKey => b"key",
                        PrincipalKind::Token => b"token",
                    });
                    part(principal.id.as_bytes());
                }
            },
        }
        // A call without arguments is one with no arguments in it.
        part(&canonical(arguments.unwrap_or("{}"))?);
        let mut key = [0; 32];
        key.copy_from_slice(hash.finish().as_ref());
        Some(Self(key))
    }

    /// As a shared store calls it.
    #[must_use]
    pub fn name(&self, prefix: &str) -> String {
        format!("{prefix}:cache:{self:?}")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A hash of what decides about answers besides the question: the definition of a tool, and its settings.
#[must_use]
pub fn fingerprint(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(hash.finish().as_ref());
    fingerprint
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::principal::Principal;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn caller(kind: PrincipalKind, id: &str) -> Caller {
        let principal = Principal::new(id, kind);
        Caller { principal: Some(Arc::new(principal)), address: None }
    }

    type Parts = (String, String, bool, Option<(bool, String)>, u8);

    fn key(parts: &Parts) -> Key {
        let (target, text, public, who, generation) = parts;
        let caller = who.as_ref().map_or_else(Caller::default, |(token, id)| {
            caller(if *token { PrincipalKind::Token } else { PrincipalKind::ApiKey }, id)
        });
        let audience = if *public { Audience::Everybody } else { Audience::Only(&caller) };
        let arguments = serde_json::to_string(text).unwrap();
        Key::new("tools/call", target, &[*generation; 32], audience, Some(&arguments)).unwrap()
    }

    fn parts() -> impl Strategy<Value = Parts> {
        let who = prop::option::of((any::<bool>(), "[ab:]{0,3}"));
        ("[ab]{0,2}", "[ab:\"]{0,2}", any::<bool>(), who, 0_u8..2)
    }

    proptest! {
        #[test]
        fn nobody_gets_the_answer_to_another_question_or_of_another_caller(one in parts(), other in parts()) {
            let same_audience = (one.2 && other.2) || (!one.2 && !other.2 && one.3 == other.3);
            let same = one.0 == other.0 && one.1 == other.1 && one.4 == other.4 && same_audience;
            prop_assert_eq!(key(&one) == key(&other), same, "{:?} {:?}", one, other);
        }
    }

    #[test]
    fn no_arguments_are_an_empty_object_and_nonsense_has_no_key() {
        let key = |arguments| Key::new("tools/call", "t", &[0; 32], Audience::Everybody, arguments);
        assert_eq!(key(None), key(Some(" { } ")));
        assert_eq!(key(Some("{")), None);
        assert_eq!(key(None).unwrap().name("mcp:x").len(), "mcp:x:cache:".len() + 64);
    }
}
