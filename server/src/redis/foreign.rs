//! Keys under this server's names that hold something else than it keeps there: another program has the same prefix, or
//! an older one had. Questions about such a key fail for as long as it is there, while all others succeed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::{Arg, Cmd, RedisError};

use crate::redis::{Link, Redis, User};

/// Keys that are remembered at a time: one is enough to see what is wrong.
const MOST: usize = 16;

/// The keys that were seen, and are looked at until they are gone.
#[derive(Debug, Default)]
pub(super) struct Foreign(Mutex<BTreeMap<String, Found>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    user: User,
    /// The type that the key has; absent until it was looked at.
    has: Option<String>,
}

impl Foreign {
    /// Takes note of the keys of a question that failed; false where all of them are known.
    pub(super) fn suspect(&self, user: User, question: &Cmd) -> bool {
        let mut keys = self.keys();
        let mut new = false;
        for key in keys_of(question) {
            if keys.len() < MOST && !keys.contains_key(&key) {
                keys.insert(key, Found { user, has: None });
                new = true;
            }
        }
        new
    }

    /// What is wrong, for whoever looks; only as far as it matters to `user`, where there is one.
    pub(super) fn trouble(&self, user: Option<User>) -> Option<String> {
        let keys = self.keys();
        let mut wrong = keys.iter().filter_map(|(key, found)| {
            let has = found.has.as_ref().filter(|_| user.is_none_or(|user| user == found.user))?;
            Some((key, has, found.user))
        });
        let (key, has, user) = wrong.next()?;
        let more = match wrong.count() {
            0 => String::new(),
            count => format!(" (and {count} more keys)"),
        };
        Some(format!(
            "the key {key:?} in Redis holds a {has} where this server keeps a {}{more}; delete it, or set redis.keyPrefix \
             to one that no other program uses",
            expected(user)
        ))
    }

    /// Forgets all keys, as for another server.
    pub(super) fn clear(&self) {
        self.keys().clear();
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<String, Found>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Redis {
    /// Looks at the keys that are suspected: which are of the wrong type, and which have been put right.
    pub(super) async fn look_at_foreign_keys(&self, link: &Arc<Link>) {
        let known: Vec<_> = {
            let keys = self.foreign.keys();
            keys.iter().map(|(key, found)| (key.clone(), found.clone())).collect()
        };
        for (key, found) in known {
            let mut command = redis::cmd("TYPE");
            command.arg(&key);
            let has = match self.ask_once::<String>(link, User::Heartbeat, &command).await {
                Ok(has) if has == "none" || has == expected(found.user) => {
                    self.foreign.keys().remove(&key);
                    continue;
                }
                Ok(has) => has,
                // The user may not look; that something is wrong is known.
                Err(_) => "value of another type".to_owned(),
            };
            if found.has.as_ref() != Some(&has) {
                tracing::warn!(
                    key,
                    has,
                    expected = expected(found.user),
                    "a key in Redis is of the wrong type; delete it, or set redis.keyPrefix"
                );
                if let Some(found) = self.foreign.keys().get_mut(&key) {
                    found.has = Some(has);
                }
            }
        }
    }
}

/// Whether an answer says that a key has the wrong type. Redis 6 says so of a script inside another message.
pub(super) fn is_wrong_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE") || error.detail().is_some_and(|detail| detail.contains("WRONGTYPE"))
}

/// The type of the keys that are kept for a user, as `TYPE` calls it.
const fn expected(user: User) -> &'static str {
    match user {
        User::Limit | User::Cache => "string",
        User::Heartbeat => "zset",
    }
}

/// The keys that a question names: of a script those that it was given, else the first argument.
fn keys_of(question: &Cmd) -> Vec<String> {
    let arguments: Vec<_> = question
        .args_iter()
        .map(|argument| match argument {
            Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        })
        .collect();
    let (from, count) = match arguments.first().map(String::as_str) {
        Some("EVAL" | "EVALSHA") => (3, arguments.get(2).and_then(|count| count.parse().ok()).unwrap_or(0)),
        _ => (1, 1),
    };
    arguments.into_iter().skip(from).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_questions() {
        let mut get = redis::cmd("GET");
        get.arg("a");
        assert_eq!(keys_of(&get), ["a"]);
        let mut script = redis::cmd("EVALSHA");
        script.arg("hash").arg(2).arg("a").arg("b").arg("c");
        assert_eq!(keys_of(&script), ["a", "b"]);
    }
}
