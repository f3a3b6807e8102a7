//! Warns of missing files of certificates and keys of a check. They may be created later, so this is no error.

use super::{locate::Places, problem::Problem};
use figment::value::{Dict, Value};
use std::path::Path;

/// The keys under `tls` that name a file.
const FILES: &[&str] = &["ca_file", "client_certificate_file", "client_key_file"];

/// A warning for each file that a check names under `tls` and that does not exist.
pub(crate) fn warnings(merged: &Dict, places: &Places<'_>) -> Vec<Problem> {
    let checks = merged.get("checks").and_then(Value::as_dict).into_iter().flatten();
    let tables = checks.filter_map(|(name, check)| Some((name, check.as_dict()?.get("tls")?.as_dict()?)));
    let files = tables.flat_map(|(name, tls)| FILES.iter().filter_map(move |key| Some((name, *key, tls.get(*key)?.as_str()?))));
    let missing = files.filter(|(_, _, file)| Path::new(file).try_exists().is_ok_and(|exists| !exists));
    let warning = |(name, key, _): (&String, &str, &str)| {
        let path = ["checks", name, "tls", key].map(str::to_owned).to_vec();
        Problem {
            place: places.place_of(&path),
            path,
            message: "there is no such file: every probe fails until it exists".to_owned(),
            hint: None,
        }
    };
    missing.map(warning).collect()
}
