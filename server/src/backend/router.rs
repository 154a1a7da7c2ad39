//! Several backends behind one: each name has an owner.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all, select_all};
use mcp_server_config::uri_template::UriTemplate;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Backend, Call, CallError, Catalogue, Cx, Health, Outcome, Reference, Target};

/// Backends, in the order in which their offers are listed.
pub struct Router {
    backends: Vec<Arc<dyn Backend>>,
    table: ArcSwap<Table>,
    catalogue: watch::Sender<Arc<Catalogue>>,
    health: watch::Sender<Health>,
}

/// A name that two backends offer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {kind} {name:?} is offered twice; give each a name of its own")]
pub struct Duplicate {
    pub kind: &'static str,
    pub name: String,
}

/// Who owns what, by the index of the backend.
#[derive(Debug, Default)]
struct Table {
    tools: Owners,
    prompts: Owners,
    resources: HashMap<Arc<str>, usize>,
    /// In the order of the list: the first that fits a URI owns it.
    templates: Vec<(Arc<str>, UriTemplate, usize)>,
}

/// The owners of one kind of names.
#[derive(Debug, Default)]
enum Owners {
    #[default]
    Nobody,
    /// Everything belongs to one backend, which knows best what it has.
    One(usize),
    Several(HashMap<Arc<str>, usize>),
}

impl Router {
    /// Combines backends, and follows the changes of their catalogues for as long as anybody uses the result.
    ///
    /// # Errors
    /// Where two of them offer the same.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(backends: Vec<Arc<dyn Backend>>) -> Result<Arc<Self>, Duplicate> {
        let catalogues: Vec<_> = backends.iter().map(|backend| backend.catalogue()).collect();
        let healths: Vec<_> = backends.iter().map(|backend| backend.health()).collect();
        let now = current(&catalogues);
        if let Some(duplicate) = duplicate(&now) {
            return Err(duplicate);
        }
        let router = Arc::new(Self {
            table: ArcSwap::from_pointee(Table::new(&now)),
            catalogue: watch::Sender::new(Arc::new(merged(&now))),
            health: watch::Sender::new(combined(&healths)),
            backends,
        });
        let weak = Arc::downgrade(&router);
        tokio::spawn(async move {
            let mut catalogues = catalogues;
            while changed(&mut catalogues).await {
                let Some(router) = weak.upgrade() else { return };
                router.relist(&current(&catalogues));
            }
        });
        let weak = Arc::downgrade(&router);
        tokio::spawn(async move {
            let mut healths = healths;
            while changed(&mut healths).await {
                let Some(router) = weak.upgrade() else { return };
                router.health.send_replace(combined(&healths));
            }
        });
        Ok(router)
    }

    /// A name that two offer after a change belongs to the first; both at a start would have been refused.
    fn relist(&self, now: &[Arc<Catalogue>]) {
        if let Some(duplicate) = duplicate(now) {
            tracing::error!(%duplicate, "the one that comes first in the list is served");
        }
        self.table.store(Arc::new(Table::new(now)));
        self.catalogue.send_replace(Arc::new(merged(now)));
    }

    fn owner(&self, target: &Target) -> Option<&Arc<dyn Backend>> {
        let table = self.table.load();
        let index = match target {
            Target::Tool(name) => table.tools.of(name),
            Target::Prompt(name) => table.prompts.of(name),
            Target::Resource(uri) => table.resources.get(uri).copied().or_else(|| table.family(uri)),
            Target::Completion(completion) => match &completion.reference {
                Reference::Prompt(name) => table.prompts.of(name),
                Reference::Template(template) => {
                    table.templates.iter().find(|(text, ..)| text == template).map(|(.., owner)| *owner)
                }
            },
        };
        self.backends.get(index?)
    }
}

// === impl Router ===

impl Backend for Router {
    fn call(self: Arc<Self>, call: Call, cx: Cx) -> BoxFuture<'static, Result<Outcome, CallError>> {
        match self.owner(&call.target) {
            Some(owner) => Arc::clone(owner).call(call, cx),
            None => async { Err(CallError::Unknown) }.boxed(),
        }
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.subscribe()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    fn drain(&self, until: Instant) -> BoxFuture<'_, ()> {
        join_all(self.backends.iter().map(move |backend| backend.drain(until))).map(|_| ()).boxed()
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("backends", &self.backends.len()).finish_non_exhaustive()
    }
}

// === impl Table ===

