//! A client inside the cluster: a pod in which `mcp-server call` is run.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::{Namespace, command, eventually};

/// Which revision of the protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    Modern,
    Legacy,
}

/// A pod from which servers are called.
#[derive(Clone, Debug)]
pub struct Client {
    namespace: String,
}

/// What a call printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub ok: bool,
    pub text: String,
}

impl Client {
    /// Starts the pod. It runs a server of its own, because the image holds nothing else that stays.
    ///
    /// # Panics
    /// Where it does not run within a minute.
    pub async fn start(stage: &Namespace) -> Self {
        let image = std::env::var("E2E_RUNTIME_IMAGE").expect("E2E_RUNTIME_IMAGE names the server's image");
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client"},
            "spec": {
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 1,
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "client", "image": image, "imagePullPolicy": "IfNotPresent",
                    "args": ["serve", "--config", "/tmp/production.json"],
                    "env": [{"name": "MCP_AUTH_ENABLED", "value": "false"}],
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            },
        });
        eventually("the client's pod to be accepted", Duration::from_secs(30), async || {
            stage.apply::<Pod>(&pod).await.map_err(|error| error.to_string())
        })
        .await;
        eventually("the client's pod to run", Duration::from_secs(60), async || {
            let pod = stage.api::<Pod>().get("client").await.map_err(|error| error.to_string())?;
            let status = pod.status.unwrap_or_default();
            if status.phase.as_deref() == Some("Running") { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
        Self { namespace: stage.name.clone() }
    }

    /// Calls `greet` for Ada.
    pub async fn greet(&self, url: &str, key: Option<&str>, era: Era) -> Answer {
        let era = match era {
            Era::Modern => "modern",
            Era::Legacy => "legacy",
        };
        let arguments = r#"{"name":"Ada"}"#;
        let mut words = vec![
            "exec",
            "--namespace",
            &self.namespace,
            "client",
            "--",
            "/mcp-server",
            "call",
            "greet",
            arguments,
        ];
        words.extend(["--url", url, "--era", era]);
        if let Some(key) = key {
            words.extend(["--key", key]);
        }
        match command("kubectl", &words).await {
            Ok(text) => Answer { ok: true, text },
            Err(text) => Answer { ok: false, text },
        }
    }
}
