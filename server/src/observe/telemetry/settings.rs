//! Who is told, as the configuration and the standard variables of OpenTelemetry say it, with the secrets read.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use mcp_server_config::ServiceConfig;
use secrecy::ExposeSecret as _;

use crate::environment::Environment;
use crate::secret::{self, SecretError};

/// Why nobody can be told.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("cannot read the secret of metrics.otlp.headers, {name}")]
    Secret { name: String, source: SecretError },
    #[error("metrics.otlp.headers, {0}: the value cannot be sent in a header")]
    Header(String),
}

/// Who is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub push: Option<Push>,
    pub otlp: Option<Otlp>,
}

/// A push gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// With job and instance.
    pub url: String,
    pub interval: Duration,
}

/// An OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq)]
pub struct Otlp {
    pub metrics_url: Option<String>,
    pub traces_url: Option<String>,
    pub interval: Duration,
    pub headers: HeaderMap,
    pub sample_ratio: f64,
    /// What describes this process.
    pub resource: Vec<(String, String)>,
}

impl Settings {
    /// Reads the settings. What the configuration does not say is taken from the variables.
    ///
    /// # Errors
    /// Where a secret cannot be read, or not be sent.
    pub fn read(config: &ServiceConfig, environment: &Environment) -> Result<Self, TelemetryError> {
        let push = config.metrics.push_gateway.as_ref().map(|gateway| {
            let job = gateway.job.as_deref().unwrap_or_else(|| config.server_name());
            let base = gateway.url.trim_end_matches('/');
            let url =
                format!("{base}/metrics/job{}/instance{}", segment(job), segment(&instance(environment)));
            Push { url, interval: gateway.interval().as_std() }
        });
        Ok(Self { push, otlp: otlp(config, environment)? })
    }

    /// What is sent to which hosts.
    #[must_use]
    pub fn sinks(&self) -> Vec<String> {
        let otlp = self.otlp.as_ref();
        let sinks = [
            ("metrics", self.push.as_ref().map(|push| push.url.as_str())),
            ("metrics", otlp.and_then(|otlp| otlp.metrics_url.as_deref())),
            ("traces", otlp.and_then(|otlp| otlp.traces_url.as_deref())),
        ];
        sinks.into_iter().filter_map(|(what, url)| Some(format!("{what} to {}", host(url?)))).collect()
    }
}

/// Host and port of a URL: the rest may hold what is nobody else's business.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

fn otlp(config: &ServiceConfig, environment: &Environment) -> Result<Option<Otlp>, TelemetryError> {
    let configured = config.metrics.otlp.as_ref();
    let of_config = configured.and_then(|otlp| otlp.endpoint.as_deref());
    let of_environment = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT");
    let says = |name: &str, word: &str| environment.get(name).is_some_and(|it| it.eq_ignore_ascii_case(word));
    let Some(endpoint) = of_config.or(of_environment).filter(|_| !says("OTEL_SDK_DISABLED", "true")) else {
        return Ok(None);
    };
    let base = endpoint.trim_end_matches('/');
    // Who turns everything on by the standard variable gets what it stands for: metrics and traces.
    let traces = configured
        .and_then(|otlp| otlp.traces)
        .map_or(of_config.is_none() && !says("OTEL_TRACES_EXPORTER", "none"), |traces| {
            traces == mcp_server_config::metrics::Traces::On
        });
    let metrics = !says("OTEL_METRICS_EXPORTER", "none");
    let number = |name: &str| environment.get(name).and_then(|text| text.parse::<f64>().ok());
    let interval =
        configured.and_then(|otlp| otlp.interval).map(mcp_server_config::Duration::as_std).or_else(|| {
            let millis = number("OTEL_METRIC_EXPORT_INTERVAL")
                .filter(|millis| (1000.0..=86_400_000.0).contains(millis));
            millis.map(|millis| Duration::from_secs_f64(millis / 1000.0))
        });
    let ratio = configured
        .and_then(|otlp| otlp.sample_percent)
        .map(|percent| f64::from(percent) / 100.0)
        .or_else(|| number("OTEL_TRACES_SAMPLER_ARG"));
    Ok(Some(Otlp {
        metrics_url: metrics.then(|| format!("{base}/v1/metrics")),
        traces_url: traces.then(|| format!("{base}/v1/traces")),
        interval: interval.unwrap_or(Duration::from_secs(60)),
        headers: headers(config, environment)?,
        sample_ratio: ratio.filter(|ratio| (0.0..=1.0).contains(ratio)).unwrap_or(1.0),
        resource: resource(config, environment),
    }))
}

fn headers(config: &ServiceConfig, environment: &Environment) -> Result<HeaderMap, TelemetryError> {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| {
        let wrong = || TelemetryError::Header(name.to_owned());
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::try_from(name.trim()).map_err(|_| wrong())?, value);
        Ok(())
    };
    let configured = config.metrics.otlp.as_ref().map(|otlp| otlp.headers.as_slice()).unwrap_or_default();
    for header in configured {
        let value = secret::read(&header.value, environment)
            .map_err(|source| TelemetryError::Secret { name: header.name.clone(), source })?;
        add(&header.name, value.expose_secret())?;
    }
    if configured.is_empty() {
        for (name, value) in pairs(environment.get("OTEL_EXPORTER_OTLP_HEADERS")) {
            add(&name, &value)?;
        }
    }
    Ok(headers)
}

