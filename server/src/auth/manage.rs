//! Changing the file of API keys: what `mcp-server keys` does.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::auth::fingerprint::Fingerprint;
use crate::auth::generate::random_key;
use crate::auth::keys_file::{self, Entry, File, KeysError, Limits};
use crate::auth::private_file::{EditError, edit};

/// Why the file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} does not exist; `mcp-server keys --file {} add ID` makes it", .0.display(), .0.display())]
    Missing(PathBuf),
    #[error("the keys in {} cannot be used as they are", path.display())]
    Keys { path: PathBuf, source: KeysError },
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("{} has a key with the id {id:?} already; revoke it first, or choose another id", path.display())]
    Taken { path: PathBuf, id: String },
    #[error("{} has no key with the id {id:?}", path.display())]
    Unknown { path: PathBuf, id: String },
    #[error("the key cannot be added")]
    Entry(#[source] KeysError),
    #[error("{0:?} is no time from now, as 90d, 12h or 30m, and no date, as 2027-01-31T00:00:00Z")]
    Expires(String),
}

/// What a new key is to be.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub id: String,
    pub scopes: Vec<String>,
    /// As the user writes it.
    pub expires: Option<String>,
    pub requests_per_minute: Option<u32>,
    pub burst: Option<u32>,
}

/// Makes a key and stores its digest. What comes back is the key, which is nowhere else. Several processes may add keys to
/// the same file at the same time.
///
/// # Errors
/// Where the file cannot be read or written, or has a key with that id.
pub fn add(path: &Path, wanted: &Wanted) -> Result<String, ManageError> {
    let key = random_key();
    let limits = Limits { requests_per_minute: wanted.requests_per_minute, burst: wanted.burst };
    let expires = wanted.expires.as_deref();
    let entry = Entry {
        id: wanted.id.clone(),
        key: None,
        sha256: Some(Fingerprint::of(key.as_bytes()).to_hex()),
        scopes: wanted.scopes.clone(),
        expires: expires.map(|text| expiry(text, SystemTime::now())).transpose()?,
        limits: (limits != Limits::default()).then_some(limits),
    };
    keys_file::check(&File { keys: vec![entry.clone()] }).map_err(ManageError::Entry)?;
    edit(path, |text| {
        let mut file = text.map(|text| read(path, text)).transpose()?.unwrap_or_default();
        if file.keys.iter().any(|other| other.id == entry.id) {
            return Err(ManageError::Taken { path: path.to_owned(), id: entry.id.clone() });
        }
        file.keys.push(entry.clone());
        keys_file::check(&file).map_err(ManageError::Entry)?;
        Ok(keys_file::write(&file))
    })?;
    Ok(key)
}

/// Takes a key back.
///
/// # Errors
/// Where the file cannot be read or written, or has no such key.
pub fn revoke(path: &Path, id: &str) -> Result<(), ManageError> {
    let without = |mut file: File| {
        let before = file.keys.len();
        file.keys.retain(|entry| entry.id != id);
        let unknown = || ManageError::Unknown { path: path.to_owned(), id: id.to_owned() };
        if file.keys.len() < before { Ok(file) } else { Err(unknown()) }
    };
    // Where there is nothing to revoke, nothing is made beside it.
    without(open(path)?)?;
    edit(path, |text| {
        let text = text.ok_or_else(|| ManageError::Missing(path.to_owned()))?;
        Ok(keys_file::write(&without(read(path, text)?)?))
    })
}

/// A table of the keys, without the keys.
///
/// # Errors
/// Where the file cannot be read.
pub fn list(path: &Path) -> Result<String, ManageError> {
    let file = open(path)?;
    let now = SystemTime::now();
    let mut rows = vec![["ID", "STORED", "EXPIRES", "LIMIT", "SCOPES"].map(str::to_owned)];
    rows.extend(file.keys.iter().map(|entry| row(entry, now)));
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    Ok(rows.iter().map(line).collect())
}

