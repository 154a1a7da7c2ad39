//! Prompts and resources declared in the configuration, answered by this process. All of it is at hand but the content
//! of files, which is read when it is asked for.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use mcp_server_config::compile::content::{CompiledContent, CompiledPrompt, CompiledResource};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{
    Answer, Backend, Call, CallError, Catalogue, Completion, Cx, Health, Outcome, Reference, Target,
};

mod complete;
mod file;
mod list;
mod prompt;
mod resource;

#[cfg(test)]
mod tests;

/// The prompts and resources of the configuration in force.
pub struct DeclaredContent {
    content: ArcSwap<Indexed>,
    catalogue: watch::Sender<Arc<Catalogue>>,
    health: watch::Sender<Health>,
}

/// Declared content, with what is found by name.
struct Indexed {
    content: CompiledContent,
    prompts: HashMap<String, usize>,
    resources: HashMap<String, usize>,
}

impl DeclaredContent {
    #[must_use]
    pub fn new(content: CompiledContent) -> Arc<Self> {
        Arc::new(Self {
            catalogue: watch::Sender::new(Arc::new(list::catalogue(&content))),
            health: watch::Sender::new(Health::Healthy),
            content: ArcSwap::from_pointee(Indexed::new(content)),
        })
    }

    /// Serves other content from now on, and tells whoever watches the catalogue. The same again is no change.
    pub fn replace(&self, content: CompiledContent) {
        let catalogue = list::catalogue(&content);
        self.content.store(Arc::new(Indexed::new(content)));
        self.catalogue.send_if_modified(|current| {
            let changed = **current != catalogue;
            if changed {
                *current = Arc::new(catalogue);
            }
            changed
        });
    }

    async fn answer(self: Arc<Self>, call: Call) -> Result<Answer, CallError> {
        let content = self.content.load_full();
        match &call.target {
            Target::Prompt(name) => prompt::get(content.prompt(name)?, call.arguments.as_ref()),
            Target::Resource(uri) => match content.resource(uri) {
                Some(resource) => Ok(resource::read(resource)),
                None => match resource::read_of_family(&content.content, uri) {
                    Some(answer) => Ok(answer),
                    None => file::read(&content.content.files, uri).await,
                },
            },
            Target::Completion(completion) => {
                let values = content.values(completion)?;
                Ok(complete::answer(values, &completion.value))
            }
            _ => Err(CallError::Unknown),
        }
    }
}

impl Indexed {
    fn new(content: CompiledContent) -> Self {
        let prompts = content.prompts.iter().enumerate();
        let resources = content.resources.iter().enumerate();
        Self {
            prompts: prompts.map(|(index, prompt)| (prompt.declared.name.clone(), index)).collect(),
            resources: resources.map(|(index, resource)| (resource.declared.uri.clone(), index)).collect(),
            content,
        }
    }

    fn prompt(&self, name: &str) -> Result<&CompiledPrompt, CallError> {
        let index = self.prompts.get(name).ok_or(CallError::Unknown)?;
        self.content.prompts.get(*index).ok_or(CallError::Unknown)
    }

    fn resource(&self, uri: &str) -> Option<&CompiledResource> {
        self.content.resources.get(*self.resources.get(uri)?)
    }

    /// The values that an argument may have; none at all where it may have any.
    fn values(&self, completion: &Completion) -> Result<&[String], CallError> {
        let unknown = || CallError::InvalidParams(format!("there is no argument {:?}", completion.argument));
        match &completion.reference {
            Reference::Prompt(name) => {
                let mut arguments = self.prompt(name)?.declared.arguments.iter();
                let argument = arguments.find(|argument| argument.name == completion.argument);
                Ok(&argument.ok_or_else(unknown)?.values)
            }
            Reference::Template(uri) => {
                let mut templates = self.content.templates.iter();
                let of_files = self.content.files.iter().any(|file| file.declared.uri == **uri);
                let Some(template) = templates.find(|template| template.declared.uri_template == **uri)
                else {
                    // Which files there are is not told.
                    return if of_files { Ok(&[]) } else { Err(CallError::Unknown) };
                };
                if !template.uri.variables().any(|variable| variable == completion.argument) {
                    return Err(unknown());
                }
                let mut variables = template.declared.variables.iter();
                let variable = variables.find(|variable| variable.name == completion.argument);
                Ok(variable.map_or(&[], |variable| &variable.values))
            }
        }
    }
}

// === impl DeclaredContent ===

impl Backend for DeclaredContent {
    fn call(self: Arc<Self>, call: Call, _: Cx) -> BoxFuture<'static, Result<Outcome, CallError>> {
        self.answer(call).map(|answer| answer.map(Outcome::Complete)).boxed()
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.subscribe()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Nothing here outlives its call.
    fn drain(&self, _: Instant) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

impl fmt::Debug for DeclaredContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = self.content.load();
        f.debug_struct("DeclaredContent")
            .field("prompts", &content.content.prompts.len())
            .field("resources", &content.content.resources.len())
            .finish_non_exhaustive()
    }
}