fn resource(config: &ServiceConfig, environment: &Environment) -> Vec<(String, String)> {
    let mut resource = vec![
        ("service.name".to_owned(), config.server_name().to_owned()),
        ("service.version".to_owned(), config.server_version().to_owned()),
        ("service.instance.id".to_owned(), instance(environment)),
    ];
    if let Some(name) = &config.environment {
        resource.push(("deployment.environment.name".to_owned(), name.clone()));
    }
    let more = pairs(environment.get("OTEL_RESOURCE_ATTRIBUTES"));
    let name = environment.get("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name.to_owned()));
    for (key, value) in more.into_iter().chain(name) {
        resource.retain(|(known, _)| *known != key);
        resource.push((key, value));
    }
    resource
}

/// `a=b,c=d` as the standard variables have it, values percent-encoded.
fn pairs(text: Option<&str>) -> Vec<(String, String)> {
    let pairs = text.unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.trim().to_owned(), decoded(value.trim()))).collect()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// What tells this process from others of its kind: the name of the host, which in a cluster is the pod's.
fn instance(environment: &Environment) -> String {
    let of_kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = environment.get("HOSTNAME").map(str::to_owned).or_else(of_kernel).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "unknown".to_owned() } else { name.to_owned() }
}

/// One value in the path of a push gateway. What a path cannot hold goes in base64, which the gateway's paths mark by a
/// suffix of the label's name.
fn segment(value: &str) -> String {
    use base64::Engine as _;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    // Two dots alone would lead up.
    if value.bytes().all(plain) && value.bytes().any(|b| b != b'.') {
        return format!("/{value}");
    }
    format!("@base64/{}", base64::prelude::BASE64_URL_SAFE.encode(value))
}

#[cfg(test)]
mod tests {
    use mcp_server_config::metrics::{Metrics, OtlpHeader, Traces};
    use mcp_server_config::{Otlp as OtlpConfig, PushGateway, SecretRef};

    use super::*;

    fn config(metrics: Metrics) -> ServiceConfig {
        ServiceConfig { metrics, server_name: Some("shop".into()), ..ServiceConfig::default() }
    }

    fn read(metrics: Metrics, environment: &Environment) -> Settings {
        Settings::read(&config(metrics), environment).unwrap()
    }

    #[test]
    fn the_path_of_a_push_gateway() {
        let environment = Environment::from([("HOSTNAME", "pod-1")]);
        for (job, path) in [
            (None, "/metrics/job/shop/instance/pod-1"),
            (Some("my job/x"), "/metrics/job@base64/bXkgam9iL3g=/instance/pod-1"),
            (Some(".."), "/metrics/job@base64/Li4=/instance/pod-1"),
        ] {
            let gateway =
                PushGateway { url: "http://push:9091/".into(), job: job.map(Into::into), interval: None };
            let metrics = Metrics { push_gateway: Some(gateway), ..Metrics::default() };
            let push = read(metrics, &environment).push.unwrap();
            assert_eq!(
                (push.url, push.interval),
                (format!("http://push:9091{path}"), Duration::from_secs(30))
            );
        }
    }

    #[test]
    fn the_standard_variables_are_enough() {
        assert_eq!(read(Metrics::default(), &Environment::default()), Settings::default());
        let environment = Environment::from([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canary,x=1"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=a,service.version=9"),
            ("OTEL_SERVICE_NAME", "named"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
            ("HOSTNAME", "pod-1"),
        ]);
        let settings = read(Metrics::default(), &environment);
        assert!(!format!("{settings:?}").contains("canary"));
        let otlp = settings.otlp.unwrap();
        assert_eq!(otlp.metrics_url.as_deref(), Some("http://collector:4318/v1/metrics"));
        assert_eq!(otlp.traces_url.as_deref(), Some("http://collector:4318/v1/traces"));
        assert_eq!(otlp.headers["authorization"], "Bearer canary");
        assert_eq!((otlp.sample_ratio, otlp.interval), (0.5, Duration::from_secs(60)));
        let resource: std::collections::BTreeMap<_, _> = otlp.resource.into_iter().collect();
        assert_eq!(resource["service.name"], "named");
        assert_eq!(resource["service.version"], "9");
        assert_eq!(resource["service.instance.id"], "pod-1");
        assert_eq!(resource["team"], "a");
    }

    #[test]
    fn the_configuration_comes_first() {
        let environment = Environment::from([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://elsewhere:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x=1"),
            ("KEY", "canary"),
        ]);
        let header = |value| OtlpHeader { name: "api-key".into(), value };
        let otlp = |value, traces| Metrics {
            otlp: Some(OtlpConfig {
                endpoint: Some("http://c:4318".into()),
                headers: vec![header(value)],
                traces,
                ..OtlpConfig::default()
            }),
            ..Metrics::default()
        };
        let settings = read(otlp(SecretRef::from_env("KEY"), Some(Traces::On)), &environment).otlp.unwrap();
        assert_eq!(settings.traces_url.as_deref(), Some("http://c:4318/v1/traces"));
        assert_eq!(settings.headers.len(), 1);
        assert_eq!(settings.headers["api-key"], "canary");
        assert_eq!(read(otlp(SecretRef::from_env("KEY"), None), &environment).otlp.unwrap().traces_url, None);
        let missing = config(otlp(SecretRef::from_env("NONE"), None));
        assert!(matches!(Settings::read(&missing, &environment), Err(TelemetryError::Secret { .. })));
    }
}
