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
    let file = fs::File::open(path).map_err(|error| explain(path, &error))?;
    let mut bytes = Vec::new();
    file.take(MAX_TEXT_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| explain(path, &error))?;
    if bytes.len() as u64 > MAX_TEXT_FILE_BYTES {
        return Err("the file is larger than the maximum of 16 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| NOT_UTF_8.to_owned())
}

/// Reads the file behind an `x_file` key: its text without line breaks at the end.
///
/// # Errors
///
/// Why the file cannot be used, without its path and without its text.
pub(crate) fn read_secret(path: &Path) -> Result<Secret, String> {
    let kind = fs::metadata(path).map_err(|error| explain(path, &error))?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        // Reading it may never end.
        return Err("this is a pipe or a device, not a regular file".to_owned());
    }
    let file = fs::File::open(path).map_err(|error| explain(path, &error))?;
    let mut text = String::new();
    file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text).map_err(|error| explain(path, &error))?;
    if text.len() as u64 > MAX_SECRET_BYTES {
        return Err("the file is larger than 64 KiB, too large for a secret".to_owned());
    }
    match text.trim_end_matches(['\r', '\n']) {
        // As it is for a moment while a program writes it in place.
        "" => Err("the file is empty: write the secret into it".to_owned()),
        text => Ok(Secret::new(text)),
    }
}

/// Why the file at a path cannot be opened, if it cannot. Does not read it.
pub(crate) fn unusable(path: &Path) -> Option<String> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Some(explain(path, &io::ErrorKind::IsADirectory.into())),
        // Opening a pipe might wait for its writer without end.
        Ok(metadata) if !metadata.is_file() => None,
        Ok(_) => fs::File::open(path).err().map(|error| explain(path, &error)),
        Err(error) => Some(explain(path, &error)),
    }
}

/// The reason of an error and the likely cause, without the path.
pub(crate) fn explain(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound if fs::symlink_metadata(path).is_ok() => "this is a link to a file that does not exist".to_owned(),
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied if fs::symlink_metadata(path).is_err() => {
            "permission denied: this user cannot enter the directory of the file".to_owned()
        }
        io::ErrorKind::PermissionDenied => "permission denied: this user cannot read the file".to_owned(),
        io::ErrorKind::InvalidData => NOT_UTF_8.to_owned(),
        io::ErrorKind::IsADirectory => {
            "this is a directory, not a file: Docker creates one if the file of a volume is missing on the host: create the file there first"
                .to_owned()
        }
        io::ErrorKind::NotADirectory => "there is no such file: a directory of its path is itself a file".to_owned(),
        // ELOOP: its kind has no stable name.
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => "its symbolic links lead in a circle".to_owned(),
        _ => format!("the file cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_that_never_ends_is_rejected() {
        assert_eq!(read_text(Path::new("/dev/zero")), Err("the file is larger than the maximum of 16 MiB".to_owned()));
    }

    #[test]
    fn the_reason_why_a_file_cannot_be_read_names_the_likely_cause() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("directory")).expect("a folder");
        fs::write(at("file"), "").expect("a file");
        symlink(at("none"), at("dangling")).expect("a link");
        symlink(at("circle"), at("circle")).expect("a link");
        for (name, expected) in [
            ("none", "there is no such file"),
            ("none/below", "there is no such file"),
            ("dangling", "this is a link to a file that does not exist"),
            ("directory", "this is a directory, not a file: Docker creates one if the file of a volume is missing"),
            ("file/below", "there is no such file: a directory of its path is itself a file"),
            ("circle", "its symbolic links lead in a circle"),
            ("circle/below", "its symbolic links lead in a circle"),
        ] {
            let found = read_text(&at(name)).expect_err("it cannot be read");
            assert!(found.starts_with(expected), "{name}: {found}");
            assert_eq!(unusable(&at(name)), Some(found), "{name}");
            assert!(read_secret(&at(name)).is_err_and(|found| found.starts_with(expected)), "{name}");
        }
        assert_eq!(unusable(&at("file")), None);
    }

    #[test]
    fn a_file_that_is_not_text_is_rejected() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), b"\xff").expect("a file");
        assert_eq!(read_text(file.path()), Err("the file is not UTF-8".to_owned()));
    }
}
