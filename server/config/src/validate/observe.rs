//! Rules of `metrics` and `health`.

use std::collections::BTreeSet;

use super::{DAY, Rules, SECOND};
use crate::{Duration, HealthCheck, HealthChecks, Metrics, Otlp, Path, PushGateway};

impl Rules {
    pub(super) fn metrics(&mut self, metrics: &Metrics) {
        let path = Path::of("metrics");
        self.between_at(&path.key("interval"), metrics.interval, SECOND, DAY);
        if let Some(gateway) = &metrics.push_gateway {
            self.push_gateway(&path.key("pushGateway"), gateway);
        }
        if let Some(otlp) = &metrics.otlp {
            self.otlp(&path.key("otlp"), otlp);
        }
    }

    fn push_gateway(&mut self, path: &Path, gateway: &PushGateway) {
        self.url(&path.key("url"), &gateway.url);
        self.between_at(&path.key("interval"), gateway.interval, SECOND, DAY);
        let length = gateway.job.as_ref().map_or(1, |job| job.chars().count());
        self.check_at((1..=128).contains(&length), &path.key("job"), || {
            "must have from 1 to 128 characters".to_owned()
        });
    }

    fn otlp(&mut self, path: &Path, otlp: &Otlp) {
        if let Some(endpoint) = &otlp.endpoint {
            self.url(&path.key("endpoint"), endpoint);
        }
        self.between_at(&path.key("interval"), otlp.interval, SECOND, DAY);
        self.check_at((0..=100).contains(&otlp.sample_percent()), &path.key("samplePercent"), || {
            "must be from 0 to 100".to_owned()
        });
        self.check_at(otlp.headers.len() <= 16, &path.key("headers"), || "must be at most 16".to_owned());
        for (index, header) in otlp.headers.iter().enumerate() {
            let path = path.key("headers").index(index);
            let plain = header.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
            self.check_at(plain && !header.name.is_empty(), &path.key("name"), || {
                "is not the name of a header".to_owned()
            });
            self.secret_at(&path.key("value"), &header.value);
        }
    }

    pub(super) fn health(&mut self, health: &HealthChecks) {
        let path = Path::of("health");
        self.between_at(&path.key("interval"), health.interval, SECOND, DAY);
        self.check_at(health.checks.len() <= 32, &path.key("checks"), || "must be at most 32".to_owned());
        let mut names = BTreeSet::new();
        for (index, check) in health.checks.iter().enumerate() {
            let path = path.key("checks").index(index);
            self.check_at(names.insert(&check.name), &path.key("name"), || {
                "is the name of an earlier check; give each check a name of its own".to_owned()
            });
            self.health_check(&path, check);
        }
    }

    fn health_check(&mut self, path: &Path, check: &HealthCheck) {
        let of_letters = check.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        self.check_at(of_letters && (1..=63).contains(&check.name.len()), &path.key("name"), || {
            "must have from 1 to 63 letters, digits, dots, dashes and underscores".to_owned()
        });
        self.between_at(&path.key("interval"), check.interval, SECOND, DAY);
        let (least, most) = (Duration::from_millis(10), Duration::from_secs(60));
        self.between_at(&path.key("timeout"), check.timeout, least, most);
        let asked = [check.http.is_some(), check.tcp.is_some(), check.tool.is_some()];
        self.check_at(asked.into_iter().filter(|set| *set).count() == 1, path, || {
            "exactly one of http, tcp and tool must be set".to_owned()
        });
        if let Some(http) = &check.http {
            let path = path.key("http");
            self.url(&path.key("url"), &http.url);
            let fits = http.expect_status.is_none_or(|status| (100..=599).contains(&status));
            self.check_at(fits, &path.key("expectStatus"), || "must be from 100 to 599".to_owned());
        }
        if let Some(tcp) = &check.tcp {
            let (host, port) = tcp.address.rsplit_once(':').unwrap_or_default();
            let fits = !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0);
            self.check_at(fits, &path.key("tcp").key("address"), || {
                "is not a host and a port; write them as in db.example.com:5432".to_owned()
            });
        }
    }

    fn url(&mut self, path: &Path, url: &str) {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
        let plain = !authority.is_empty() && !url.contains(char::is_whitespace) && url.len() <= 1024;
        self.check_at(plain, path, || {
            "is not a URL; write scheme, host and perhaps a port, as in http://host.example.com:9091"
                .to_owned()
        });
        self.check_at(!authority.contains('@'), path, || {
            "holds a password, and URLs are shown in logs and in /status".to_owned()
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{Origin, load, validate};

    fn violations(config: &serde_json::Value) -> Vec<String> {
        let origin = Origin { name: "test.json".into(), text: config.to_string() };
        let document = load(&origin, []).unwrap();
        validate(&document.config).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_rule_speaks() {
        let fine = json!({
            "metrics": {
                "interval": "10s",
                "pushGateway": {"url": "http://push:9091/base", "interval": "30s", "job": "mcp"},
                "otlp": {"endpoint": "https://c:4318", "traces": "On", "samplePercent": 25,
                         "headers": [{"name": "api-key", "value": {"env": "OTLP_KEY"}}]},
            },
            "health": {"interval": "10s", "checks": [
                {"name": "a", "http": {"url": "http://a.example.com/x?y=1", "expectStatus": 204}},
                {"name": "b", "timeout": "1s", "tcp": {"address": "[::1]:5432"}},
                {"name": "c", "interval": "1m", "tool": {"name": "ping", "arguments": {"n": 1}}},
            ]},
        });
        assert_eq!(violations(&fine), Vec::<String>::new());
        let broken = json!({
            "metrics": {
                "interval": "1ms",
                "pushGateway": {"url": "push:9091", "interval": "0s", "job": ""},
                "otlp": {"endpoint": "http://me:secret@c:4318", "interval": "25h", "samplePercent": 101,
                         "headers": [{"name": "a b", "value": {}}]},
            },
            "health": {"interval": "0s", "checks": [
                {"name": "a b", "http": {"url": "ftp://x", "expectStatus": 99}},
                {"name": "c", "timeout": "1h", "tcp": {"address": "db"}},
                {"name": "c", "interval": "1ms"},
            ]},
        });
        insta::assert_snapshot!(violations(&broken).join("\n"), @r#"
        metrics.interval: must be from 1s to 24h
        metrics.pushGateway.url: is not a URL; write scheme, host and perhaps a port, as in http://host.example.com:9091
        metrics.pushGateway.interval: must be from 1s to 24h
        metrics.pushGateway.job: must have from 1 to 128 characters
        metrics.otlp.endpoint: holds a password, and URLs are shown in logs and in /status
        metrics.otlp.interval: must be from 1s to 24h
        metrics.otlp.samplePercent: must be from 0 to 100
        metrics.otlp.headers[0].name: is not the name of a header
        metrics.otlp.headers[0].value: says nowhere to look; set one of file, env and (in a resource) secretKeyRef
        health.interval: must be from 1s to 24h
        health.checks[0].name: must have from 1 to 63 letters, digits, dots, dashes and underscores
        health.checks[0].http.url: is not a URL; write scheme, host and perhaps a port, as in http://host.example.com:9091
        health.checks[0].http.expectStatus: must be from 100 to 599
        health.checks[1].timeout: must be from 10ms to 1m
        health.checks[1].tcp.address: is not a host and a port; write them as in db.example.com:5432
        health.checks[2].name: is the name of an earlier check; give each check a name of its own
        health.checks[2].interval: must be from 1s to 24h
        health.checks[2]: exactly one of http, tcp and tool must be set
        "#);
    }
}
