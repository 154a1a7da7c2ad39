//! From a file, the environment and flags to a configuration that can be served.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use mcp_server_config::compile::content::{CompiledContent, compile_content};
use mcp_server_config::compile::{CompiledTools, compile, compile_rules, notes};
use mcp_server_config::env::ALLOW_COMMANDS;
use mcp_server_config::load::Problem;
use mcp_server_config::secret::REDACTED;
use mcp_server_config::{
    Document, LogLevel, Origin, SecretRef, ServerConfig, UnknownKey, Violation, config_hash, load, render,
    validate,
};

use crate::auth::obtain::Missing;
use crate::auth::rules::Rules;
use crate::environment::Environment;
use crate::settings::defaults::usual_file;

pub mod defaults;

/// Where a configuration comes from, the later laid over the earlier: defaults, file, environment, flags.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    pub choice: Choice,
    pub environment: Environment,
    pub flags: Flags,
    pub own: Own,
}

/// How it came to the file of a configuration, or to none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// A program or a flag said so.
    #[default]
    Named,
    /// No file was named: the usual one was looked for in the working directory.
    Usual,
}

/// What the program says that this library is part of.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// In place of the default name.
    pub name: Option<String>,
    /// In place of the default version.
    pub version: Option<String>,
    /// A configuration, in place of a file.
    pub config: Option<Box<ServerConfig>>,
    /// In place of no keys for states.
    pub state_keys: Vec<SecretRef>,
    /// Tools of its own, whose names are taken.
    pub tools: Vec<Arc<str>>,
}

/// Settings on the command line.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub address: Option<String>,
    pub admin_address: Option<String>,
    pub log_level: Option<LogLevel>,
    /// Whether tools may run programs.
    pub allow_commands: bool,
}

/// A configuration without fault.
#[derive(Debug)]
pub struct Loaded {
    pub config: Arc<ServerConfig>,
    pub tools: CompiledTools,
    pub content: CompiledContent,
    /// Who may call which tools; absent where everybody may call all.
    pub rules: Option<Arc<Rules>>,
    /// Hash of the file's settings as [`render`] writes them, without environment and flags: who rendered the file can
    /// tell whether it is in force.
    pub hash: String,
    /// Keys of the file that mean nothing to this version.
    pub unknown: Vec<UnknownKey>,
    /// What else the user should know.
    pub notes: Vec<String>,
    /// What becomes of a keys file that is named and does not exist.
    pub missing_keys: Missing,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub Vec<Problem>);

