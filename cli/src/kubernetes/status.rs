//! How what was deployed is.

use serde_json::json;

use super::cluster::Cluster;
use super::error::Error;
use super::object::{Key, Object};
use super::readiness::{Progress, is_workload, judge};
use crate::output::{List, Report};
use crate::text;

/// An object of the file and how it is.
struct Row {
    key: Key,
    /// None for what has no notion of readiness.
    ready: Option<bool>,
    replicas: String,
    url: String,
    message: String,
}

impl Cluster {
    /// The objects that the file declares, and how each of them is.
    pub(crate) fn status(&self, environment: &str) -> Result<Report, Error> {
        let declared = self.declared()?;
        let present = self.present(&declared)?;
        if present.is_empty() {
            return Ok(Report::failed(format!(
                "Nothing of {environment} is deployed to {}; `deploy {environment}` does it",
                self.namespace
            )));
        }
        let rows: Vec<_> = declared.iter().map(Object::key).map(|key| row(present.get(&key), key)).collect();
        let troubles: Vec<_> = rows
            .iter()
            .filter(|row| row.ready == Some(false))
            .map(|row| format!("{}: {}", row.key, row.message))
            .collect();
        let report = if troubles.is_empty() {
            let workloads = rows.iter().filter(|row| row.ready.is_some()).count();
            let what = if workloads == 0 { "every object exists".to_owned() } else { ready(workloads) };
            Report::done(format!("{environment} is healthy in {}: {what}", self.namespace))
        } else {
            Report::failed(format!(
                "{environment} is not healthy in {}: {}; `{}` says more",
                self.namespace,
                troubles.join("; "),
                self.typed(&["describe", "KIND/NAME"])
            ))
        };
        Ok(report.with(list(rows)))
    }
}

fn ready(workloads: usize) -> String {
    let verb = if workloads == 1 { "is" } else { "are" };
    format!("{} {verb} ready", text::count(workloads, "workload"))
}

fn row(object: Option<&Object>, key: Key) -> Row {
    let Some(object) = object else {
        let message = "it does not exist".to_owned();
        return Row { key, ready: Some(false), replicas: String::new(), url: String::new(), message };
    };
    let (is_ready, message) = match judge(object) {
        Progress::Ready(how) => (true, how),
        Progress::Waiting(how) | Progress::Failed { how, .. } => (false, how),
    };
    let replicas = match object.number("/spec/replicas").or_else(|| object.number("/status/replicas")) {
        Some(wanted) => format!("{}/{wanted}", object.number("/status/readyReplicas").unwrap_or(0)),
        None => String::new(),
    };
    Row {
        key,
        ready: (is_workload(object) || !is_ready).then_some(is_ready),
        replicas,
        url: object.text("/status/url").to_owned(),
        message,
    }
}

fn list(rows: Vec<Row>) -> List {
    let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let rows = rows.into_iter().map(|row| {
        let ready = match row.ready {
            Some(true) => "True",
            Some(false) => "False",
            None => "-",
        };
        let cells = vec![
            row.key.argument(),
            ready.to_owned(),
            dash(&row.replicas),
            dash(&row.url),
            dash(&row.message),
        ];
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let value = json!({
            "kind": row.key.kind,
            "name": row.key.name,
            "namespace": some(&row.key.namespace),
            "ready": row.ready,
            "replicas": some(&row.replicas),
            "url": some(&row.url),
            "message": some(&row.message),
        });
        (cells, value)
    });
    List { name: "objects", header: &["OBJECT", "READY", "REPLICAS", "URL", "MESSAGE"], rows: rows.collect() }
}
