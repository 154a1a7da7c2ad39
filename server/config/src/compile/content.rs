//! Prompts and resources, compiled: texts with places, URI templates, decoded bytes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::cel::position;
use super::template::{Part, Template};
use crate::ServerConfig;
use crate::path::Path;
use crate::prompts::{Prompt, Role};
use crate::resources::{FileResource, Resource, ResourceTemplate};
use crate::uri_template::UriTemplate;
use crate::validate::Violation;

/// Everything that is declared besides tools, ready to be served.
#[derive(Clone, Debug, Default)]
pub struct CompiledContent {
    pub prompts: Vec<CompiledPrompt>,
    pub resources: Vec<CompiledResource>,
    pub templates: Vec<CompiledResourceTemplate>,
    pub files: Vec<CompiledFile>,
}

/// A prompt.
#[derive(Clone, Debug)]
pub struct CompiledPrompt {
    pub declared: Prompt,
    pub messages: Vec<(Role, Template)>,
}

/// A resource whose content is at hand.
#[derive(Clone, Debug)]
pub struct CompiledResource {
    pub declared: Resource,
    pub content: Content,
}

/// What stands in a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Text(String),
    /// Base64 without blanks.
    Blob(String),
}

/// A family of resources.
#[derive(Clone, Debug)]
pub struct CompiledResourceTemplate {
    pub declared: ResourceTemplate,
    pub uri: UriTemplate,
    pub text: Template,
}

/// A file, or the files below a directory.
#[derive(Clone, Debug)]
pub struct CompiledFile {
    pub declared: FileResource,
    /// Present where it is a directory.
    pub uri: Option<UriTemplate>,
}

/// Compiles what is declared besides tools.
///
/// # Errors
/// With everything that is wrong with any of it, beyond what [`crate::validate()`] says.
pub fn compile_content(config: &ServerConfig) -> Result<CompiledContent, Vec<Violation>> {
    let mut content = CompiledContent::default();
    let mut violations = Vec::new();
    let service = &config.service;
    for (index, prompt) in service.prompts.iter().enumerate() {
        let path = Path::of("prompts").index(index).key("messages");
        let names: Vec<_> = prompt.arguments.iter().map(|argument| argument.name.as_str()).collect();
        let messages = prompt.messages.iter().enumerate().filter_map(|(index, message)| {
            let path = path.index(index).key("text");
            let text = text(&message.text, &names, &path, &mut violations)?;
            Some((message.role.unwrap_or_default(), text))
        });
        content.prompts.push(CompiledPrompt { messages: messages.collect(), declared: prompt.clone() });
    }
    for (index, resource) in service.resources.iter().enumerate() {
        let path = Path::of("resources").index(index).key("blob");
        if let Some(found) = content_of(resource, &path, &mut violations) {
            content.resources.push(CompiledResource { declared: resource.clone(), content: found });
        }
    }
    for (index, template) in service.resource_templates.iter().enumerate() {
        let path = Path::of("resourceTemplates").index(index).key("text");
        // What is wrong with the URI template was said by the other rules.
        let Ok(uri) = UriTemplate::parse(&template.uri_template) else { continue };
        let names: Vec<_> = uri.variables().collect();
        if let Some(text) = text(&template.text, &names, &path, &mut violations) {
            content.templates.push(CompiledResourceTemplate { declared: template.clone(), uri, text });
        }
    }
    for file in &config.process.file_resources {
        let uri = if file.uri.contains('{') { UriTemplate::parse(&file.uri).ok() } else { None };
        content.files.push(CompiledFile { declared: file.clone(), uri });
    }
    if violations.is_empty() { Ok(content) } else { Err(violations) }
}

fn content_of(resource: &Resource, path: &Path, violations: &mut Vec<Violation>) -> Option<Content> {
    if let Some(text) = &resource.text {
        return Some(Content::Text(text.clone()));
    }
    let blob: String = resource.blob.as_ref()?.chars().filter(|c| !c.is_whitespace()).collect();
    if BASE64_STANDARD.decode(&blob).is_err() {
        let message = "is not base64; write the bytes with the standard alphabet and padding";
        violations.push(Violation { path: path.clone(), message: message.to_owned() });
        return None;
    }
    Some(Content::Blob(blob))
}

/// A text whose places are all for one of these names. What is filled in is always text, so nothing stands below it.
fn text(text: &str, names: &[&str], path: &Path, violations: &mut Vec<Violation>) -> Option<Template> {
    let wrong = |message: String| Violation { path: path.clone(), message };
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => {
            let (line, column) = position(text, error.at);
            violations.push(wrong(format!("{} (line {line}, column {column})", error.message)));
            return None;
        }
    };
    let mut good = true;
    for part in template.parts() {
        if let Part::Argument(place) = part
            && !matches!(&place[..], [name] if names.contains(&name.as_str()))
        {
            violations.push(wrong(format!(
                "fills in args.{}, which is not declared; correct the name, or declare it",
                place.join(".")
            )));
            good = false;
        }
    }
    good.then_some(template)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompts::{PromptArgument, PromptMessage};

    fn config() -> ServerConfig {
        let mut config = ServerConfig::default();
        config.service.prompts = vec![Prompt {
            name: "p".into(),
            arguments: vec![PromptArgument { name: "x".into(), ..PromptArgument::default() }],
            messages: vec![PromptMessage { role: None, text: "Say {{args.x}}".into() }],
            ..Prompt::default()
        }];
        config.service.resources =
            vec![Resource { uri: "a://b".into(), blob: Some("YWI=\n".into()), ..Resource::default() }];
        config.service.resource_templates = vec![ResourceTemplate {
            uri_template: "a://c/{id}".into(),
            text: "{{args.id}}".into(),
            ..ResourceTemplate::default()
        }];
        config
    }

    #[test]
    fn what_is_right_compiles() {
        let content = compile_content(&config()).unwrap();
        assert_eq!(content.resources[0].content, Content::Blob("YWI=".into()));
        assert_eq!((content.prompts[0].messages.len(), content.templates.len()), (1, 1));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let mut config = config();
        config.service.prompts[0].messages[0].text = "{{args.y}} {{args.x.z}} {{args}}".into();
        config.service.resources[0].blob = Some("!".into());
        config.service.resource_templates[0].text = "{{id}}".into();
        let violations = compile_content(&config).unwrap_err();
        let paths: Vec<_> = violations.iter().map(|violation| violation.path.to_string()).collect();
        let message = "prompts[0].messages[0].text";
        assert_eq!(paths, [message, message, message, "resources[0].blob", "resourceTemplates[0].text"]);
        assert!(
            violations[0].message.contains("fills in args.y, which is not declared"),
            "{}",
            violations[0].message
        );
    }
}