impl Table {
    fn new(catalogues: &[Arc<Catalogue>]) -> Self {
        let templates = catalogues.iter().enumerate().flat_map(|(owner, catalogue)| {
            catalogue.templates.iter().filter_map(move |entry| {
                // One that cannot be read fits nothing.
                let template = UriTemplate::parse(&entry.uri_template).ok()?;
                Some((entry.uri_template.clone(), template, owner))
            })
        });
        Self {
            tools: Owners::new(catalogues, |catalogue| {
                catalogue.tools.iter().map(|entry| entry.name.clone()).collect()
            }),
            prompts: Owners::new(catalogues, |catalogue| {
                catalogue.prompts.iter().map(|entry| entry.name.clone()).collect()
            }),
            resources: owners(catalogues.iter().enumerate().flat_map(|(owner, catalogue)| {
                catalogue.resources.iter().map(move |entry| (entry.uri.clone(), owner))
            })),
            templates: templates.collect(),
        }
    }

    /// Who owns a resource that is not listed by itself.
    fn family(&self, uri: &str) -> Option<usize> {
        let mut families = self.templates.iter();
        families.find(|(_, template, _)| template.variables_of(uri).is_some()).map(|(.., owner)| *owner)
    }
}

impl Owners {
    fn new(catalogues: &[Arc<Catalogue>], names: impl Fn(&Catalogue) -> Vec<Arc<str>>) -> Self {
        let offers: Vec<_> = catalogues
            .iter()
            .enumerate()
            .map(|(owner, catalogue)| (owner, names(catalogue)))
            .filter(|(_, names)| !names.is_empty())
            .collect();
        match &offers[..] {
            [] => Self::Nobody,
            [(owner, _)] => Self::One(*owner),
            _ => Self::Several(owners(
                offers
                    .into_iter()
                    .flat_map(|(owner, names)| names.into_iter().map(move |name| (name, owner))),
            )),
        }
    }

    fn of(&self, name: &str) -> Option<usize> {
        match self {
            Self::Nobody => None,
            Self::One(owner) => Some(*owner),
            Self::Several(owners) => owners.get(name).copied(),
        }
    }
}

/// Each name with its first owner.
fn owners(offers: impl Iterator<Item = (Arc<str>, usize)>) -> HashMap<Arc<str>, usize> {
    let mut owners = HashMap::new();
    offers.for_each(|(name, owner)| {
        owners.entry(name).or_insert(owner);
    });
    owners
}

fn current(catalogues: &[watch::Receiver<Arc<Catalogue>>]) -> Vec<Arc<Catalogue>> {
    catalogues.iter().map(|catalogue| catalogue.borrow().clone()).collect()
}

fn merged(catalogues: &[Arc<Catalogue>]) -> Catalogue {
    catalogues.iter().fold(Catalogue::default(), |all, catalogue| all.and(catalogue))
}

/// The first name that is offered twice.
fn duplicate(catalogues: &[Arc<Catalogue>]) -> Option<Duplicate> {
    let all = merged(catalogues);
    let twice = |kind, names: Vec<&Arc<str>>| {
        let mut seen = std::collections::HashSet::new();
        let name = names.into_iter().find(|name| !seen.insert((*name).clone()))?;
        Some(Duplicate { kind, name: name.to_string() })
    };
    twice("tool", all.tools.iter().map(|entry| &entry.name).collect())
        .or_else(|| twice("prompt", all.prompts.iter().map(|entry| &entry.name).collect()))
        .or_else(|| twice("resource", all.resources.iter().map(|entry| &entry.uri).collect()))
        .or_else(|| {
            twice("resource template", all.templates.iter().map(|entry| &entry.uri_template).collect())
        })
}

fn combined(healths: &[watch::Receiver<Health>]) -> Health {
    let wrong: Vec<_> = healths
        .iter()
        .filter_map(|health| match &*health.borrow() {
            Health::Healthy => None,
            Health::Degraded(what) => Some(what.clone()),
        })
        .collect();
    if wrong.is_empty() { Health::Healthy } else { Health::Degraded(wrong.join("; ")) }
}

