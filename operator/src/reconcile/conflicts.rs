//! Names that were taken when we last looked: foreign objects are outside our watches, and each look costs a request.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mcp_desired::Taken;
use tokio::time::Instant;

/// How long an answer counts. An edit of the resource asks anew at once.
pub const LOOK_AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Seen {
    taken: Taken,
    generation: i64,
    at: Instant,
}

/// What was in the way, by uid of the McpServer and kind of the child.
#[derive(Debug, Default)]
pub struct Conflicts {
    seen: Mutex<HashMap<String, HashMap<String, Seen>>>,
}

impl Conflicts {
    /// What was found under this name, if that was lately and for this generation of the resource.
    pub fn get(&self, uid: &str, generation: i64, kind: &str) -> Option<Taken> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.get(uid)?.get(kind)?;
        (seen.generation == generation && seen.at.elapsed() < LOOK_AGAIN).then(|| seen.taken.clone())
    }

    /// Remembers what is in the way.
    pub fn insert(&self, uid: &str, generation: i64, taken: &Taken) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = Seen { taken: taken.clone(), generation, at: Instant::now() };
        seen.entry(uid.to_owned()).or_default().insert(taken.kind.clone(), entry);
    }

    /// Nothing is in the way of this McpServer, or it is gone.
    pub fn forget(&self, uid: &str) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// Forgets every McpServer that is not among the living.
    pub fn retain(&self, living: &HashSet<String>) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| living.contains(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_for_a_minute_and_for_one_generation() {
        let conflicts = Conflicts::default();
        let taken = Taken {
            kind: "ConfigMap".to_owned(),
            name: "a-config".to_owned(),
            reason: "somebody's".to_owned(),
        };
        conflicts.insert("u", 1, &taken);
        assert_eq!(conflicts.get("u", 1, "ConfigMap"), Some(taken));
        assert_eq!(conflicts.get("u", 2, "ConfigMap"), None);
        assert_eq!(conflicts.get("u", 1, "Service"), None);
        tokio::time::advance(LOOK_AGAIN).await;
        assert_eq!(conflicts.get("u", 1, "ConfigMap"), None);
    }
}
