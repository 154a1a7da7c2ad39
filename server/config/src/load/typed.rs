//! From a value to a type, with everything that does not fit and not just the first of it.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::wording::plainly;
use crate::{Path, Violation, path::Segment};

/// More is not told at once.
const MOST: usize = 50;

/// What became of a value.
#[derive(Debug)]
pub(super) struct Typed<T> {
    /// The value without what did not fit; none where nothing is left of it.
    pub(super) value: Option<T>,
    /// What means nothing to the type.
    pub(super) unknown: Vec<Path>,
    /// What did not fit.
    pub(super) wrong: Vec<Violation>,
    gone: Gone,
}

impl<T> Typed<T> {
    /// Where what is at `path` of the value stands in the text.
    pub(super) fn as_written(&self, path: Path) -> Path {
        self.gone.as_written(path)
    }
}

/// Reads a value. What does not fit is taken out and reading begins anew, until the rest fits.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Typed<T> {
    let mut typed = Typed { value: None, unknown: Vec::new(), wrong: Vec::new(), gone: Gone::default() };
    let mut rest = Cow::Borrowed(value);
    for _ in 0..MOST {
        match once(&rest) {
            Ok((value, unknown)) => {
                typed.value = Some(value);
                typed.unknown = unknown.into_iter().map(|path| typed.gone.as_written(path)).collect();
                break;
            }
            Err(Violation { path, message }) => {
                let written = typed.as_written(path.clone());
                // That something is missing now is no wonder where it was taken out.
                let inside = |wrong: &Violation| wrong.path.segments().starts_with(written.segments());
                if !typed.wrong.iter().any(inside) {
                    typed.wrong.push(Violation { path: written, message });
                }
                if !take(rest.to_mut(), &path) {
                    break;
                }
                typed.gone.0.push(path);
            }
        }
    }
    typed
}

fn once<T: DeserializeOwned>(value: &Value) -> Result<(T, Vec<Path>), Violation> {
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(value, &mut track);
    let result = serde_ignored::deserialize(deserializer, |path| unknown.push(of_ignored(&path)));
    match result {
        Ok(typed) => Ok((typed, unknown)),
        Err(error) => {
            Err(Violation { path: of_tracked(&track.path()), message: plainly(&error.to_string()) })
        }
    }
}

/// Takes a field, or an item of a list, out of a value; false where there is no such thing, and nothing has changed.
fn take(value: &mut Value, path: &Path) -> bool {
    let Some((last, above)) = path.segments().split_last() else { return false };
    let mut place = value;
    for segment in above {
        let next = match segment {
            Segment::Key(key) => place.get_mut(key.as_str()),
            Segment::Index(index) => place.get_mut(*index),
        };
        let Some(next) = next else { return false };
        place = next;
    }
    match (place, last) {
        (Value::Object(map), Segment::Key(key)) => map.remove(key).is_some(),
        (Value::Array(items), Segment::Index(index)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

/// What was taken out, each where it stood when it was: items behind it in its list have moved up.
#[derive(Debug, Default)]
struct Gone(Vec<Path>);

impl Gone {
    /// Where what is at `path` now stood at first.
    fn as_written(&self, path: Path) -> Path {
        self.0.iter().rev().fold(path, |path, gone| {
            let Some((Segment::Index(gone_index), above)) = gone.segments().split_last() else { return path };
            let depth = above.len();
            match path.segments().get(depth) {
                Some(Segment::Index(index)) if path.segments().starts_with(above) && index >= gone_index => {
                    let mut moved = Path::root();
                    above.iter().for_each(|segment| moved.push(segment.clone()));
                    moved.push(Segment::Index(index + 1));
                    path.segments()[depth + 1..].iter().for_each(|segment| moved.push(segment.clone()));
                    moved
                }
                _ => path,
            }
        })
    }
}

fn of_ignored(path: &serde_ignored::Path<'_>) -> Path {
    use serde_ignored::Path as Ignored;
    match path {
        Ignored::Root => Path::root(),
        Ignored::Seq { parent, index } => of_ignored(parent).index(*index),
        Ignored::Map { parent, key } => of_ignored(parent).key(key.as_str()),
        Ignored::Some { parent } | Ignored::NewtypeStruct { parent } | Ignored::NewtypeVariant { parent } => {
            of_ignored(parent)
        }
    }
}

fn of_tracked(path: &serde_path_to_error::Path) -> Path {
    use serde_path_to_error::Segment as Tracked;
    let mut found = Path::root();
    for segment in path {
        match segment {
            Tracked::Seq { index } => found.push(Segment::Index(*index)),
            Tracked::Map { key } => found.push(Segment::Key(key.clone())),
            Tracked::Enum { .. } | Tracked::Unknown => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServiceConfig;
    use serde_json::json;

    #[test]
    fn everything_that_does_not_fit_is_told_where_it_stands() {
        let value = json!({
            "tools": [{"nam": "a"}, {"name": "b", "text": 5}, {"name": "c", "txt": "x"}, {"text": "y"}, {"name": []}],
            "performance": {"requestTimeout": "soon"},
        });
        let typed = read::<ServiceConfig>(&value);
        let mut wrong: Vec<_> = typed.wrong.iter().map(|wrong| wrong.path.to_string()).collect();
        wrong.sort();
        let expected =
            ["performance.requestTimeout", "tools[0]", "tools[1].text", "tools[3]", "tools[4].name"];
        assert_eq!(wrong, expected);
        let unknown: Vec<_> = typed.unknown.iter().map(ToString::to_string).collect();
        assert_eq!(unknown, ["tools[2].txt"]);
        assert_eq!(typed.value.unwrap().tools.len(), 2);
    }
}
