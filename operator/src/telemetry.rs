//! Logs: JSON in a cluster, short lines on a terminal, always on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::LogFormat;

/// Said more quietly than asked for: kube's client and watcher log every failed request in full and without context; the
/// same failures are logged, counted and shown where they matter.
const QUIETER: &str =
    "kube_client=off,kube_runtime=off,hyper=warn,hyper_util=warn,rustls=warn,tower=warn,h2=warn";

/// The level or filter cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "log level {given:?} is not understood: write error, warn, info, debug, trace, or a filter like info,mcp_operator=debug"
)]
pub struct BadLevel {
    given: String,
}

/// Starts logging for the whole process. Call it once.
///
/// # Errors
/// The level is not one and not a filter either.
pub fn start(level: &str, format: Option<LogFormat>) -> Result<(), BadLevel> {
    let filter = filter(level)?;
    let format = format
        .unwrap_or_else(|| if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json });
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => {
            builder.json().flatten_event(true).with_current_span(true).with_span_list(false).finish().init()
        }
        LogFormat::Text => {
            builder.compact().with_ansi(std::io::stderr().is_terminal()).with_target(false).finish().init();
        }
    }
    Ok(())
}

/// A bare level gets [`QUIETER`] in front of it; whoever writes a filter gets exactly that filter.
fn filter(level: &str) -> Result<EnvFilter, BadLevel> {
    let bad = || BadLevel { given: level.to_owned() };
    let plain = level.parse::<tracing::Level>().is_ok();
    if !plain && !level.contains(['=', ',']) {
        return Err(bad());
    }
    let directives =
        if plain { format!("{QUIETER},{}", level.to_ascii_lowercase()) } else { level.to_owned() };
    EnvFilter::builder().parse(directives).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_filters_are_read_and_typing_errors_refused() {
        for good in ["info", "Debug", "warn,mcp_operator=trace"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["loud", "", "a=b=c"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
