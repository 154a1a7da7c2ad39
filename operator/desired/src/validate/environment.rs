//! `MCP_*` variables in `spec.runtime`: settings by another door, held to the same rules.
//!
//! The server lays its environment over its file. A variable must therefore not contradict `spec.config` or the operator,
//! and its value must fit the setting. What comes from elsewhere (`valueFrom`, `envFrom`) cannot be read here: where it could
//! change who may call, or what the resource says already, it is refused, or shut out by an empty variable of that name,
//! which goes before `envFrom` and counts as not set.

use mcp_crds::McpServerSpec;
use mcp_server_config::{Origin, Path, ServiceConfig, Violation, env, load, path::Segment, validate};
use serde_json::Value;

use super::rules::Rules;

/// Variables that would move what probes, the Service and the grace period rely on.
const TAKEN: [&str; 5] = [
    "MCP_HTTP_ADDRESS",
    "MCP_HTTP_ADMIN_ADDRESS",
    "MCP_HTTP_PATH",
    "MCP_SHUTDOWN_DELAY",
    "MCP_SHUTDOWN_TIMEOUT",
];
/// Variables that would replace what the operator works out, with the field that says it instead.
const REPLACED: [(&str, &str); 3] = [
    ("MCP_HTTP_ALLOWED_HOSTS", "spec.config.http.allowedHosts"),
    ("MCP_AUTH_API_KEYS_FILE", "spec.config.auth.apiKeys.secretKeyRef"),
    ("MCP_REPLICAS", "spec.replicas"),
];

/// What the environment of the container sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Variables and the settings that they change. Example: `MCP_LOG_LEVEL`, `logging.level`.
    pub settings: Vec<(String, &'static str)>,
    /// Variables that are set to nothing, so that `envFrom` cannot set them.
    pub shut_out: Vec<String>,
}

/// The environment of a server whose variables were checked before: `shut_out` is what was worked out then.
pub(crate) fn restored(
    spec: &McpServerSpec,
    rendered: &str,
    shut_out: Vec<String>,
) -> (Environment, Option<ServiceConfig>) {
    let mut found = Environment { settings: Vec::new(), shut_out };
    let mut literals = Vec::new();
    for variable in &spec.runtime.env {
        let Some((name, setting)) = env::names().find(|(known, _)| *known == variable.name) else { continue };
        let value = variable.value.clone().unwrap_or_default();
        if variable.value_from.is_some() || !value.is_empty() {
            found.settings.push((name.clone(), setting));
        }
        literals.push((name, value));
    }
    let origin = Origin { name: "production.json".to_owned(), text: rendered.to_owned() };
    let effective = load(&origin, literals).ok().map(|document| document.config.service);
    (found, effective)
}

impl Rules {
    /// Checks the variables. `rendered` is the file that they are laid over. Returns what the server makes of both, where
    /// any variable changes it.
    pub(super) fn environment(
        &mut self,
        spec: &McpServerSpec,
        rendered: &str,
    ) -> (Environment, Option<ServiceConfig>) {
        let config = serde_json::to_value(&spec.config).unwrap_or_default();
        let mut found = Environment::default();
        let before = self.violations.len();
        let mut literals = Vec::new();
        for (index, variable) in spec.runtime.env.iter().enumerate() {
            let name = variable.name.as_str();
            let at = Path::of("spec.runtime.env").index(index);
            if !self.is_free(name, &at) {
                continue;
            }
            let Some((_, setting)) = env::names().find(|(known, _)| known == name) else { continue };
            let said = at_setting(&config, setting);
            let value = variable.value.as_deref().unwrap_or_default();
            if variable.value_from.is_some() {
                let checked = is_secret(name) || (said.is_none() && !setting.starts_with("auth."));
                self.check_at(checked, || at.key("valueFrom"), || {
                    format!(
                        "{name} changes {setting}, and what it is taken from cannot be checked; set spec.config.{setting} \
                         instead"
                    )
                });
                found.settings.push((name.to_owned(), setting));
            } else if !value.is_empty() {
                self.literal(name, value, setting, said, &at);
                found.settings.push((name.to_owned(), setting));
                literals.push((name.to_owned(), value.to_owned()));
            }
        }
        if !spec.runtime.env_from.is_empty() {
            found.shut_out = shut_out(spec, &config);
        }
        if literals.is_empty() || self.violations.len() > before {
            return (found, None);
        }
        let effective = self.together(spec, rendered, literals);
        (found, effective)
    }

