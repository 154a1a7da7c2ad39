//! `resources/read`, of files. Nothing that a client says leads out of a directory: not by `..`, not by a link, not by
//! anything but a regular file.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mcp_server_config::compile::content::CompiledFile;

use super::resource::{BYTES, TEXT, blob_answer, text_answer};
use crate::backend::{Answer, CallError};

/// The largest file that is read, in bytes.
pub(super) const MAX_FILE: u64 = 8 << 20;

/// Reads the file of this URI.
pub(super) async fn read(files: &[CompiledFile], uri: &str) -> Result<Answer, CallError> {
    let (file, path) =
        files.iter().find_map(|file| Some((file, path_of(file, uri)?))).ok_or(CallError::Unknown)?;
    let (file, uri) = (file.clone(), uri.to_owned());
    // A disk may be slow, or far away.
    let read = tokio::task::spawn_blocking(move || read_file(&file, path.as_deref(), &uri));
    read.await.map_err(|error| CallError::Internal(error.to_string()))?
}

/// The way below the directory for a URI of its family; no way for the URI of a single file.
fn path_of(file: &CompiledFile, uri: &str) -> Option<Option<PathBuf>> {
    match &file.uri {
        None => (file.declared.uri == uri).then_some(None),
        Some(template) => {
            let below = template.variables_of(uri)?.into_values().next()?;
            Some(Some(below.into()))
        }
    }
}

fn read_file(file: &CompiledFile, below: Option<&Path>, uri: &str) -> Result<Answer, CallError> {
    let path = match below {
        None => PathBuf::from(&file.declared.path),
        Some(below) => guarded(Path::new(&file.declared.path), below).ok_or(CallError::Unknown)?,
    };
    let bytes = match read_bytes(&path) {
        Ok(bytes) => bytes,
        Err(error) if below.is_some() && is_about_the_path(&error) => return Err(CallError::Unknown),
        Err(error) => {
            return Err(CallError::Internal(format!("cannot read {}: {error}", path.display())));
        }
    };
    let declared = &file.declared;
    let mime_type = declared.mime_type.as_deref().unwrap_or_else(|| self::mime_type(&path.to_string_lossy()));
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text_answer(uri, mime_type, &text, declared.ttl),
        Err(error) => {
            let mime_type = if mime_type == TEXT { BYTES } else { mime_type };
            blob_answer(uri, mime_type, &BASE64_STANDARD.encode(error.into_bytes()), declared.ttl)
        }
    })
}

/// The file below a directory, if it is there, inside, and a regular file.
fn guarded(directory: &Path, below: &Path) -> Option<PathBuf> {
    if !below.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    // With every link followed, both are where they seem to be.
    let directory = fs::canonicalize(directory).ok()?;
    let path = fs::canonicalize(directory.join(below)).ok()?;
    path.starts_with(&directory).then_some(path)
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening a pipe waits for somebody to write.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 8 MiB"));
    }
    Ok(bytes)
}

/// Errors that say no more than that there is no such resource.
fn is_about_the_path(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::PermissionDenied
    )
}

/// The media type by the ending of a file's name.
pub(super) fn mime_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    match ending.as_str() {
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "csv" => "text/csv",
        "json" => "application/json",
        "yaml" | "yml" => "application/yaml",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        _ => TEXT,
    }
}
