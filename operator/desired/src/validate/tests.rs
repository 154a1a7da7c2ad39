//! What is refused, with which path and which words; and what is worked out.

use serde_json::{Value, json};

use super::*;
use crate::fixtures::{server, valid};

fn refusals(spec: Value) -> Vec<String> {
    validate(&server(spec), &Observed::default())
        .err()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn every_rule_has_a_path_and_a_next_step() {
    let mounts = |path: &str| json!({"volumes": [{"name": "data", "emptyDir": {}}], "runtime": {"volumeMounts": [{"name": "data", "mountPath": path}]}});
    for (spec, said) in [
        (json!({"replicas": -1}), "spec.replicas: must be from 0 to 1000"),
        (
            json!({"config": {"tools": []}}),
            "spec.config.tools: a server needs at least one tool; declare it here",
        ),
        (
            json!({"config": {"tools": [{"name": "a"}]}}),
            "spec.config.tools[0]: exactly one of cel, text, http and command must be set",
        ),
        (
            json!({"config": {"performance": {"requestTimeout": "11m"}}}),
            "spec.config.performance.requestTimeout: must be from 1ms to 10m",
        ),
        (
            json!({"config": {"auth": {"apiKeys": {"file": "/keys.json"}}}}),
            "spec.config.auth.apiKeys: must be a secretKeyRef; a resource knows neither files, nor variables, nor secrets in clear",
        ),
        (
            json!({"runtime": {"image": "a b"}}),
            "spec.runtime.image: must be the reference of an image, without spaces, as in ghcr.io/example/mcp-server:0.1.0",
        ),
        (
            json!({"runtime": {"env": [{"name": "A"}, {"name": "A"}]}}),
            "spec.runtime.env[1]: \"A\" is there twice; remove one of the two",
        ),
        (
            json!({"runtime": {"env": [{"name": ""}]}}),
            "spec.runtime.env[0].name: \"\" is not the name of an environment variable",
        ),
        (
            json!({"runtime": {"env": [{"name": "MCP_HTTP_ADDRESS", "value": "1"}]}}),
            "spec.runtime.env[0].name: MCP_HTTP_ADDRESS is the operator's own, since probes and the Service rely on it; see spec.rollout and spec.service",
        ),
        (
            json!({"runtime": {"env": [{"name": "A", "value": "b", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}}),
            "spec.runtime.env[0].valueFrom: value is set too; set only one of the two",
        ),
        (
            json!({"runtime": {"resources": {"limits": {"memory": "much"}}}}),
            "spec.runtime.resources.limits.memory: \"much\" is not an amount; write one as in 100m, 0.5 or 64Mi",
        ),
        (
            json!({"runtime": {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}}),
            "spec.runtime.resources.requests.cpu: 2 is more than the limit of 1; lower it, or raise the limit",
        ),
        (
            json!({"runtime": {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}}),
            "spec.runtime.volumeMounts[0].name: there is no volume \"data\" in spec.volumes; add it there, or name one that is",
        ),
        (
            mounts("/app/config"),
            "spec.runtime.volumeMounts[0].mountPath: /app/config would hide /app/config, which the server needs; mount it elsewhere, as in /data",
        ),
        (
            mounts("/app"),
            "spec.runtime.volumeMounts[0].mountPath: /app would hide /app/config, which the server needs; mount it elsewhere, as in /data",
        ),
        (
            mounts("/"),
            "spec.runtime.volumeMounts[0].mountPath: / would hide /app/config, which the server needs; mount it elsewhere, as in /data",
        ),
        (
            mounts("/tmp/x/"),
            "spec.runtime.volumeMounts[0].mountPath: /tmp/x/ would hide /tmp, which the server needs; mount it elsewhere, as in /data",
        ),
        (
            mounts("data"),
            "spec.runtime.volumeMounts[0].mountPath: \"data\" must be an absolute path without colons and dots that lead up",
        ),
        (
            mounts("/data/../app"),
            "spec.runtime.volumeMounts[0].mountPath: \"/data/../app\" must be an absolute path without colons and dots that lead up",
        ),
        (
            json!({"volumes": [{"name": "mcp-x", "emptyDir": {}}]}),
            "spec.volumes[0].name: names that start with mcp- are the operator's own; choose another",
        ),
        (
            json!({"volumes": [{"name": "x"}]}),
            "spec.volumes[0]: exactly one of configMap, secret, emptyDir, persistentVolumeClaim, projected and csi must be set",
        ),
        (
            json!({"pod": {"labels": {"app.kubernetes.io/name": "x"}}}),
            "spec.pod.labels.app.kubernetes.io/name: is a label of the operator's own; choose another key",
        ),
        (json!({"pod": {"labels": {"a b": "x"}}}), "spec.pod.labels.a b: is not a legal key of a label"),
        (
            json!({"pod": {"annotations": {"mcp-operator.dev/restart-hash": "x"}}}),
            "spec.pod.annotations.mcp-operator.dev/restart-hash: is an annotation of the operator's own; choose another key",
        ),
        (
            json!({"pod": {"serviceAccount": {"name": "a", "annotations": {"b": "c"}}}}),
            "spec.pod.serviceAccount.annotations: annotations are for the ServiceAccount that the operator makes; set either name or annotations",
        ),
        (json!({"service": {"port": 0}}), "spec.service.port: must be from 1 to 65535"),
        (
            json!({"service": {"loadBalancerClass": "x"}}),
            "spec.service.loadBalancerClass: needs type: LoadBalancer; set that, or remove the class",
        ),
        (
            json!({"rollout": {"maxSurge": 0}}),
            "spec.rollout.maxSurge: maxSurge and maxUnavailable are both 0, so that no pod could ever be replaced; raise one of them",
        ),
        (
            json!({"rollout": {"maxSurge": "150%"}}),
            "spec.rollout.maxSurge: must be a number from 0 to 1000 or a percentage up to 100%, as in 25%",
        ),
        (json!({"rollout": {"drainDelay": "11m"}}), "spec.rollout.drainDelay: must be at most 10m"),
        (
            json!({"rollout": {"drainTimeout": "10s"}}),
            "spec.rollout.drainTimeout: 10s is less than the request timeout of 30s, so that stopping pods would cut calls off; raise it, or lower spec.config.performance.requestTimeout",
        ),
        (
            json!({"rollout": {"progressDeadline": "10s", "minReadySeconds": 10}}),
            "spec.rollout.progressDeadline: 10s must be more than minReadySeconds (10), or every rollout would count as stuck",
        ),
    ] {
        assert_eq!(refusals(spec.clone()), [said], "{spec}");
    }
}

#[test]
fn all_violations_at_once() {
    let spec = json!({"replicas": -1, "service": {"port": 0}, "config": {"tools": []}});
    assert_eq!(refusals(spec).len(), 3);
}

#[test]
fn a_tool_that_does_not_compile_is_named_by_its_field() {
    let said = refusals(json!({"config": {"tools": [{"name": "a", "cel": "1 +"}]}}));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("spec.config.tools[0].cel: "), "{said:?}");
    let said = refusals(
        json!({"config": {"tools": [{"name": "a", "text": "x", "inputSchema": {"type": "array"}}]}}),
    );
    assert!(
        said.iter().all(|text| text.starts_with("spec.config.tools[0].inputSchema")) && !said.is_empty(),
        "{said:?}"
    );
}

#[test]
fn a_name_that_cannot_be_a_service_is_refused() {
    for name in ["1st", "a.b", &"a".repeat(53), ""] {
        let mut server = server(json!({}));
        server.metadata.name = Some(name.to_owned());
        let said = validate(&server, &Observed::default()).unwrap_err();
        assert_eq!(said[0].path.to_string(), "metadata.name", "{name}");
    }
}

#[test]
fn a_configuration_that_no_config_map_can_hold_is_refused() {
    let tools: Vec<Value> =
        (0..100).map(|i| json!({"name": format!("t{i}"), "text": "x".repeat(16_000)})).collect();
    let said = refusals(json!({"config": {"tools": tools}}));
    assert!(said.iter().any(|text| text.starts_with("spec.config: is ")), "{said:?}");
}

#[test]
fn a_load_balancer_keeps_its_class() {
    let observed = Observed {
        service: Some(std::sync::Arc::new(
            serde_json::from_value(json!({"spec": {"type": "LoadBalancer", "loadBalancerClass": "a"}}))
                .unwrap(),
        )),
        ..Observed::default()
    };
    let with = |class: &str| server(json!({"service": {"type": "LoadBalancer", "loadBalancerClass": class}}));
    assert!(validate(&with("a"), &observed).is_ok());
    let said = validate(&with("b"), &observed).unwrap_err();
    assert_eq!(said[0].path.to_string(), "spec.service.loadBalancerClass");
}

#[test]
fn the_server_is_told_what_the_resource_cannot_know() {
    insta::assert_snapshot!(valid(json!({})).rendered, @r#"
    {
      "auth": {
        "apiKeys": {
          "file": "/app/secrets/api-keys/keys.json"
        }
      },
      "http": {
        "address": "0.0.0.0:8080",
        "adminAddress": "0.0.0.0:9090",
        "allowedHosts": [
          "hello",
          "hello.shop",
          "hello.shop.svc",
          "hello.shop.svc.cluster.local",
          "localhost"
        ]
      },
      "serverName": "hello",
      "shutdown": {
        "delay": "5s",
        "timeout": "35s"
      },
      "tools": [
        {
          "name": "greet",
          "text": "Hello"
        }
      ]
    }
    "#);
}

#[test]
fn keys_and_patience_follow_from_the_resource() {
    for (spec, keys) in [
        (json!({}), Keys::Generated { secret: "hello-api-key".into() }),
        (json!({"config": {"auth": {"mode": "Optional"}}}), Keys::None),
        (
            json!({"config": {"auth": {"mode": "Disabled", "apiKeys": {"secretKeyRef": {"name": "a", "key": "b"}}}}}),
            Keys::None,
        ),
        (
            json!({"config": {"auth": {"apiKeys": {"secretKeyRef": {"name": "a", "key": "b"}}}}}),
            Keys::Given { secret: "a".into(), key: "b".into() },
        ),
    ] {
        assert_eq!(valid(spec.clone()).keys, keys, "{spec}");
    }
    for (spec, seconds) in [
        (json!({}), 5 + 35 + 5),
        (json!({"rollout": {"drainDelay": "0s", "drainTimeout": "1m"}}), 60 + 5),
        (json!({"config": {"performance": {"requestTimeout": "1500ms"}}}), 5 + 7 + 5),
    ] {
        assert_eq!(valid(spec.clone()).grace_period_seconds, seconds, "{spec}");
    }
}

#[test]
fn what_is_told_passes_the_servers_own_check() {
    for spec in [json!({}), json!({"config": {"http": {"allowedHosts": ["a.example.com", "localhost"]}}})] {
        assert_eq!(mcp_server_config::validate(&valid(spec).config), []);
    }
}

fn with_env(env: &Value, config: &Value) -> Value {
    json!({"runtime": {"env": env}, "config": config})
}

#[test]
fn variables_are_held_to_the_rules_of_the_configuration() {
    let variable = |name: &str, value: &str| json!([{"name": name, "value": value}]);
    let from = |name: &str| json!([{"name": name, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]);
    for (env, config, said) in [
        (
            variable("MCP_RATE_LIMIT_MODE", "loud"),
            json!({}),
            "spec.runtime.env[0].value: is not one of Enforce, Report, Off",
        ),
        (
            variable("MCP_PERFORMANCE_REQUEST_TIMEOUT", "11m"),
            json!({}),
            "spec.runtime.env[0].value: performance.requestTimeout must be from 1ms to 10m",
        ),
        (
            variable("MCP_AUTH_MODE", "Disabled"),
            json!({"auth": {"mode": "Required"}}),
            "spec.runtime.env[0].value: MCP_AUTH_MODE contradicts spec.config.auth.mode; remove one of the two",
        ),
        (
            variable("MCP_AUTH_ENABLED", "false"),
            json!({"auth": {"mode": "Required"}}),
            "spec.runtime.env[0].value: MCP_AUTH_ENABLED contradicts spec.config.auth.mode; remove one of the two",
        ),
        (
            variable("MCP_HTTP_ALLOWED_HOSTS", "evil.example.com"),
            json!({}),
            "spec.runtime.env[0].name: MCP_HTTP_ALLOWED_HOSTS would replace what the operator sets; use spec.config.http.allowedHosts instead",
        ),
        (
            variable("MCP_AUTH_API_KEYS_FILE", "/tmp/keys.json"),
            json!({}),
            "spec.runtime.env[0].name: MCP_AUTH_API_KEYS_FILE would replace what the operator sets; use spec.config.auth.apiKeys.secretKeyRef instead",
        ),
        (
            from("MCP_AUTH_MODE"),
            json!({}),
            "spec.runtime.env[0].valueFrom: MCP_AUTH_MODE changes auth.mode, and what it is taken from cannot be checked; set spec.config.auth.mode instead",
        ),
    ] {
        assert_eq!(refusals(with_env(&env, &config)), [said], "{env}");
    }
    for (env, config) in [
        (variable("MCP_LOG_LEVEL", "debug"), json!({})),
        (variable("MCP_LOG_LEVEL", "debug"), json!({"logging": {"level": "Debug"}})),
        (variable("MCP_AUTH_MODE", ""), json!({"auth": {"mode": "Required"}})),
        (from("MCP_API_KEY"), json!({})),
        (from("MCP_LOG_LEVEL"), json!({})),
        (variable("TEAM", "a"), json!({})),
    ] {
        assert_eq!(refusals(with_env(&env, &config)), Vec::<String>::new(), "{env}");
    }
}

#[test]
fn what_comes_from_elsewhere_cannot_switch_authentication_off() {
    let spec = json!({
        "runtime": {"envFrom": [{"configMapRef": {"name": "settings"}}], "env": [{"name": "MCP_LOG_LEVEL", "value": "debug"}]},
        "config": {"performance": {"maxConcurrentRequests": 5}},
    });
    let server = valid(spec);
    let container = &crate::objects(&server, &crate::fixtures::settings())
        .deployment
        .spec
        .unwrap()
        .template
        .spec
        .unwrap();
    let env = container.containers[0].env.as_ref().unwrap();
    let value = |name: &str| {
        env.iter().find(|variable| variable.name == name).map(|variable| variable.value.as_deref())
    };
    for shut_out in [
        "MCP_AUTH_MODE",
        "MCP_AUTH_ENABLED",
        "MCP_API_KEY",
        "MCP_HTTP_ADDRESS",
        "MCP_HTTP_ALLOWED_HOSTS",
        "MCP_HTTP_ALLOWED_ORIGINS",
        "MCP_PERFORMANCE_MAX_CONCURRENT_REQUESTS",
    ] {
        assert_eq!(value(shut_out), Some(None), "{shut_out}");
    }
    assert_eq!(value("MCP_LOG_LEVEL"), Some(Some("debug")));
    assert_eq!(
        value("MCP_RATE_LIMIT_BURST"),
        None,
        "a variable that contradicts nothing may come from there"
    );
    // An empty variable counts as not set.
    let empty = env
        .iter()
        .filter(|variable| variable.value.is_none())
        .map(|variable| (variable.name.clone(), String::new()));
    assert_eq!(mcp_server_config::env::overlay(empty).unwrap().value, json!({}));
    assert!(valid(json!({})).environment.shut_out.is_empty());
}

#[test]
fn what_weakens_security_and_what_variables_set_is_shown() {
    let shown = |spec: Value| -> Vec<(&'static str, &'static str, String)> {
        let all = crate::notices::notices(&valid(spec));
        all.into_iter().map(|notice| (notice.condition, notice.reason, notice.message)).collect()
    };
    assert!(shown(json!({})).is_empty());
    for spec in [
        json!({"config": {"auth": {"mode": "Disabled"}}}),
        json!({"runtime": {"env": [{"name": "MCP_AUTH_MODE", "value": "Disabled"}]}}),
    ] {
        let all = shown(spec);
        assert_eq!((all[0].0, all[0].1), ("InsecureSettings", "AuthenticationDisabled"));
        assert!(all[0].2.contains("anyone who reaches the Service can call every tool"), "{}", all[0].2);
    }
    let all = shown(
        json!({"config": {"auth": {"mode": "Optional"}, "logging": {"requests": {"arguments": "Full"}}}}),
    );
    assert_eq!((all.len(), all[0].1), (1, "AuthenticationOptional"));
    assert!(all[0].2.contains("logging.requests.arguments is Full"), "{}", all[0].2);
    let all = shown(json!({"runtime": {"env": [{"name": "MCP_LOG_LEVEL", "value": "debug"}]}}));
    let sentence = "spec.runtime.env sets logging.level (MCP_LOG_LEVEL)".to_owned();
    assert_eq!(all, [("EnvironmentSettings", "Environment", sentence)]);
}

#[test]
fn a_load_balancer_s_names_are_allowed_hosts_and_so_is_any_address_of_a_node() {
    let balanced = std::sync::Arc::new(
        serde_json::from_value(json!({"status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}, {"ip": "203.0.113.7"}]}}}))
            .unwrap(),
    );
    let observed = Observed { service: Some(balanced), ..Observed::default() };
    let config =
        |type_: &str| validate(&server(json!({"service": {"type": type_}})), &observed).unwrap().config;
    let balanced = config("LoadBalancer");
    let hosts = &balanced.service.http.allowed_hosts;
    assert!(
        hosts.contains(&"lb.example.com".to_owned()) && hosts.contains(&"203.0.113.7".to_owned()),
        "{hosts:?}"
    );
    assert_eq!(config("NodePort").process.http.address_hosts(), AddressHosts::Allow);
    assert_eq!(config("ClusterIP").process.http.address_hosts(), AddressHosts::Refuse);
    assert!(!config("ClusterIP").service.http.allowed_hosts.contains(&"lb.example.com".to_owned()));
}

#[test]
fn children_carry_the_version_of_the_program_unless_the_resource_has_one() {
    let label = |spec: Value| {
        let objects = crate::fixtures::built(spec);
        objects.service.metadata.labels.unwrap()["app.kubernetes.io/version"].clone()
    };
    assert_eq!(label(json!({})), env!("CARGO_PKG_VERSION"));
    assert_eq!(label(json!({"config": {"serverVersion": "2.3.4"}})), "2.3.4");
}
