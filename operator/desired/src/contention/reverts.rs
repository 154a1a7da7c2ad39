//! When to revert a field, and when to wait. The time is an argument, counted from any fixed moment.

use std::{collections::BTreeMap, time::Duration};

use super::Contention;
use crate::Difference;

/// Reverts of one field within [`WINDOW`] that are made at once; the next one waits.
pub const TOLERATED: usize = 3;
/// The time in which reverts are counted, and without another change until a contention counts as over.
pub const WINDOW: Duration = Duration::from_secs(60);
/// The first wait.
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// The longest wait.
pub const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// The field that stands for the whole child when another operator wants it different.
pub(super) const WHOLE: &str = "metadata.annotations.mcp-operator.dev/desired-hash";

/// What to do about a child that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Write it.
    Write,
    /// Leave it: every field that differs is contended, and its wait has not passed.
    Wait,
}

/// The reverts of the children of one `McpServer`. It lives in memory: after a restart, a contention is met anew.
#[derive(Clone, Debug, Default)]
pub struct Reverts {
    children: BTreeMap<String, Child>,
}

#[derive(Clone, Debug, Default)]
struct Child {
    /// The desired hash of the last write.
    written: Option<String>,
    fields: BTreeMap<String, Field>,
}

#[derive(Clone, Debug, Default)]
struct Field {
    /// When the field was reverted, the last [`WINDOW`] of it.
    reverts: Vec<Duration>,
    /// Waits so far; 0 while the field is not contended.
    waits: u32,
    /// The end of the wait.
    until: Duration,
    /// When it was last seen to differ.
    seen: Duration,
    /// The API server's answer to the last write had another value than the write.
    overruled: bool,
    /// Who writes it, once that was looked up.
    contention: Option<Contention>,
}

impl Field {
    fn wait(&mut self, now: Duration) {
        self.until =
            now + FIRST_WAIT.saturating_mul(2_u32.saturating_pow(self.waits.min(16))).min(LONGEST_WAIT);
        self.waits = self.waits.saturating_add(1);
    }

    /// Whether the field may be written now.
    fn is_free(&mut self, now: Duration) -> bool {
        self.seen = now;
        self.reverts.retain(|at| *at + WINDOW > now);
        if self.waits == 0 && self.reverts.len() >= TOLERATED {
            self.wait(now);
        }
        self.until <= now
    }

    /// Whether the other writer has stopped, given that the field has the wanted value now.
    fn is_over(&self, now: Duration) -> bool {
        self.seen + WINDOW <= now
    }
}

impl Reverts {
    /// Whether to write the child of this kind, which differs in this way. `hash` is the desired hash.
    pub fn decide(&mut self, kind: &str, difference: &Difference, hash: &str, now: Duration) -> Decision {
        let child = self.children.entry(kind.to_owned()).or_default();
        let fields = child.contested(difference, hash);
        if fields.is_empty() {
            return Decision::Write;
        }
        let mut free = false;
        for field in fields {
            // Every field is asked: each has a wait of its own.
            free |= child.fields.entry(field).or_default().is_free(now);
        }
        if free { Decision::Write } else { Decision::Wait }
    }

    /// The child was written: `before` is how it differed, `after` how the API server's answer still does.
    pub fn wrote(&mut self, kind: &str, before: &Difference, after: &Difference, hash: &str, now: Duration) {
        let child = self.children.entry(kind.to_owned()).or_default();
        let reverted = child.contested(before, hash);
        let overruled = match after {
            Difference::Drifted(fields) => fields.clone(),
            Difference::None | Difference::Missing | Difference::Outdated(_) => Vec::new(),
        };
        child.written = Some(hash.to_owned());
        for name in &reverted {
            let field = child.fields.entry(name.clone()).or_default();
            field.reverts.push(now);
            field.seen = now;
            field.overruled = false;
            if field.waits > 0 && field.until <= now && !overruled.contains(name) {
                field.wait(now);
            }
        }
        for name in overruled {
            let field = child.fields.entry(name).or_default();
            field.overruled = true;
            field.seen = now;
            if field.until <= now {
                field.wait(now);
            }
        }
    }

    /// Nothing of the child differs; what has been so for long enough is forgotten.
    pub fn settled(&mut self, kind: &str, now: Duration) {
        if let Some(child) = self.children.get_mut(kind) {
            child.fields.retain(|_, field| !field.is_over(now));
        }
    }

    /// The contended fields of a child whose writer was not looked up yet, with whether the API server overruled the write.
    #[must_use]
    pub fn unexplained(&self, kind: &str) -> Vec<(String, bool)> {
        let fields = self.children.get(kind).into_iter().flat_map(|child| &child.fields);
        fields
            .filter(|(_, field)| field.waits > 0 && field.contention.is_none())
            .map(|(name, field)| (name.clone(), field.overruled))
            .collect()
    }

    /// Remembers who writes a field.
    pub fn explained(&mut self, contention: Contention) {
        let child = self.children.get_mut(&contention.kind);
        if let Some(field) = child.and_then(|child| child.fields.get_mut(&contention.field)) {
            field.contention = Some(contention);
        }
    }

    /// Everything that is contended, in a fixed order.
    #[must_use]
    pub fn contentions(&self) -> Vec<Contention> {
        let fields = self.children.values().flat_map(|child| child.fields.values());
        let mut all: Vec<_> = fields.filter_map(|field| field.contention.clone()).collect();
        all.sort();
        all
    }

    /// When to look again without any event: at the end of a wait, or when a contention can be forgotten.
    #[must_use]
    pub fn again(&self, now: Duration) -> Option<Duration> {
        let fields = self.children.values().flat_map(|child| child.fields.values());
        fields
            .filter(|field| field.waits > 0)
            .flat_map(|field| [field.until, field.seen + WINDOW])
            .filter_map(|at| at.checked_sub(now).filter(|left| !left.is_zero()))
            .min()
    }
}

impl Child {
    /// The fields of this difference that another writer changed since the last write.
    fn contested(&self, difference: &Difference, hash: &str) -> Vec<String> {
        match difference {
            Difference::Drifted(fields) => fields.clone(),
            // This process wrote the current state, and another hash was written over it: only an operator does that.
            Difference::Outdated(_) if self.written.as_deref() == Some(hash) => vec![WHOLE.to_owned()],
            Difference::None | Difference::Missing | Difference::Outdated(_) => Vec::new(),
        }
    }
}