/// Waits until one of them has another value; false once a backend is gone, which is when the router is.
async fn changed<T: Clone + Send + Sync>(receivers: &mut [watch::Receiver<T>]) -> bool {
    if receivers.is_empty() {
        return false;
    }
    select_all(receivers.iter_mut().map(|receiver| receiver.changed().boxed())).await.0.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::principal::Caller;
    use crate::backend::{Answer, Completion, Entry, ResourceEntry, TemplateEntry};
    use crate::protocol::raw::Raw;
    use std::time::Duration;
    use tokio_util::sync::CancellationToken;

    /// Answers everything with its own name.
    struct Named {
        name: &'static str,
        catalogue: watch::Sender<Arc<Catalogue>>,
        health: watch::Sender<Health>,
    }

    impl Named {
        fn new(name: &'static str, tools: &[&str], resources: &[&str], templates: &[&str]) -> Arc<Self> {
            let definition = Raw::of(&name);
            let catalogue = Catalogue {
                tools: entries(tools),
                prompts: entries(tools),
                resources: resources
                    .iter()
                    .map(|uri| ResourceEntry { uri: (*uri).into(), definition: definition.clone() })
                    .collect(),
                templates: templates
                    .iter()
                    .map(|text| TemplateEntry {
                        uri_template: (*text).into(),
                        definition: definition.clone(),
                    })
                    .collect(),
                ..Catalogue::default()
            };
            let (catalogue, health) =
                (watch::Sender::new(Arc::new(catalogue)), watch::Sender::new(Health::Healthy));
            Arc::new(Self { name, catalogue, health })
        }
    }

    fn entries(names: &[&str]) -> Vec<Entry> {
        names.iter().map(|name| Entry { name: (*name).into(), definition: Raw::of(name) }).collect()
    }

    impl Backend for Named {
        fn call(self: Arc<Self>, _: Call, _: Cx) -> BoxFuture<'static, Result<Outcome, CallError>> {
            async move { Ok(Outcome::Complete(Answer::new(Raw::of(self.name)))) }.boxed()
        }

        fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
            self.catalogue.subscribe()
        }

        fn health(&self) -> watch::Receiver<Health> {
            self.health.subscribe()
        }

        fn drain(&self, _: Instant) -> BoxFuture<'_, ()> {
            async {}.boxed()
        }
    }

    async fn asked(router: &Arc<Router>, target: Target) -> Option<String> {
        let cx =
            Cx::new(Caller::default(), Instant::now() + Duration::from_secs(9), CancellationToken::new());
        match router.clone().call(Call::new(target, None), cx).await {
            Ok(Outcome::Complete(answer)) => Some(serde_json::from_str(answer.result.as_str()).unwrap()),
            Err(CallError::Unknown) => None,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn each_name_has_an_owner() {
        let one = Named::new("one", &["a", "b"], &["x://1"], &[]);
        let other = Named::new("other", &["c"], &[], &["x://{n}", "y://{n}"]);
        let router = Router::new(vec![one.clone(), other.clone()]).unwrap();
        let completion = |reference| {
            Target::Completion(Box::new(Completion {
                reference,
                argument: String::new(),
                value: String::new(),
                context: None,
            }))
        };
        for (target, owner) in [
            (Target::Tool("a".into()), Some("one")),
            (Target::Tool("c".into()), Some("other")),
            (Target::Tool("d".into()), None),
            (Target::Prompt("b".into()), Some("one")),
            (Target::Resource("x://1".into()), Some("one")),
            (Target::Resource("x://2".into()), Some("other")),
            (Target::Resource("z://2".into()), None),
            (completion(Reference::Prompt("c".into())), Some("other")),
            (completion(Reference::Template("y://{n}".into())), Some("other")),
            (completion(Reference::Template("y://1".into())), None),
        ] {
            assert_eq!(asked(&router, target.clone()).await.as_deref(), owner, "{target:?}");
        }
        let names: Vec<_> =
            router.catalogue().borrow().tools.iter().map(|entry| entry.name.to_string()).collect();
        assert_eq!(names, ["a", "b", "c"]);

        // A change of one is a change of all; what both have belongs to the first.
        let mut watched = router.catalogue();
        watched.borrow_and_update();
        other.catalogue.send_replace(Arc::new(Catalogue::of_tools(entries(&["a", "d"]))));
        watched.changed().await.unwrap();
        assert_eq!(asked(&router, Target::Tool("d".into())).await.as_deref(), Some("other"));
        assert_eq!(asked(&router, Target::Tool("a".into())).await.as_deref(), Some("one"));

        let mut health = router.health();
        one.health.send_replace(Health::Degraded("slow".into()));
        health.wait_for(|health| *health == Health::Degraded("slow".into())).await.unwrap();
    }

    #[tokio::test]
    async fn a_name_offered_twice_is_refused() {
        let router = Router::new(vec![
            Named::new("one", &["a"], &[], &[]),
            Named::new("other", &["b", "a"], &[], &[]),
        ]);
        assert_eq!(router.unwrap_err(), Duplicate { kind: "tool", name: "a".into() });
        let router = Router::new(vec![
            Named::new("one", &[], &[], &["x://{a}"]),
            Named::new("other", &[], &[], &["x://{a}"]),
        ]);
        assert_eq!(router.unwrap_err().kind, "resource template");
    }
}
