//! What one process remembers of each McpServer. All of it can be lost: a restarted operator works it out again.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One value for each McpServer, by its uid: a resource of the same name that was made anew starts with nothing.
#[derive(Debug)]
pub struct ByUid<T> {
    values: Mutex<HashMap<String, T>>,
}

impl<T> Default for ByUid<T> {
    fn default() -> Self {
        Self { values: Mutex::default() }
    }
}

impl<T> ByUid<T> {
    /// Remembers this, in place of what was remembered before.
    pub fn insert(&self, uid: &str, value: T) {
        self.lock().insert(uid.to_owned(), value);
    }

    /// Looks at, or changes, what is remembered; a resource that is new gets the default first.
    pub fn with<R>(&self, uid: &str, change: impl FnOnce(&mut T) -> R) -> R
    where
        T: Default,
    {
        change(self.lock().entry(uid.to_owned()).or_default())
    }

    /// What is remembered.
    pub fn get(&self, uid: &str) -> Option<T>
    where
        T: Clone,
    {
        self.lock().get(uid).cloned()
    }

    /// Nothing is remembered of this resource any more.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Nothing is remembered of resources that are not among the living.
    pub fn retain(&self, living: &HashSet<String>) {
        self.lock().retain(|uid, _| living.contains(uid));
    }

    /// How many resources something is remembered of.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, T>> {
        // A panic under the lock leaves single values behind that are whole.
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_live_as_long_as_their_resource() {
        let memory = ByUid::<u32>::default();
        memory.with("a", |value| *value += 1);
        memory.insert("b", 7);
        memory.insert("c", 8);
        memory.forget("c");
        memory.retain(&HashSet::from(["a".to_owned()]));
        assert_eq!((memory.get("a"), memory.get("b"), memory.len()), (Some(1), None, 1));
    }
}
