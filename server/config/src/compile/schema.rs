//! JSON Schemas: draft 2020-12 unless `$schema` names one of the other drafts that are read (2019-09 and draft-07, which
//! many generators write), compiled once, offline, with an engine for patterns that cannot backtrack.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};

use crate::path::Path;
use crate::validate::Violation;

/// The deepest nesting of a schema.
pub const MAX_DEPTH: usize = 64;
/// The most violations reported of one schema.
const MAX_VIOLATIONS: usize = 20;
/// The drafts that are read, with the address of each without scheme and fragment, and what messages call it.
const DRAFTS: [(Draft, &str, &str); 3] = [
    (Draft::Draft202012, "json-schema.org/draft/2020-12/schema", "JSON Schema 2020-12"),
    (Draft::Draft201909, "json-schema.org/draft/2019-09/schema", "JSON Schema 2019-09"),
    (Draft::Draft7, "json-schema.org/draft-07/schema", "JSON Schema draft-07"),
];

/// Compiles a schema whose root says `type: object`; none where it says nothing more, for then any object fits.
pub(super) fn compile(schema: &Map<String, Value>, path: &Path) -> Result<Option<Validator>, Vec<Violation>> {
    let mut violations = Vec::new();
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        let message =
            "must be \"object\", for arguments and structured results are objects; write type: object";
        violations.push(Violation { path: path.key("type"), message: message.to_owned() });
    }
    let root = Value::Object(schema.clone());
    if deeper_than(&root, MAX_DEPTH) {
        let message = format!("is nested deeper than {MAX_DEPTH} levels; move parts of it to $defs");
        return Err(vec![Violation { path: path.clone(), message }]);
    }
    let Some((draft, name)) = draft(schema) else {
        let message = "must be draft 2020-12, 2019-09 or draft-07 of json-schema.org, as in https://json-schema.org/draft/2020-12/schema; leave it out or correct it";
        return Err(vec![Violation { path: path.key("$schema"), message: message.to_owned() }]);
    };
    let meta = match draft {
        Draft::Draft7 => jsonschema::draft7::meta::validator(),
        Draft::Draft201909 => jsonschema::draft201909::meta::validator(),
        _ => jsonschema::draft202012::meta::validator(),
    };
    for error in meta.iter_errors(&root).take(MAX_VIOLATIONS) {
        violations.push(Violation {
            path: below(path, &root, error.instance_path().as_str()),
            message: not_a_schema(&error, name),
        });
    }
    if violations.is_empty() {
        subschemas(&root, path, &mut violations);
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    if schema.len() == 1 {
        return Ok(None);
    }
    let built = jsonschema::options()
        .with_draft(draft)
        .offline()
        .with_pattern_options(PatternOptions::regex())
        .build(&root);
    built.map(Some).map_err(|error| vec![refused(&error, &root, path)])
}

/// The draft that a schema is written in, and its name.
fn draft(schema: &Map<String, Value>) -> Option<(Draft, &'static str)> {
    let Some(dialect) = schema.get("$schema") else {
        return DRAFTS.first().map(|(draft, _, name)| (*draft, *name));
    };
    let uri = dialect.as_str()?.trim_end_matches('#');
    let uri = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://"))?;
    DRAFTS.iter().find(|(_, known, _)| *known == uri).map(|(draft, _, name)| (*draft, *name))
}

/// The types of JSON Schema (2020-12, validation, section 6.1.1).
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// Why a schema is not one of this draft. Values are not quoted. The library's text about alternatives speaks of the schema of
/// schemas, which no user wrote.
fn not_a_schema(error: &jsonschema::ValidationError<'_>, draft: &str) -> String {
    let keyword = error.instance_path().as_str().rsplit('/').find(|step| step.parse::<usize>().is_err());
    let alternatives =
        matches!(error.kind(), ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. });
    if keyword == Some("type") && (alternatives || matches!(error.kind(), ValidationErrorKind::Enum { .. })) {
        return format!("is not a type; write one of {}, or a list of them", TYPES.join(", "));
    }
    if alternatives {
        return format!("is not {draft}: the value does not fit here; correct it");
    }
    format!("is not {draft}: {}; correct it", error.masked())
}

