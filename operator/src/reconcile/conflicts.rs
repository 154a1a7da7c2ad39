//! Names that were taken when we last looked: foreign objects are outside our watches, and each look costs a request.

use std::collections::HashMap;
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

/// What was in the way of one McpServer, by kind of the child.
#[derive(Debug, Default)]
pub struct Conflicts {
    seen: HashMap<String, Seen>,
}

impl Conflicts {
    /// What was found under this name, if that was lately and for this generation of the resource.
    pub fn get(&self, generation: i64, kind: &str) -> Option<Taken> {
        let seen = self.seen.get(kind)?;
        (seen.generation == generation && seen.at.elapsed() < LOOK_AGAIN).then(|| seen.taken.clone())
    }

    /// Remembers what is in the way.
    pub fn insert(&mut self, generation: i64, taken: &Taken) {
        let seen = Seen { taken: taken.clone(), generation, at: Instant::now() };
        self.seen.insert(taken.kind.clone(), seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_for_a_minute_and_for_one_generation() {
        let mut conflicts = Conflicts::default();
        let taken = Taken {
            kind: "ConfigMap".to_owned(),
            name: "a-config".to_owned(),
            reason: "somebody's".to_owned(),
        };
        conflicts.insert(1, &taken);
        assert_eq!(conflicts.get(1, "ConfigMap"), Some(taken));
        assert_eq!(conflicts.get(2, "ConfigMap"), None);
        assert_eq!(conflicts.get(1, "Service"), None);
        tokio::time::advance(LOOK_AGAIN).await;
        assert_eq!(conflicts.get(1, "ConfigMap"), None);
    }
}
