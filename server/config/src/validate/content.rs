//! Rules of prompts, resources and their templates.

use std::collections::BTreeSet;

use super::Rules;
use crate::uri_template::UriTemplate;
use crate::{Duration, Path, ServerConfig, ServiceConfig};

/// The most prompts, resources, templates or file resources in one server, of each.
const MAX_ENTRIES: usize = 128;

const REPEATED_URI: &str = "is the URI of an earlier resource; give each resource a URI of its own";

impl Rules {
    pub(super) fn prompts(&mut self, config: &ServiceConfig) {
        self.check(config.prompts.len() <= MAX_ENTRIES, "prompts", || {
            format!("must be at most {MAX_ENTRIES}")
        });
        let mut names = BTreeSet::new();
        for (index, prompt) in config.prompts.iter().enumerate() {
            let path = Path::of("prompts").index(index);
            let of_letters = prompt.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
            self.check_at(of_letters && (1..=128).contains(&prompt.name.len()), &path.key("name"), || {
                "must have from 1 to 128 letters, digits, dots, dashes and underscores".to_owned()
            });
            self.check_at(names.insert(&prompt.name), &path.key("name"), || {
                "is the name of an earlier prompt; give each prompt a name of its own".to_owned()
            });
            self.check_at((1..=16).contains(&prompt.messages.len()), &path.key("messages"), || {
                "must have from 1 to 16 messages".to_owned()
            });
            self.check_at(prompt.arguments.len() <= 16, &path.key("arguments"), || {
                "must be at most 16".to_owned()
            });
            let mut arguments = BTreeSet::new();
            for (index, argument) in prompt.arguments.iter().enumerate() {
                let path = path.key("arguments").index(index);
                let of_letters =
                    argument.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
                self.check_at(
                    of_letters && (1..=64).contains(&argument.name.len()),
                    &path.key("name"),
                    || "must have from 1 to 64 letters, digits, dashes and underscores".to_owned(),
                );
                self.check_at(arguments.insert(&argument.name), &path.key("name"), || {
                    "is the name of an earlier argument; give each argument a name of its own".to_owned()
                });
                self.values(&path.key("values"), &argument.values);
            }
        }
    }

    pub(super) fn resources(&mut self, config: &ServiceConfig) {
        self.check(config.resources.len() <= MAX_ENTRIES, "resources", || {
            format!("must be at most {MAX_ENTRIES}")
        });
        let mut uris = BTreeSet::new();
        for (index, resource) in config.resources.iter().enumerate() {
            let path = Path::of("resources").index(index);
            self.uri(&path.key("uri"), &resource.uri);
            self.check_at(uris.insert(&resource.uri), &path.key("uri"), || REPEATED_URI.to_owned());
            self.check_at(resource.text.is_some() != resource.blob.is_some(), &path, || {
                "exactly one of text and blob must be set".to_owned()
            });
            self.ttl(&path.key("ttl"), resource.ttl);
        }
        self.check(config.resource_templates.len() <= MAX_ENTRIES, "resourceTemplates", || {
            format!("must be at most {MAX_ENTRIES}")
        });
        let mut templates = BTreeSet::new();
        for (index, template) in config.resource_templates.iter().enumerate() {
            let path = Path::of("resourceTemplates").index(index);
            self.uri(&path.key("uriTemplate"), &template.uri_template);
            self.check_at(templates.insert(&template.uri_template), &path.key("uriTemplate"), || {
                "is the URI of an earlier template; give each template a URI of its own".to_owned()
            });
            let parsed = UriTemplate::parse(&template.uri_template);
            if let Err(error) = &parsed {
                self.check_at(false, &path.key("uriTemplate"), || error.to_string());
            }
            for (index, variable) in template.variables.iter().enumerate() {
                let path = path.key("variables").index(index);
                let known =
                    parsed.as_ref().is_ok_and(|parsed| parsed.variables().any(|v| v == variable.name));
                self.check_at(known || parsed.is_err(), &path.key("name"), || {
                    "is not a variable of the URI template".to_owned()
                });
                self.check_at(!variable.values.is_empty(), &path.key("values"), || {
                    "must have at least one value".to_owned()
                });
                self.values(&path.key("values"), &variable.values);
            }
            self.ttl(&path.key("ttl"), template.ttl);
        }
    }

    /// Files, and that their URIs are nobody else's.
    pub(super) fn file_resources(&mut self, config: &ServerConfig) {
        let files = &config.process.file_resources;
        self.check(files.len() <= MAX_ENTRIES, "fileResources", || format!("must be at most {MAX_ENTRIES}"));
        let service = &config.service;
        let mut uris: BTreeSet<&str> =
            service.resources.iter().map(|resource| resource.uri.as_str()).collect();
        uris.extend(service.resource_templates.iter().map(|template| template.uri_template.as_str()));
        for (index, file) in files.iter().enumerate() {
            let path = Path::of("fileResources").index(index);
            self.uri(&path.key("uri"), &file.uri);
            self.check_at(uris.insert(&file.uri), &path.key("uri"), || REPEATED_URI.to_owned());
            if file.uri.contains('{') {
                let one = UriTemplate::parse(&file.uri).map(|parsed| parsed.variables().count() == 1);
                let good = one == Ok(true) && file.uri.contains("{+") && file.uri.ends_with('}');
                self.check_at(good, &path.key("uri"), || {
                    "must end in its one variable, with a plus, as in docs:///{+path}".to_owned()
                });
            }
            self.check_at(!file.path.is_empty(), &path.key("path"), || {
                "must be the path of a file or directory".to_owned()
            });
            self.ttl(&path.key("ttl"), file.ttl);
        }
    }

    fn uri(&mut self, path: &Path, uri: &str) {
        let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
        let good = scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+.-".contains(&b))
            && !uri.contains(char::is_whitespace)
            && uri.len() > scheme.len() + 1
            && uri.len() <= 1024;
        self.check_at(good, path, || {
            "is not a URI; write a scheme in small letters and what it names, as in docs://welcome".to_owned()
        });
    }

    fn values(&mut self, path: &Path, values: &[String]) {
        let good =
            values.len() <= 100 && values.iter().all(|value| (1..=256).contains(&value.chars().count()));
        self.check_at(good, path, || "must be at most 100 values of 1 to 256 characters".to_owned());
    }

    fn ttl(&mut self, path: &Path, ttl: Option<Duration>) {
        let most = Duration::from_secs(30 * 86_400);
        self.check_at(ttl.is_none_or(|ttl| ttl <= most), path, || format!("must be at most {most}"));
    }
}