impl Refused {
    /// The first problems, in one line.
    #[must_use]
    pub fn sentence(&self) -> String {
        const SHOWN: usize = 3;
        let mut shown: Vec<_> = self.0.iter().take(SHOWN).map(Problem::sentence).collect();
        match self.0.len().saturating_sub(SHOWN) {
            0 => {}
            1 => shown.push("and 1 more problem".to_owned()),
            more => shown.push(format!("and {more} more problems")),
        }
        shown.join("; ")
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if index > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

impl Sources {
    /// The configuration in `file`; where none is named, in the usual file of the working directory, if that exists.
    #[must_use]
    pub fn of_file(file: Option<PathBuf>, environment: Environment, flags: Flags) -> Self {
        let (file, choice) = match file {
            Some(file) => (Some(file), Choice::Named),
            None => (usual_file(), Choice::Usual),
        };
        Self { file, choice, environment, flags, ..Self::default() }
    }

    /// The text of the file, or of an empty configuration where there is none.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn read(&self) -> io::Result<String> {
        match &self.file {
            Some(file) => fs::read_to_string(file),
            None => Ok(self.own.config.as_deref().map_or_else(|| EMPTY.to_owned(), render)),
        }
    }

    /// Reads a text as the file's.
    ///
    /// # Errors
    /// With every problem that was found, not just the first.
    pub fn load(&self, text: &str) -> Result<Loaded, Refused> {
        let origin = Origin { name: self.name(), text: text.to_owned() };
        let mut document = load(&origin, self.environment.iter()).map_err(|error| Refused(error.problems))?;
        self.lay_flags_over(&mut document.config);
        if let (None, Some(own)) = (&self.file, self.own.config.as_deref()) {
            restore_literals(&mut document.config, own);
        }
        let service = &mut document.config.service;
        service.server_name = service.server_name.take().or_else(|| self.own.name.clone());
        service.server_version = service.server_version.take().or_else(|| self.own.version.clone());
        if service.state_keys.is_empty() {
            service.state_keys.clone_from(&self.own.state_keys);
        }
        let mut violations = validate(&document.config);
        violations.extend(self.taken(&document.config.service.tools));
        let tools = compile(&document.config.service.tools).unwrap_or_else(|broken| {
            violations.extend(broken);
            CompiledTools::default()
        });
        let content = compile_content(&document.config).unwrap_or_else(|broken| {
            violations.extend(broken);
            CompiledContent::default()
        });
        let rules = compile_rules(&document.config.service.auth.rules).unwrap_or_else(|broken| {
            violations.extend(broken);
            Vec::new()
        });
        if !self.allows_commands() {
            violations.extend(commands(&document.config));
        }
        violations.sort_by(|a, b| (&a.path, &a.message).cmp(&(&b.path, &b.message)));
        violations.dedup();
        let fatal = document.unknown.iter().filter(|key| key.fatal).map(|key| key.problem.clone());
        let blamed = violations.iter().map(|violation| self.blamed(violation, &document));
        let problems: Vec<_> = fatal.chain(blamed.flatten()).collect();
        if !problems.is_empty() {
            return Err(Refused(problems));
        }
        let of_file = load(&origin, []).map_err(|error| Refused(error.problems))?;
        let hardly_meant = document.problems(&notes(&document.config.service.tools));
        let missing_keys = if document.makes_keys_file { Missing::Made } else { Missing::Refused };
        let Document { config, unknown, mut notes, .. } = document;
        notes.extend(hardly_meant.iter().map(note));
        Ok(Loaded {
            config: Arc::new(config),
            tools,
            content,
            rules: Rules::new(rules),
            hash: config_hash(&render(&of_file.config)),
            unknown,
            notes,
            missing_keys,
        })
    }

    /// What is wrong, blamed on where the value comes from: a flag, or what the document says.
    fn blamed(&self, violation: &Violation, document: &Document) -> Vec<Problem> {
        let at = |path: &str| violation.path == mcp_server_config::Path::of(path);
        let elsewhere = |origin: &str, path| Problem {
            origin: origin.to_owned(),
            position: None,
            path,
            message: violation.message.clone(),
            excerpt: None,
        };
        let Flags { address, admin_address, .. } = &self.flags;
        let flags = [
            ("--address", "http.address", address.is_some()),
            ("--admin-address", "http.adminAddress", admin_address.is_some()),
        ];
        if let Some((flag, ..)) = flags.iter().find(|(_, path, given)| *given && at(path)) {
            return vec![elsewhere(flag, mcp_server_config::Path::root())];
        }
        document.problems(std::slice::from_ref(violation))
    }

    /// Declared tools that are called as one of the program's.
    fn taken(&self, tools: &[mcp_server_config::Tool]) -> Vec<Violation> {
        let taken =
            tools.iter().enumerate().filter(|(_, tool)| self.own.tools.iter().any(|own| **own == tool.name));
        let violation = |(index, _): (usize, &mcp_server_config::Tool)| Violation {
            path: mcp_server_config::Path::of("tools").index(index).key("name"),
            message: "is the name of a tool of the program; give this one another name".to_owned(),
        };
        taken.map(violation).collect()
    }

    /// What messages call the file.
    #[must_use]
    pub fn name(&self) -> String {
        self.file.as_ref().map_or_else(|| "defaults".to_owned(), |file| file.display().to_string())
    }

    /// Whether whoever starts the process allows tools to run programs.
    fn allows_commands(&self) -> bool {
        let variable = self.environment.get(ALLOW_COMMANDS).map(str::to_ascii_lowercase);
        self.flags.allow_commands || matches!(variable.as_deref(), Some("true" | "1" | "yes" | "on"))
    }

    fn lay_flags_over(&self, config: &mut ServerConfig) {
        let http = &mut config.process.http;
        if let Some(address) = &self.flags.address {
            http.address = Some(address.clone());
        }
        if let Some(address) = &self.flags.admin_address {
            http.admin_address = Some(address.clone());
        }
        if let Some(level) = self.flags.log_level {
            config.service.logging.level = Some(level);
        }
    }
}

/// Secrets that the program wrote out itself: the text of its configuration does not show them.
fn restore_literals(config: &mut ServerConfig, own: &ServerConfig) {
    let mut own = own.clone();
    let mut known = secrets(&mut own);
    for (path, secret) in secrets(config) {
        let hidden = secret.value.as_ref().is_some_and(|value| value.expose() == REDACTED);
        if let Some((_, own)) = known.iter_mut().find(|(known, _)| hidden && *known == path) {
            secret.clone_from(own);
        }
    }
}

fn secrets(config: &mut ServerConfig) -> Vec<(mcp_server_config::Path, &mut SecretRef)> {
    let ServerConfig { service, process } = config;
    let of_process =
        process.auth.api_key.as_mut().map(|key| (mcp_server_config::Path::of("auth.apiKey"), key));
    service.secrets_mut().into_iter().chain(of_process).collect()
}

/// A configuration in which nothing is set.
const EMPTY: &str = "{}\n";

/// A note without the name of the file, which stands in front of every note, and without the line itself.
fn note(problem: &Problem) -> String {
    let line = problem.position.map(|at| format!(" (line {})", at.line)).unwrap_or_default();
    format!("{}: {}{line}", problem.path, problem.message)
}

/// Tools that would run programs.
fn commands(config: &ServerConfig) -> impl Iterator<Item = Violation> + '_ {
    let tools = config.service.tools.iter().enumerate().filter(|(_, tool)| tool.command.is_some());
    tools.map(|(index, _)| Violation {
        path: mcp_server_config::Path::of("tools").index(index).key("command"),
        message: "runs a program, which this server was not started to do; add --allow-commands (or MCP_ALLOW_COMMANDS=true)"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let text = r#"{"http":{"address":"127.0.0.1:1","adminAddress":"127.0.0.1:2"},"serverName":"file"}"#;
        let sources = Sources {
            file: None,
            environment: Environment::from([("MCP_HTTP_ADDRESS", "127.0.0.1:3"), ("MCP_SERVER_NAME", "env")]),
            flags: Flags { address: Some("127.0.0.1:4".into()), ..Flags::default() },
            ..Sources::default()
        };
        let loaded = sources.load(text).unwrap();
        let http = &loaded.config.process.http;
        assert_eq!((http.address(), http.admin_address()), ("127.0.0.1:4", "127.0.0.1:2"));
        assert_eq!(loaded.config.service.server_name(), "env");
        assert_eq!(loaded.hash, Sources::default().load(text).unwrap().hash, "the hash is the file's alone");
    }

    #[test]
    fn an_argument_that_nobody_declares_is_told_and_refuses_nothing() {
        let text = "tools:\n  - name: greet\n    inputSchema: {type: object, properties: {name: {type: string}}}\n    text: Hi {{args.nmae}}\n";
        let loaded = Sources { file: Some("c.yaml".into()), ..Sources::default() }.load(text).unwrap();
        assert_eq!(
            loaded.notes,
            [
                "tools[0].text: fills in args.nmae, which inputSchema does not declare (it declares name); correct the name, or declare it (line 4)"
            ]
        );
    }

    #[test]
    fn a_wrong_value_is_blamed_on_where_it_comes_from() {
        let sources = Sources {
            environment: Environment::from([("MCP_HTTP_ADMIN_ADDRESS", "9090")]),
            flags: Flags { address: Some("8080".into()), ..Flags::default() },
            ..Sources::default()
        };
        let refused = sources.load(EMPTY).unwrap_err().to_string();
        for part in ["--address: is not", "environment: MCP_HTTP_ADMIN_ADDRESS: is not"] {
            assert!(refused.contains(part), "{refused}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_place() {
        let text = "auth:\n  mode: Required\n  keys: x\ntools:\n  - {name: a, cel: 'args.'}\n  - {name: 'b c', text: x}\n";
        let sources = Sources { file: Some("c.yaml".into()), ..Sources::default() };
        let refused = sources.load(text).unwrap_err().to_string();
        for part in ["c.yaml:5:", "tools[0].cel", "c.yaml:6:", "tools[1].name", "auth.keys"] {
            assert!(refused.contains(part), "{part} is not in\n{refused}");
        }
    }
}
