//! Requests to upstreams, compiled.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::cel::OF_ANSWER;
use super::json::{JsonTemplate, pointer};
use super::template::Template;
use super::url::UrlTemplate;
use super::{CelProgram, cel_program, gather, template};
use crate::path::Path;
use crate::secret::SecretRef;
use crate::tools::{HttpBatch, HttpHeader, HttpMethod, HttpTool, ToolAnnotations};
use crate::validate::Violation;

/// How often a request is sent again that failed, unless the tool says otherwise.
const RETRIES: u32 = 2;

/// A request, ready to be filled in.
#[derive(Debug)]
pub struct HttpProgram {
    pub method: HttpMethod,
    pub url: UrlTemplate,
    pub query: Vec<(String, Template)>,
    pub headers: Vec<(String, HeaderSource)>,
    pub body: Option<BodyTemplate>,
    pub result: ResultMap,
    /// Absent where a call's own time is the only bound.
    pub timeout: Option<Duration>,
    /// The largest answer that is read, in bytes.
    pub max_response: usize,
    /// How often a request is sent again that failed; none where that could do harm.
    pub retries: u32,
    pub batch: Option<BatchShape>,
}

/// Where the value of a header comes from.
#[derive(Debug)]
pub enum HeaderSource {
    Template(Template),
    Secret { prefix: String, secret: SecretRef },
}

/// A body, ready to be filled in.
#[derive(Debug)]
pub enum BodyTemplate {
    Json(JsonTemplate),
    /// Names and values of fields.
    Form(Vec<(String, Template)>),
    Text(Template),
}

/// What of an answer counts.
#[derive(Debug)]
pub enum ResultMap {
    Whole,
    Pointer(String),
    Cel(CelProgram),
}

/// How items become one body and one answer becomes results.
#[derive(Debug, PartialEq, Eq)]
pub struct BatchShape {
    /// JSON before and behind the list of items.
    pub before: String,
    pub after: String,
    /// Where in the answer the list of results is.
    pub results: String,
    /// Where in a result an error is.
    pub error: Option<String>,
}

pub(super) fn compile(
    http: &HttpTool,
    annotations: Option<&ToolAnnotations>,
    path: &Path,
) -> Result<HttpProgram, Vec<Violation>> {
    let mut violations = Vec::new();
    let v = &mut violations;
    let url = gather(url(&http.url, &path.key("url")), v);
    let mut query = Vec::new();
    for (index, parameter) in http.query.iter().enumerate() {
        let path = path.key("query").index(index).key("value");
        let value = gather(template(Template::parse_or_empty, &parameter.value, &path), v);
        query.extend(value.map(|value| (parameter.name.clone(), value)));
    }
    let mut headers = Vec::new();
    for (index, given) in http.headers.iter().enumerate() {
        let source = gather(header(given, &path.key("headers").index(index)), v);
        headers.extend(source.flatten().map(|source| (given.name.to_ascii_lowercase(), source)));
    }
    let body = gather(body(http, &path.key("body")), v).flatten();
    let result = gather(result(http, &path.key("result")), v);
    let retries = gather(retries(http, annotations, &path.key("retries")), v);
    let batch = http.batch.as_ref().and_then(|batch| gather(shape(http, batch, &path.key("batch")), v));
    match (url, result, retries) {
        (Some(url), Some(result), Some(retries)) if violations.is_empty() => Ok(HttpProgram {
            method: http.method(),
            url,
            query,
            headers,
            body,
            result,
            timeout: http.timeout.map(crate::Duration::as_std),
            max_response: http.max_response().as_usize(),
            retries,
            batch,
        }),
        _ => Err(violations),
    }
}

fn one<T>(path: &Path, message: impl Into<String>) -> Result<T, Vec<Violation>> {
    Err(vec![Violation { path: path.clone(), message: message.into() }])
}

fn url(text: &str, path: &Path) -> Result<UrlTemplate, Vec<Violation>> {
    let template = template(Template::parse, text, path)?;
    UrlTemplate::of(&template).or_else(|message| one(path, message))
}

/// None where value and secret are both set or neither, which is said elsewhere.
fn header(header: &HttpHeader, path: &Path) -> Result<Option<HeaderSource>, Vec<Violation>> {
    let sendable = |text: &str| text.bytes().all(|b| (b' '..=b'~').contains(&b) || b == b'\t');
    match (&header.value, &header.secret) {
        (Some(value), None) => {
            if !sendable(value) {
                return one(&path.key("value"), "holds a character that no header may; write plain ASCII");
            }
            template(Template::parse_or_empty, value, &path.key("value"))
                .map(HeaderSource::Template)
                .map(Some)
        }
        (None, Some(secret)) => {
            let prefix = header.prefix.clone().unwrap_or_default();
            if !sendable(&prefix) {
                return one(&path.key("prefix"), "holds a character that no header may; write plain ASCII");
            }
            Ok(Some(HeaderSource::Secret { prefix, secret: secret.clone() }))
        }
        _ => Ok(None),
    }
}