    fn is_free(&mut self, name: &str, at: &Path) -> bool {
        let before = self.violations.len();
        self.check_at(!TAKEN.contains(&name), || at.key("name"), || {
            format!(
                "{name} is the operator's own, since probes and the Service rely on it; see spec.rollout and spec.service"
            )
        });
        if let Some((_, field)) = REPLACED.iter().find(|(taken, _)| *taken == name) {
            self.check_at(
                false,
                || at.key("name"),
                || format!("{name} would replace what the operator sets; use {field} instead"),
            );
        }
        self.violations.len() == before
    }

    fn literal(&mut self, name: &str, value: &str, setting: &str, said: Option<&Value>, at: &Path) {
        match env::overlay([(name.to_owned(), value.to_owned())]) {
            Err(violations) => self.violations.extend(
                violations
                    .into_iter()
                    .map(|violation| Violation { path: at.key("value"), message: violation.message }),
            ),
            Ok(overlay) => {
                let agrees = said.is_none_or(|said| at_setting(&overlay.value, setting) == Some(said));
                self.check_at(
                    agrees,
                    || at.key("value"),
                    || format!("{name} contradicts spec.config.{setting}; remove one of the two"),
                );
            }
        }
    }

    /// What the server reads, from its file and the variables together: rules that the file alone keeps may be broken.
    fn together(
        &mut self,
        spec: &McpServerSpec,
        rendered: &str,
        literals: Vec<(String, String)>,
    ) -> Option<ServiceConfig> {
        let origin = Origin { name: "production.json".to_owned(), text: rendered.to_owned() };
        let known: Vec<_> = load(&origin, []).map(|document| validate(&document.config)).unwrap_or_default();
        match load(&origin, literals) {
            Ok(document) => {
                for violation in validate(&document.config).into_iter().filter(|found| !known.contains(found))
                {
                    let path = variable_of(spec, &violation.path);
                    let message = format!("{} {}", violation.path, violation.message);
                    self.violations.push(Violation { path, message });
                }
                Some(document.config.service)
            }
            Err(error) => {
                for problem in error.problems {
                    let path = variable_of(spec, &problem.path);
                    self.violations.push(Violation { path, message: problem.message });
                }
                None
            }
        }
    }
}

/// The variable that sets what a rule of the configuration speaks of; all of them where none is meant alone.
fn variable_of(spec: &McpServerSpec, setting: &Path) -> Path {
    let at = Path::of("spec.runtime.env");
    let setting = setting.to_string();
    let of = |name: &str| env::names().find(|(known, _)| known == name).map(|(_, setting)| setting);
    let index = spec.runtime.env.iter().position(|variable| {
        variable.name == setting || of(&variable.name).is_some_and(|named| setting.starts_with(named))
    });
    index.map_or(at.clone(), |index| at.index(index).key("value"))
}

/// Variables that `envFrom` must not set: the operator's own, who may call, and what the resource says already.
fn shut_out(spec: &McpServerSpec, config: &Value) -> Vec<String> {
    let given = |name: &str| spec.runtime.env.iter().any(|variable| variable.name == name);
    let mut all: Vec<String> = env::names()
        .filter(|(name, setting)| {
            TAKEN.contains(&name.as_str())
                || REPLACED.iter().any(|(taken, _)| taken == name)
                || setting.starts_with("auth.")
                || *setting == "http.allowedOrigins"
                || at_setting(config, setting).is_some()
        })
        .map(|(name, _)| name)
        .filter(|name| !given(name))
        .collect();
    all.sort();
    all
}

/// Whether a variable holds a secret: the server keeps its name, and not its text.
fn is_secret(name: &str) -> bool {
    let overlay = env::overlay([(name.to_owned(), "x".to_owned())]).unwrap_or_default();
    overlay.value.to_string().contains(&format!("{:?}", name))
}

/// The value of a setting in a configuration.
fn at_setting<'a>(config: &'a Value, setting: &str) -> Option<&'a Value> {
    Path::of(setting).segments().iter().try_fold(config, |below, segment| match segment {
        Segment::Key(key) => below.get(key),
        Segment::Index(index) => below.get(index),
    })
}
