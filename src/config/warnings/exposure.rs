//! Warns about files with secrets that every user of the machine can read, and detects files that another user may have planted.

use crate::{
    config::{
        environment::Environment,
        locate::{ConfigFile, Places},
        problem::Problem,
        settings::Settings,
    },
    kinds::{
        Registry,
        schema::{is_secret, schema_at},
    },
};
use allswell_checks::contract::is_secret_name;
use figment::value::{Dict, Value};
use schemars::schema_for;
use serde_json::Value as Json;
use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Component, Path},
    slice,
};

/// Warns about each file that every user of the machine can read, if it is a configuration file with a literal secret, or a file with a secret
/// that a key of `merged` names.
pub(in crate::config) fn warnings(documents: &[ConfigFile], merged: &Dict, places: &Places<'_>, registry: &Registry) -> Vec<Problem> {
    let settings = schema_for!(Settings).to_value();
    let is_secret_key = |path: &[String]| is_secret(schema_of(path, &settings, merged, registry));
    let mut warnings = Vec::new();
    for document in documents.iter().filter(|document| can_be_read_by_all(&document.path)) {
        let literal = |(key, text): &(Vec<String>, &str)| is_secret_key(key) && is_literal(key, text);
        let keys: Vec<Vec<String>> = document.texts().into_iter().filter(literal).map(|(key, _)| key).collect();
        let Some(first) = keys.first() else { continue };
        let others = if keys.len() > 1 { format!(" and {} more", keys.len() - 1) } else { String::new() };
        let environment = Environment::default();
        let within = Places { documents: slice::from_ref(document), environment: &environment, overrides: &[] };
        warnings.push(Problem {
            place: within.place_of(first),
            path: first.clone(),
            message: format!("every user of this machine can read this file, which contains this secret{others}"),
            hint: Some(format!(
                "run `chmod o-r {}`, or move secrets to environment variables (`${{NAME}}`) or files (keys that end in `_file`)",
                document.path.display()
            )),
        });
    }
    let mut files = Vec::new();
    secret_files(merged, &mut Vec::new(), &is_secret_key, &mut files);
    for (key, file) in files.into_iter().filter(|(_, file)| can_be_read_by_all(Path::new(file))) {
        warnings.push(Problem {
            place: places.place_of(&key),
            path: key,
            message: "every user of this machine can read this file, which contains a secret".to_owned(),
            hint: Some(format!("run `chmod o-r {file}`")),
        });
    }
    warnings
}

/// The schema of a key of the settings or a check.
fn schema_of<'a>(path: &[String], settings: &'a Json, merged: &Dict, registry: &'a Registry) -> &'a Json {
    match path {
        [section, name, key @ ..] if section == "checks" => {
            let kind = merged.get(section).and_then(|checks| checks.as_dict()?.get(name)?.as_dict()?.get("kind")?.as_str());
            kind.and_then(|kind| registry.get(kind)).map_or(&Json::Null, |kind| schema_at(&kind.schema, key))
        }
        _ => schema_at(settings, path),
    }
}

/// Keys whose file holds a private key or credentials.
const SECRET_FILES: &[&str] = &["key_file", "client_key_file", "credentials_file"];

/// The files with secrets that a table names.
fn secret_files<'a>(
    table: &'a Dict,
    path: &mut Vec<String>,
    is_secret_key: &dyn Fn(&[String]) -> bool,
    found: &mut Vec<(Vec<String>, &'a str)>,
) {
    for (key, value) in table {
        path.push(key.clone());
        match value {
            Value::Dict(_, inner) => secret_files(inner, path, is_secret_key, found),
            Value::String(_, file) => {
                let behind = key.strip_suffix("_file").map(|secret| [&path[..path.len() - 1], &[secret.to_owned()]].concat());
                if SECRET_FILES.contains(&key.as_str()) || behind.is_some_and(|secret| is_secret_key(&secret)) {
                    found.push((path.clone(), file));
                }
            }
            _ => {}
        }
        path.pop();
    }
}

/// Whether the value of a secret key, as written in a file, contains a secret. A reference to the environment, a URL without a password, and a
/// header whose name is not that of a credential contain none.
fn is_literal(key: &[String], text: &str) -> bool {
    let (text, refers) = without_references(text);
    if let Some((_, rest)) = text.split_once("://") {
        return url_holds_secret(rest);
    }
    let is_identifier = match key {
        [.., table, header] if table == "headers" => !is_secret_name(header),
        [.., last] => last == "access_key_id",
        [] => true,
    };
    !refers && !is_identifier && !text.trim().is_empty()
}

