//! The defaults, written out: the file that is made where there is none, and what `print-config --defaults` prints.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mcp_server_config::{ServerConfig, render, render_yaml};

use super::Sources;

/// What became of a file that was not there.
#[derive(Debug)]
pub enum Created {
    /// It was there.
    NotNeeded,
    Created,
    /// It could not be written: the server runs with the defaults all the same.
    ReadOnly(io::Error),
}

impl Sources {
    /// Makes the file where it does not exist, with all defaults written out. Its directory has to be there, unless it
    /// is the usual one: a mistyped path shall not leave directories behind.
    ///
    /// # Errors
    /// Where the place is not one for files.
    pub fn create_missing(&self) -> io::Result<Created> {
        let Some(file) = self.file.as_deref().filter(|file| !file.exists()) else {
            return Ok(Created::NotNeeded);
        };
        let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
        if let Some(directory) = directory
            .filter(|directory| !directory.is_dir() && !USUAL.iter().any(|usual| file == Path::new(usual)))
        {
            let message = format!(
                "neither the file nor its directory {} exists; correct the path, or make the directory",
                directory.display()
            );
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        match write_new(file, &defaults_for(file)) {
            Ok(()) => Ok(Created::Created),
            Err(error) => match error.kind() {
                // Another server that was started at the same time was quicker.
                io::ErrorKind::AlreadyExists => Ok(Created::NotNeeded),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    Ok(Created::ReadOnly(error))
                }
                _ => Err(error),
            },
        }
    }
}

/// Where a configuration usually is, from the working directory of the server.
pub const USUAL_FILE: &str = "config/production.json";

/// Where a configuration usually is, on a bare machine and in the image: its directory is made, too.
const USUAL: [&str; 2] = [USUAL_FILE, "/app/config/production.json"];

/// The usual file, where it exists.
#[must_use]
pub fn usual_file() -> Option<PathBuf> {
    Some(PathBuf::from(USUAL_FILE)).filter(|file| file.exists())
}

/// The text of a configuration with every default written out.
#[must_use]
pub fn defaults() -> String {
    let mut config = ServerConfig::default();
    spell_out(&mut config);
    render(&config)
}

/// The same in the format that the name of the file promises.
fn defaults_for(file: &Path) -> String {
    let name = file.to_string_lossy().to_ascii_lowercase();
    if !name.ends_with(".yaml") && !name.ends_with(".yml") {
        return defaults();
    }
    let mut config = ServerConfig::default();
    spell_out(&mut config);
    render_yaml(&config)
}

/// Writes out the defaults of whatever is not set.
pub fn spell_out(config: &mut ServerConfig) {
    let ServerConfig { service, process } = config;
    service.server_name = Some(service.server_name().to_owned());
    service.server_version = Some(service.server_version().to_owned());
    service.auth.mode = Some(service.auth.mode());
    service.http.max_body = Some(service.http.max_body());
    service.http.stream_after = Some(service.http.stream_after());
    service.logging.level = Some(service.logging.level());
    let requests = &mut service.logging.requests;
    (requests.mode, requests.arguments) = (Some(requests.mode()), Some(requests.arguments()));
    requests.sample_every = Some(requests.sample_every());
    if let Some(file) = &mut process.logging.file {
        (file.max_size, file.backups) = (Some(file.max_size()), Some(file.backups()));
    }
    service.metrics.mode = Some(service.metrics.mode());
    service.metrics.interval = Some(service.metrics.interval());
    service.performance.request_timeout = Some(service.performance.request_timeout());
    service.performance.queue_timeout = Some(service.performance.queue_timeout());
    service.performance.shedding = Some(service.performance.shedding());
    service
        .performance
        .max_concurrent_requests
        .get_or_insert(bounded(service.performance.max_concurrent_requests()));
    let limit = &mut service.rate_limit;
    limit.mode = Some(limit.mode());
    limit.requests_per_minute = Some(limit.requests_per_minute());
    limit.burst = Some(limit.burst());
    service.cache.mode = Some(service.cache.mode());
    service.cache.ttl = Some(service.cache.ttl());
    process.http.address = Some(process.http.address().to_owned());
    process.http.admin_address = Some(process.http.admin_address().to_owned());
    process.http.path = Some(process.http.path().to_owned());
    process.http.max_connections.get_or_insert(bounded(process.http.max_connections()));
    process.shutdown.timeout = Some(process.shutdown.timeout(service.performance.request_timeout()));
    process.shutdown.delay = Some(process.shutdown.delay());
}

fn bounded(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn write_new(file: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut options = fs::OpenOptions::new();
    let mut new = options.write(true).create_new(true).open(file)?;
    // Half a file would end every later start.
    io::Write::write_all(&mut new, text.as_bytes()).inspect_err(|_| drop(fs::remove_file(file)))
}

#[cfg(test)]
mod tests {
    use super::super::EMPTY;
    use super::*;

    #[test]
    fn the_defaults_written_out_are_the_defaults() {
        let sources = Sources { file: Some("config.json".into()), ..Sources::default() };
        let loaded = sources.load(&defaults()).unwrap();
        assert!(loaded.unknown.is_empty() && loaded.notes.is_empty());
        let mut config = ServerConfig::default();
        spell_out(&mut config);
        assert_eq!(*loaded.config, config);
        assert_eq!(sources.load(EMPTY).unwrap().config.service.auth.mode(), config.service.auth.mode());
    }

    #[test]
    fn a_missing_file_is_made_with_the_defaults() {
        let directory = tempfile::tempdir().unwrap();
        let of = |name: &str| Sources { file: Some(directory.path().join(name)), ..Sources::default() };
        let made = |sources: &Sources| {
            assert!(matches!(sources.create_missing().unwrap(), Created::Created));
            assert!(matches!(sources.create_missing().unwrap(), Created::NotNeeded));
            sources.load(&sources.read().unwrap()).unwrap().config
        };
        let json = of("production.json");
        let config = made(&json);
        assert_eq!(json.read().unwrap(), defaults());
        let yaml = of("production.yml");
        assert_eq!(made(&yaml), config);
        assert!(yaml.read().unwrap().contains("serverName: production-mcp-server"));
        let typo = of("cofnig/production.json").create_missing().unwrap_err();
        assert!(typo.to_string().contains("cofnig"), "{typo}");
        assert!(!directory.path().join("cofnig").exists());
    }
}