fn body(http: &HttpTool, path: &Path) -> Result<Option<BodyTemplate>, Vec<Violation>> {
    let Some(body) = &http.body else { return Ok(None) };
    if http.method() == HttpMethod::Get {
        return one(path, "goes with no GET; remove it, or say method: POST");
    }
    match (&body.json, &body.form, &body.text) {
        (Some(json), None, None) => {
            JsonTemplate::compile(json, &path.key("json")).map(BodyTemplate::Json).map(Some)
        }
        (None, Some(fields), None) => form(fields, &path.key("form")).map(BodyTemplate::Form).map(Some),
        (None, None, Some(text)) => {
            template(Template::parse, text, &path.key("text")).map(BodyTemplate::Text).map(Some)
        }
        _ => Ok(None),
    }
}

fn form(fields: &BTreeMap<String, String>, path: &Path) -> Result<Vec<(String, Template)>, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut compiled = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let path = path.key(name);
        if name.contains("{{") {
            let message = "has {{ in a name; only values are filled in";
            violations.push(Violation { path: path.clone(), message: message.to_owned() });
        }
        let value = gather(template(Template::parse_or_empty, value, &path), &mut violations);
        compiled.extend(value.map(|value| (name.clone(), value)));
    }
    if violations.is_empty() { Ok(compiled) } else { Err(violations) }
}

fn result(http: &HttpTool, path: &Path) -> Result<ResultMap, Vec<Violation>> {
    let Some(result) = &http.result else { return Ok(ResultMap::Whole) };
    match (&result.pointer, &result.cel) {
        (Some(text), None) => match pointer(text, &path.key("pointer")) {
            Some(violation) => Err(vec![violation]),
            None => Ok(ResultMap::Pointer(text.clone())),
        },
        (None, Some(source)) => cel_program(source, OF_ANSWER, &path.key("cel")).map(ResultMap::Cel),
        _ => Ok(ResultMap::Whole),
    }
}

/// A request is sent twice only where twice is as good as once.
fn retries(
    http: &HttpTool,
    annotations: Option<&ToolAnnotations>,
    path: &Path,
) -> Result<u32, Vec<Violation>> {
    let hints = annotations.map(|given| (given.read_only_hint, given.idempotent_hint)).unwrap_or_default();
    let harmless = match hints {
        (Some(true), _) | (_, Some(true)) => true,
        (Some(false), _) | (_, Some(false)) => false,
        (None, None) => http.method() == HttpMethod::Get,
    };
    match http.retries {
        Some(wanted) if wanted > 0 && !harmless => one(
            path,
            "would send again what may change something twice; say annotations.readOnlyHint or idempotentHint: true where that does no harm",
        ),
        Some(wanted) => Ok(wanted),
        None => Ok(if harmless { RETRIES } else { 0 }),
    }
}

/// Where the list goes in the body that stands around it; the serializer escapes it like no text of a user's.
const MARK: &str = "\u{0}items\u{0}";

fn shape(http: &HttpTool, batch: &HttpBatch, path: &Path) -> Result<BatchShape, Vec<Violation>> {
    let mut violations = Vec::new();
    if http.body.as_ref().is_none_or(|body| body.json.is_none()) {
        let message = "needs body.json, which is one item of the list";
        violations.push(Violation { path: path.clone(), message: message.to_owned() });
    }
    let items = batch.items.as_deref().unwrap_or_default();
    for (text, key) in
        [(Some(items), "items"), (batch.results.as_deref(), "results"), (batch.error.as_deref(), "error")]
    {
        violations.extend(text.and_then(|text| pointer(text, &path.key(key))));
    }
    let mut around = Value::Object(batch.body.clone().unwrap_or_default());
    if items.is_empty() {
        if batch.body.is_some() {
            let message = "goes around a list that is the whole body; say in items where the list goes";
            violations.push(Violation { path: path.key("body"), message: message.to_owned() });
        }
        around = Value::from(MARK);
    } else if !put(&mut around, items) {
        let message = "leads into something in body that is not an object".to_owned();
        violations.push(Violation { path: path.key("items"), message });
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    let (text, mark) = (around.to_string(), Value::from(MARK).to_string());
    let (before, after) = text.split_once(&mark).expect("the mark was put in");
    Ok(BatchShape {
        before: before.to_owned(),
        after: after.to_owned(),
        results: batch.results.clone().unwrap_or_default(),
        error: batch.error.clone(),
    })
}

/// Puts the mark at a pointer, making objects on the way; false where something else is there.
fn put(around: &mut Value, pointer: &str) -> bool {
    let mut place = around;
    for token in pointer.split('/').skip(1) {
        let Some(map): Option<&mut Map<_, _>> = place.as_object_mut() else { return false };
        let key = token.replace("~1", "/").replace("~0", "~");
        place = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    }
    *place = Value::from(MARK);
    true
}