fn row(entry: &Entry, now: SystemTime) -> [String; 5] {
    let none = || "-".to_owned();
    let stored = if entry.key.is_some() { "in clear" } else { "sha256" };
    let expires = entry.expires.as_ref().map(|text| {
        let over = keys_file::timestamp(text).is_some_and(|expires| expires <= now);
        format!("{text}{}", if over { " (expired)" } else { "" })
    });
    let limit = entry.limits.map(|limits| {
        let number = |number: Option<u32>| number.map_or_else(none, |number| number.to_string());
        format!("{}/min, burst {}", number(limits.requests_per_minute), number(limits.burst))
    });
    let scopes = if entry.scopes.is_empty() { none() } else { entry.scopes.join(" ") };
    [entry.id.clone(), stored.to_owned(), expires.unwrap_or_else(none), limit.unwrap_or_else(none), scopes]
}

fn open(path: &Path) -> Result<File, ManageError> {
    let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ManageError::Missing(path.to_owned()),
        _ => ManageError::Read { path: path.to_owned(), source },
    });
    read(path, &text?)
}

fn read(path: &Path, text: &str) -> Result<File, ManageError> {
    let keys = |source| ManageError::Keys { path: path.to_owned(), source };
    // A file with nothing but one key becomes a list with that key.
    let text = text.trim();
    let file = if text.starts_with('{') {
        keys_file::read(text).map_err(keys)?
    } else {
        keys_file::bare(text).map_err(keys)?
    };
    keys_file::check(&file).map_err(keys)?;
    Ok(file)
}

/// A date as RFC 3339 writes it, given a date or a time from now.
fn expiry(text: &str, now: SystemTime) -> Result<String, ManageError> {
    let wrong = || ManageError::Expires(text.to_owned());
    if let Some(at) = keys_file::timestamp(text) {
        return if at > now { Ok(text.trim().to_owned()) } else { Err(wrong()) };
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = match &text[digits..] {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(wrong()),
    };
    let seconds =
        number.checked_mul(unit).filter(|seconds| (1..=3_153_600_000).contains(seconds)).ok_or_else(wrong)?;
    let at = jiff::Timestamp::try_from(now + std::time::Duration::from_secs(seconds)).map_err(|_| wrong())?;
    Ok(jiff::Timestamp::from_second(at.as_second()).map_err(|_| wrong())?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn wanted(id: &str) -> Wanted {
        Wanted { id: id.to_owned(), ..Wanted::default() }
    }

    #[test]
    fn a_key_comes_and_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/keys.json");
        let key =
            add(&path, &Wanted { scopes: vec!["read".into()], expires: Some("90d".into()), ..wanted("ci") })
                .unwrap();
        let other = add(&path, &Wanted { requests_per_minute: Some(6), ..wanted("ops") }).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&key) && !text.contains(&other));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let keys = keys_file::parse(&text).unwrap();
        assert_eq!(keys[0].fingerprint, Fingerprint::of(key.as_bytes()));
        let days = keys[0].expires.unwrap().duration_since(SystemTime::now()).unwrap().as_secs() / 86_400;
        assert_eq!(days, 89);
        assert!(matches!(add(&path, &wanted("ci")), Err(ManageError::Taken { .. })));

        let table = list(&path).unwrap();
        assert!(table.contains("ci   sha256") && table.contains("6/min, burst -"), "{table}");
        revoke(&path, "ci").unwrap();
        assert!(matches!(revoke(&path, "ci"), Err(ManageError::Unknown { .. })));
        let left: Vec<_> = keys_file::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].id, "ops");
    }

    #[test]
    fn a_single_key_becomes_one_of_several() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "plain-key\n").unwrap();
        add(&path, &wanted("ci")).unwrap();
        let keys = keys_file::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["default", "ci"]);
    }

    #[test]
    fn nothing_is_written_that_the_server_would_refuse() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        for wrong in [
            wanted(" "),
            Wanted { scopes: vec!["a b".into()], ..wanted("x") },
            Wanted { expires: Some("soon".into()), ..wanted("x") },
            Wanted { expires: Some("90".into()), ..wanted("x") },
            Wanted { expires: Some("0d".into()), ..wanted("x") },
            Wanted { expires: Some("99999999999999999w".into()), ..wanted("x") },
            Wanted { expires: Some("2001-01-01T00:00:00Z".into()), ..wanted("x") },
            Wanted { burst: Some(0), ..wanted("x") },
        ] {
            assert!(add(&path, &wrong).is_err(), "{wrong:?}");
        }
        assert!(!path.exists());
        std::fs::write(&path, "{").unwrap();
        assert!(matches!(add(&path, &wanted("x")), Err(ManageError::Keys { .. })));
    }
}