/// What only the compiler of schemas finds.
fn refused(error: &jsonschema::ValidationError<'_>, root: &Value, path: &Path) -> Violation {
    let message = match error.kind() {
        ValidationErrorKind::Referencing(_) => {
            "has a reference that leads nowhere; refer to a part of this schema, as in #/$defs/name"
                .to_owned()
        }
        _ => format!("cannot be compiled: {}; correct it", error.masked()),
    };
    Violation { path: below(path, root, error.instance_path().as_str()), message }
}

/// Keywords whose value is data, not a schema.
pub(super) const DATA: [&str; 4] = ["const", "default", "enum", "examples"];
/// Keywords whose value maps names of the author's choosing to schemas.
pub(super) const NAMED: [&str; 6] =
    ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];

/// Walks the schemas in a schema: references must stay inside, patterns must be ones that the engine knows.
fn subschemas(schema: &Value, path: &Path, violations: &mut Vec<Violation>) {
    match schema {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                subschemas(item, &path.index(index), violations);
            }
        }
        Value::Object(keywords) => {
            for (keyword, value) in keywords.iter().filter(|(keyword, _)| !DATA.contains(&keyword.as_str())) {
                let path = path.key(keyword);
                match value {
                    Value::String(uri) if keyword == "$ref" || keyword == "$dynamicRef" => {
                        reference(uri, &path, violations)
                    }
                    Value::String(pattern) if keyword == "pattern" => {
                        self::pattern(pattern, &path, violations)
                    }
                    Value::Object(named) if NAMED.contains(&keyword.as_str()) => {
                        for (name, schema) in named {
                            if keyword == "patternProperties" {
                                self::pattern(name, &path.key(name), violations);
                            }
                            subschemas(schema, &path.key(name), violations);
                        }
                    }
                    _ => subschemas(value, &path, violations),
                }
            }
        }
        _ => {}
    }
}

fn reference(uri: &str, path: &Path, violations: &mut Vec<Violation>) {
    if !uri.starts_with('#') {
        let message = "refers to another document, and nothing is fetched; put the schema under $defs and refer to it as #/$defs/name";
        violations.push(Violation { path: path.clone(), message: message.to_owned() });
    }
}

/// Asks the very engine that will match: its syntax is that of ECMA 262, translated, without look-around.
fn pattern(pattern: &str, path: &Path, violations: &mut Vec<Violation>) {
    let alone = serde_json::json!({ "pattern": pattern });
    let options = jsonschema::options().with_draft(Draft::Draft202012).offline();
    if options.with_pattern_options(PatternOptions::regex()).build(&alone).is_err() {
        let looks_around = ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|group| pattern.contains(group));
        let message = if looks_around {
            "has look-around, which would need a backtracking engine; say it without, perhaps by several patterns under allOf"
        } else {
            "is not a regular expression that can be used here; correct it, and use neither look-around nor backreferences"
        };
        violations.push(Violation { path: path.clone(), message: message.to_owned() });
    }
}

fn deeper_than(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| deeper_than(item, below)),
        Value::Object(entries) => entries.values().any(|value| deeper_than(value, below)),
        _ => false,
    }
}

/// A JSON pointer into `root` as a path below `path`.
fn below(path: &Path, root: &Value, pointer: &str) -> Path {
    let mut path = path.clone();
    let mut value = Some(root);
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        match (value, segment.parse()) {
            (Some(Value::Array(items)), Ok(index)) => {
                path = path.index(index);
                value = items.get(index);
            }
            _ => {
                value = value.and_then(|value| value.get(&segment));
                path = path.key(segment);
            }
        }
    }
    path
}
