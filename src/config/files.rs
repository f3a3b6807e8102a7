//! Reads the text of configuration files, env files, compose files and secret files, and explains why a file cannot be read.

use allswell_checks::contract::Secret;
use std::{
    fs,
    io::{self, Read},
    path::Path,
};

/// The largest configuration, env or compose file. A device such as `/dev/zero` never ends.
const MAX_TEXT_FILE_BYTES: u64 = 16 << 20;

/// The largest file that can hold a secret.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

const NOT_UTF_8: &str = "the file is not UTF-8";

/// Reads a text file.
///
/// # Errors
///
/// Why the file cannot be read, without its path and without its text.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    String::from_utf8(read_bytes(path)?).map_err(|_| NOT_UTF_8.to_owned())
}

/// Reads a file whose encoding is not known yet.
///
/// # Errors
///
/// As [`read_text`].
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let file = fs::File::open(path).map_err(|error| explain(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_TEXT_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| explain(&error))?;
    if bytes.len() as u64 > MAX_TEXT_FILE_BYTES {
        return Err("the file is larger than the maximum of 16 MiB".to_owned());
    }
    Ok(bytes)
}

/// Reads the file behind an `x_file` key: its text without line breaks at the end, and without a mark of encoding.
///
/// # Errors
///
/// Why the file cannot be used, without its path and without its text.
pub(crate) fn read_secret(path: &Path) -> Result<Secret, String> {
    let kind = fs::metadata(path).map_err(|error| explain(&error))?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        // Reading it may never end.
        return Err("this is a pipe or a device, not a regular file".to_owned());
    }
    let file = fs::File::open(path).map_err(|error| explain(&error))?;
    let mut text = String::new();
    file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text).map_err(|error| explain(&error))?;
    if text.len() as u64 > MAX_SECRET_BYTES {
        return Err("the file is larger than 64 KiB, too large for a secret".to_owned());
    }
    match text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']) {
        // As it is for a moment while a program writes it in place.
        "" => Err("the file is empty: write the secret into it".to_owned()),
        text => Ok(Secret::new(text)),
    }
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied: this user cannot read the file".to_owned(),
        io::ErrorKind::InvalidData => NOT_UTF_8.to_owned(),
        io::ErrorKind::IsADirectory => "this is a directory, not a file".to_owned(),
        _ => format!("the file cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_never_ends_is_rejected() {
        assert_eq!(read_text(Path::new("/dev/zero")), Err("the file is larger than the maximum of 16 MiB".to_owned()));
    }

    #[test]
    fn a_file_that_is_not_text_is_rejected() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), b"\xff").expect("a file");
        assert_eq!(read_text(file.path()), Err("the file is not UTF-8".to_owned()));
    }
}
