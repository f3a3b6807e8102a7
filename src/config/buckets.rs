//! The buckets that an application's environment names.

use super::{discovered::Discovered, environment::Environment};
use crate::kinds::Kind;
use figment::value::{Dict, Value};
use std::collections::BTreeMap;

/// Variables that name a bucket.
pub(super) const VARIABLES: &[&str] = &["AWS_STORAGE_BUCKET_NAME", "S3_BUCKET"];

/// Keys of a bucket's check, and the variables that they come from: first django-storages' own, then AWS's. Keys that belong together stand
/// in one row: they are taken from one row, or not at all.
const KEYS: &[&[(&str, &str)]] = &[
    &[("endpoint", "AWS_S3_ENDPOINT_URL")],
    &[("endpoint", "AWS_ENDPOINT_URL_S3")],
    &[("endpoint", "AWS_ENDPOINT_URL")],
    &[("region", "AWS_S3_REGION_NAME")],
    &[("region", "AWS_REGION")],
    &[("region", "AWS_DEFAULT_REGION")],
    &[("access_key_id", "AWS_S3_ACCESS_KEY_ID"), ("secret_access_key", "AWS_S3_SECRET_ACCESS_KEY"), ("session_token", "AWS_SESSION_TOKEN")],
    &[("access_key_id", "AWS_S3_ACCESS_KEY_ID"), ("secret_access_key", "AWS_S3_SECRET_ACCESS_KEY")],
    &[("access_key_id", "AWS_ACCESS_KEY_ID"), ("secret_access_key", "AWS_SECRET_ACCESS_KEY"), ("session_token", "AWS_SESSION_TOKEN")],
    &[("access_key_id", "AWS_ACCESS_KEY_ID"), ("secret_access_key", "AWS_SECRET_ACCESS_KEY")],
    &[("profile", "AWS_S3_SESSION_PROFILE")],
    &[("profile", "AWS_PROFILE")],
];

/// The buckets that the environment names. They are asked for what is not there, and written to by nobody who was not told to: an object
/// that comes and goes may cost money, start somebody's pipeline, and stay for ever where versions are kept.
pub(super) fn buckets(environment: &Environment, kind: &Kind) -> Vec<Discovered> {
    let mut table = Dict::from([("mode".to_owned(), Value::from("bucket"))]);
    let mut variables = BTreeMap::new();
    for row in KEYS {
        let values: Option<Vec<_>> = row.iter().map(|(_, variable)| environment.get(variable)).collect();
        // Keys of one's own go before a profile, as everywhere.
        let taken = |key: &str| table.contains_key(key) || (key == "profile" && table.contains_key("access_key_id"));
        let Some(values) = values.filter(|_| !row.iter().any(|(key, _)| taken(key))) else { continue };
        for ((key, variable), value) in row.iter().zip(values) {
            table.insert((*key).to_owned(), Value::from(value));
            variables.insert(*key, (*variable).to_owned());
        }
    }
    let mut found: Vec<Discovered> = Vec::new();
    for variable in VARIABLES {
        let Some(written) = environment.get(variable) else { continue };
        // Some write it as the command line has it, with a folder behind it.
        let bucket = written.trim_start_matches("s3://").split('/').next().unwrap_or(written);
        let Ok(name) = variable.to_ascii_lowercase().parse() else { continue };
        let (mut table, mut variables) = (table.clone(), variables.clone());
        table.insert("bucket".to_owned(), Value::from(bucket));
        if bucket == written {
            variables.insert("bucket", (*variable).to_owned());
        }
        if found.iter().all(|other| other.table != table) {
            found.push(Discovered { name, kind: kind.name, table, variables, origin: (*variable).to_owned(), host: false });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Registry;

    fn found_in(variables: &[(&str, &str)]) -> Vec<Discovered> {
        let environment = Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        buckets(&environment, Registry::builtin().get("s3").expect("it is built in"))
    }

    #[test]
    fn buckets_are_found_with_what_the_application_knows_of_them_and_never_written_to() {
        let environment = [
            ("AWS_STORAGE_BUCKET_NAME", "media"),
            ("S3_BUCKET", "s3://backups/daily"),
            ("AWS_S3_ENDPOINT_URL", "http://minio:9000"),
            ("AWS_ENDPOINT_URL", "http://other:9000"),
            ("AWS_DEFAULT_REGION", "eu-central-1"),
            ("AWS_S3_ACCESS_KEY_ID", "half of a pair"),
            ("AWS_ACCESS_KEY_ID", "A"),
            ("AWS_SECRET_ACCESS_KEY", "B"),
            ("AWS_PROFILE", "ops"),
        ];
        let shown = |check: &Discovered| {
            let keys: Vec<_> = check.table.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
            format!("{}: {}", check.name, keys.join(" "))
        };
        let rest = "endpoint=http://minio:9000 mode=bucket region=eu-central-1 secret_access_key=B";
        assert_eq!(
            found_in(&environment).iter().map(shown).collect::<Vec<_>>(),
            [
                format!("aws_storage_bucket_name: access_key_id=A bucket=media {rest}"),
                format!("s3_bucket: access_key_id=A bucket=backups {rest}")
            ]
        );
        let twice = [("AWS_STORAGE_BUCKET_NAME", "media"), ("S3_BUCKET", "media")];
        assert_eq!(found_in(&twice).iter().map(|one| one.origin.as_str()).collect::<Vec<_>>(), ["AWS_STORAGE_BUCKET_NAME"]);
    }
}
