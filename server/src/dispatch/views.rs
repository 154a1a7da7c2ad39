//! The list of tools as each caller may see it: written once for each set of rules, not for each caller.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::auth::principal::Principal;
use crate::auth::rules::{RuleSet, Rules, Standing};
use crate::backend::Catalogue;
use crate::dispatch::lists::List;
use crate::protocol::capabilities::CacheScope;
use crate::protocol::raw::Raw;

/// Lists that are kept. Callers differ in few ways, though there are many of them; whoever comes with yet another set of
/// rules has the list written anew each time.
const MAX_VIEWS: usize = 64;

/// What callers see under the rules in force.
pub struct Views {
    rules: Arc<Rules>,
    tools: Vec<(Arc<str>, Raw)>,
    stamp: Bytes,
    written: RwLock<HashMap<RuleSet, Arc<List>>>,
}

impl Views {
    #[must_use]
    pub fn new(rules: Arc<Rules>, catalogue: &Catalogue, stamp: &Bytes) -> Self {
        let tools =
            catalogue.tools.iter().map(|entry| (entry.name.clone(), entry.definition.clone())).collect();
        Self { rules, tools, stamp: stamp.clone(), written: RwLock::default() }
    }

    /// The tools that a caller may call, with some arguments at least.
    #[must_use]
    pub fn tools(&self, principal: Option<&Principal>) -> Arc<List> {
        let set = self.rules.of_caller(principal);
        if let Some(list) = self.written.read().unwrap_or_else(PoisonError::into_inner).get(&set) {
            return list.clone();
        }
        let visible =
            self.tools.iter().filter(|(name, _)| self.rules.standing(set, name) != Standing::Denied);
        // What one caller sees is nothing for the caches of others.
        let definitions = visible.map(|(_, definition)| definition);
        let list = Arc::new(List::new("tools", definitions, &self.stamp, CacheScope::Private));
        let mut written = self.written.write().unwrap_or_else(PoisonError::into_inner);
        if written.len() < MAX_VIEWS {
            written.insert(set, list.clone());
        }
        list
    }
}

impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Views").field("rules", &self.rules).finish_non_exhaustive()
    }
}