/// The text with references replaced by their defaults, and whether a reference had no default.
fn without_references(text: &str) -> (String, bool) {
    let (mut left, mut rest, mut refers) = (String::new(), text, false);
    while let Some(at) = rest.find("${") {
        let end = rest[at..].find('}').map_or(rest.len(), |end| at + end);
        left.push_str(&rest[..at]);
        match rest[at + 2..end].split_once(":-") {
            Some((_, default)) => left.push_str(default),
            None => refers = true,
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    left.push_str(rest);
    (left, refers)
}

/// Whether a URL, without its scheme, has a password or a query parameter with the name of a secret.
fn url_holds_secret(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let password = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map_or("", |(_, password)| password);
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let mut parameters = query.split('&').filter_map(|parameter| parameter.split_once('='));
    // The value of `sslkey` is a path.
    let is_secret = |name: &str| is_secret_name(name) && name != "sslkey" && name != "ssl-key";
    !password.is_empty() || parameters.any(|(name, value)| !value.is_empty() && is_secret(name))
}

/// Whether the mode of a file and the modes of all directories above it let every user read it. The group does not count: it is the usual way to
/// give a service access to a file.
fn can_be_read_by_all(path: &Path) -> bool {
    // No warning about a path that cannot be examined, such as a pipe of the shell.
    let Ok(path) = fs::canonicalize(path) else { return false };
    let permits = |path: &Path, bit: u32| fs::metadata(path).is_ok_and(|metadata| metadata.mode() & bit != 0);
    !is_mounted_secret(&path) && permits(&path, 0o004) && path.ancestors().skip(1).all(|folder| permits(folder, 0o001))
}

/// Whether an orchestrator mounted the file. Such files are often readable by all, in a container without other users: Docker and Podman mount
/// secrets below `/run/secrets`, and Kubernetes keeps each version of a volume in a directory such as `..2026_11_27_10_00_00.123`.
fn is_mounted_secret(path: &Path) -> bool {
    let is_version = |component: Component<'_>| matches!(component, Component::Normal(name) if name.as_bytes().starts_with(b".."));
    ["/run/secrets", "/var/run/secrets"].iter().any(|folder| path.starts_with(folder)) || path.components().any(is_version)
}

/// Whether another user may have planted a file in the working directory: every user can write there, and the file's owner is neither this user
/// nor root.
pub(in crate::config) fn may_be_planted(file: &Path) -> bool {
    let is_open = fs::metadata(".").is_ok_and(|folder| folder.mode() & 0o002 != 0);
    // Of a link, its own owner counts.
    let owner = fs::symlink_metadata(file).map(|file| file.uid());
    is_open && owner.is_ok_and(|owner| owner != 0 && owner != rustix::process::geteuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_literal_unless_it_is_a_reference_or_contains_none() {
        for (key, text, expected) in [
            ("password", "hunter2", true),
            ("password", "", false),
            ("password", "${DB_PASSWORD}", false),
            ("password", "${DB_PASSWORD:-}", false),
            ("password", "${DB_PASSWORD:-hunter2}", true),
            ("url", "redis://cache/0", false),
            ("url", "redis://app@cache/0?x=a:b@c", false),
            ("url", "redis://app:hunter2@cache/0", true),
            ("url", "redis://:hunter2@${HOST}/0", true),
            ("url", "redis://app:${PASSWORD}@cache/0", false),
            ("url", "${REDIS_URL}", false),
            ("url", "${REDIS_URL:-redis://:hunter2@cache}", true),
            ("url", "postgres://db/x?sslmode=verify-full&sslkey=/etc/key", false),
            ("url", "postgres://db/x?user=app&password=hunter2", true),
            ("url", "https://api/x?api_key=hunter2", true),
            ("headers.x-api-key", "hunter2", true),
            ("headers.Authorization", "Bearer hunter2", true),
            ("headers.Authorization", "Bearer ${TOKEN}", false),
            ("headers.accept-language", "en", false),
            ("access_key_id", "AKIA", false),
        ] {
            let key: Vec<String> = key.split('.').map(str::to_owned).collect();
            assert_eq!(is_literal(&key, text), expected, "{key:?} = {text}");
        }
    }

    #[test]
    fn every_user_can_read_a_file_if_its_mode_and_its_directories_allow_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        fs::write(&file, "hunter2").expect("a file");
        for (folder_mode, file_mode, expected) in [(0o755, 0o644, true), (0o755, 0o640, false), (0o700, 0o644, false), (0o711, 0o604, true)]
        {
            fs::set_permissions(&file, PermissionsExt::from_mode(file_mode)).expect("permissions");
            fs::set_permissions(folder.path(), PermissionsExt::from_mode(folder_mode)).expect("permissions");
            assert_eq!(can_be_read_by_all(&file), expected, "{file_mode:o} in {folder_mode:o}");
        }
        assert!(!can_be_read_by_all(&folder.path().join("none")));
    }

    #[test]
    fn mounted_secrets_are_recognised_by_their_path() {
        for (path, expected) in [
            ("/run/secrets/db_password", true),
            ("/etc/orders/..2026_11_27_10_00_00.123/password", true),
            ("/etc/orders/password", false),
            ("/run/secretsx/password", false),
            ("/etc/.hidden/password", false),
        ] {
            assert_eq!(is_mounted_secret(Path::new(path)), expected, "{path}");
        }
    }
}
