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

/// Why the content of a file is not text, and what to do.
fn not_utf_8(bytes: &[u8]) -> String {
    match bytes {
        [0x1f, 0x8b, ..] => "the file is compressed with gzip: unpack it".to_owned(),
        [b'P', b'K', 3, 4, ..] => "the file is a ZIP archive: unpack it".to_owned(),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "the file is UTF-16, as PowerShell writes it: save it as UTF-8".to_owned(),
        _ if bytes.contains(&0) => "the file is binary, not text".to_owned(),
        _ => {
            let text = String::from_utf8_lossy(bytes);
            let valid = text.split(char::REPLACEMENT_CHARACTER).next().unwrap_or_default();
            let line = valid.matches('\n').count() + 1;
            format!("{NOT_UTF_8}: line {line} has a character in another encoding, such as Latin-1: save the file as UTF-8")
        }
    }
}

/// Reads a text file.
///
/// # Errors
///
/// Why the file cannot be read, without its path and without its text.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    String::from_utf8(read_bytes(path)?).map_err(|error| not_utf_8(error.as_bytes()))
}

/// Reads a file whose encoding is not known yet.
///
/// # Errors
///
/// As [`read_text`].
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let file = fs::File::open(path).map_err(|error| explain(path, &error))?;
    let mut bytes = Vec::new();
    file.take(MAX_TEXT_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| explain(path, &error))?;
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
    match text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']) {
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
        for (bytes, expected) in [
            (&b"a = 1\nb = \"M\xfcller\"\n"[..], "the file is not UTF-8: line 2 has a character in another encoding, such as Latin-1"),
            (b"\x1f\x8b\x08\0", "the file is compressed with gzip"),
            (b"\xff\xfea\0", "the file is UTF-16"),
            (b"\x7fELF\0\xff", "the file is binary"),
        ] {
            fs::write(file.path(), bytes).expect("a file");
            assert!(read_text(file.path()).is_err_and(|message| message.starts_with(expected)), "{expected}");
        }
    }
}
