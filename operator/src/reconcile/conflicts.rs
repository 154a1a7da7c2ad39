//! Names that were taken when we last looked: foreign objects are outside our watches, and each look costs a request.

use std::collections::HashMap;
use std::time::Duration;

use mcp_desired::Taken;
use tokio::time::Instant;

/// How long an answer counts. An edit of the resource asks anew at once.
pub const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long the first answer about a Secret counts. No watch shows the end of one, not even of one that a former resource of the same name
/// left to the garbage collector; so it is looked for soon at first, and then each time after twice as long, up to [`LOOK_AGAIN`].
const SECRET: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Seen {
    taken: Taken,
    generation: i64,
    at: Instant,
    /// When it was found in the way first.
    since: Instant,
}

impl Seen {
    /// How long this answer counts still.
    fn left(&self) -> Duration {
        let counts = if self.taken.kind == "Secret" {
            (self.at - self.since).clamp(SECRET, LOOK_AGAIN)
        } else {
            LOOK_AGAIN
        };
        counts.saturating_sub(self.at.elapsed())
    }
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
        (seen.generation == generation && !seen.left().is_zero()).then(|| seen.taken.clone())
    }

    /// Remembers what is in the way.
    pub fn insert(&mut self, generation: i64, taken: &Taken) {
        let at = Instant::now();
        let before = self.seen.get(&taken.kind).filter(|before| before.generation == generation);
        let since = before.map_or(at, |before| before.since);
        self.seen.insert(taken.kind.clone(), Seen { taken: taken.clone(), generation, at, since });
    }

    /// When to look again.
    pub fn again(&self) -> Duration {
        self.seen.values().map(Seen::left).filter(|left| !left.is_zero()).min().unwrap_or(LOOK_AGAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_secret_is_looked_for_soon_and_then_ever_more_rarely() {
        let mut conflicts = Conflicts::default();
        let name = "a-api-key".to_owned();
        let taken = Taken { kind: "Secret".to_owned(), name, reason: "somebody's".to_owned() };
        let mut looks = Vec::new();
        for _ in 0..8 {
            conflicts.insert(1, &taken);
            looks.push(conflicts.again().as_secs());
            tokio::time::advance(conflicts.again()).await;
            assert_eq!(conflicts.get(1, "Secret"), None);
        }
        assert_eq!(looks, [2, 2, 4, 8, 16, 32, 60, 60]);
    }

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
