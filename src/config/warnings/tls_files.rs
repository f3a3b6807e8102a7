//! Warns about files of certificates and keys of a check that are missing or cannot be used. They may be created later, so this is no error.

use crate::config::{files, locate::Places, problem::Problem};
#[cfg(feature = "server")]
use allswell_checks::wire::tls::{IdentityError, authority_warning, examine_identity, read_certificates, read_private_key};
use figment::value::{Dict, Value};
use std::path::Path;

const CA: &str = "ca_file";
const CERTIFICATE: &str = "client_certificate_file";
const KEY: &str = "client_key_file";

/// A warning for each file that a check names under `tls` and that does not exist or cannot be used.
pub(in crate::config) fn warnings(merged: &Dict, places: &Places<'_>) -> Vec<Problem> {
    let checks = merged.get("checks").and_then(Value::as_dict).into_iter().flatten();
    let tables = checks.filter_map(|(name, check)| Some((name, check.as_dict()?.get("tls")?.as_dict()?)));
    let mut found = Vec::new();
    for (name, tls) in tables {
        let file = |key: &str| tls.get(key).and_then(Value::as_str).map(Path::new);
        let mut messages: Vec<(&str, String)> =
            [CA, CERTIFICATE, KEY].into_iter().filter_map(|key| Some((key, unreadable(file(key)?)?))).collect();
        let readable = |key: &'static str| file(key).filter(|_| messages.iter().all(|(other, _)| *other != key));
        let found_in_files = unusable(readable(CA), readable(CERTIFICATE), readable(KEY));
        messages.extend(found_in_files);
        for (key, message) in messages {
            let path = ["checks", name, "tls", key].map(str::to_owned).to_vec();
            found.push(Problem { place: places.place_of(&path), path, message, hint: None });
        }
    }
    found
}

/// Why a file cannot be read, and what ends that.
fn unreadable(file: &Path) -> Option<String> {
    let reason = files::unusable(file)?;
    let remedy = if file.try_exists().unwrap_or(true) { "it can be read" } else { "it exists" };
    Some(format!("{reason}: every probe fails until {remedy}"))
}

/// What is wrong with files that can be read, by key.
#[cfg(feature = "server")]
fn unusable(ca: Option<&Path>, certificate: Option<&Path>, key: Option<&Path>) -> Vec<(&'static str, String)> {
    let failing = |reason: &dyn std::fmt::Display| format!("the file {reason}: every probe with TLS fails until it is replaced");
    let mut found = Vec::new();
    match ca.map(read_certificates) {
        Some(Ok(authorities)) => found.extend(authority_warning(&authorities).map(|warning| (CA, failing(&warning)))),
        Some(Err(error)) => found.push((CA, failing(&error))),
        None => {}
    }
    let chain = certificate.and_then(|file| read_certificates(file).map_err(|error| found.push((CERTIFICATE, failing(&error)))).ok());
    let key = key.and_then(|file| read_private_key(file).map_err(|error| found.push((KEY, failing(&error)))).ok());
    if let (Some(chain), Some(key)) = (chain, key) {
        match examine_identity(&chain, &key) {
            Ok(warnings) => found.extend(warnings.into_iter().map(|warning| (CERTIFICATE, format!("the file {warning}")))),
            Err(error @ IdentityError::Certificate(_)) => found.push((CERTIFICATE, failing(&error))),
            Err(error @ IdentityError::Key(_)) => found.push((KEY, failing(&error))),
        }
    }
    found
}

/// Only a build with a server can read certificates in any case.
#[cfg(not(feature = "server"))]
fn unusable(_: Option<&Path>, _: Option<&Path>, _: Option<&Path>) -> Vec<(&'static str, String)> {
    Vec::new()
}
