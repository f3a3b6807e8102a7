//! The buckets that the application's environment variables name.

use crate::contract::{EnvironmentCheck, EnvironmentKey};

/// Variables that name a bucket: those of django-storages, of Laravel and others.
const BUCKETS: [&str; 6] = ["AWS_STORAGE_BUCKET_NAME", "S3_BUCKET", "AWS_BUCKET", "AWS_S3_BUCKET", "AWS_S3_BUCKET_NAME", "S3_BUCKET_NAME"];

/// The variable of Fly.io's buckets. Its name is too general to count without an endpoint.
const FLY: (&str, &str) = ("BUCKET_NAME", "AWS_ENDPOINT_URL_S3");

/// The variables of the other keys: first those of django-storages, then those of AWS. Keys in one row belong together: all of them are taken
/// from that row, or none.
const KEYS: [&[(&str, &str)]; 12] = [
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

/// A check in the mode `bucket` for each bucket. Discovery never writes: an object that comes and goes may cost money, trigger a pipeline, and
/// be kept as a version.
pub(super) fn checks(variable: &dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck> {
    let mut keys = vec![EnvironmentKey { key: "mode", value: "bucket".to_owned(), variable: None }];
    for row in KEYS {
        let is_given = |key: &str| keys.iter().any(|given| given.key == key);
        // Explicit keys take precedence over a profile, as in the clients of AWS.
        if row.iter().any(|(key, _)| is_given(key) || (*key == "profile" && is_given("access_key_id"))) {
            continue;
        }
        let found: Option<Vec<_>> =
            row.iter().map(|(key, name)| Some(EnvironmentKey { key, value: variable(name)?, variable: Some(name) })).collect();
        keys.extend(found.into_iter().flatten());
    }
    if let Some(style) = variable("AWS_S3_ADDRESSING_STYLE").filter(|style| style == "path" || style == "virtual") {
        keys.push(EnvironmentKey { key: "addressing", value: style, variable: Some("AWS_S3_ADDRESSING_STYLE") });
    }
    let mut found: Vec<EnvironmentCheck> = Vec::new();
    for name in BUCKETS.into_iter().chain(variable(FLY.1).map(|_| FLY.0)) {
        let Some(written) = variable(name) else { continue };
        // Some write it as the command line of AWS takes it, with a folder after it.
        let bucket = written.trim_start_matches("s3://").split('/').next().unwrap_or_default();
        let is_known = found.iter().flat_map(|check| &check.keys).any(|key| key.key == "bucket" && key.value == bucket);
        if !is_known {
            let bucket = EnvironmentKey { key: "bucket", value: bucket.to_owned(), variable: (bucket == written).then_some(name) };
            let prefix = prefix(variable).filter(|_| name == BUCKETS[0]);
            found.push(EnvironmentCheck { variable: name, keys: keys.iter().cloned().chain(prefix).chain([bucket]).collect() });
        }
    }
    found
}

/// A prefix in the folder of django-storages: a policy may permit only that.
fn prefix(variable: &dyn Fn(&str) -> Option<String>) -> Option<EnvironmentKey> {
    let location = variable("AWS_LOCATION")?;
    let location = location.trim_matches('/');
    let is_plain = location.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
        && location.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
    is_plain.then(|| EnvironmentKey { key: "prefix", value: format!("{location}/allswell/"), variable: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in(variables: &[(&str, &str)]) -> Vec<String> {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let key = |key: &EnvironmentKey| format!("{}={}", key.key, key.variable.unwrap_or(&key.value));
        let check = |check: &EnvironmentCheck| format!("{}: {}", check.variable, check.keys.iter().map(key).collect::<Vec<_>>().join(" "));
        checks(&variable).iter().map(check).collect()
    }

    #[test]
    fn a_bucket_gets_the_keys_that_the_application_uses_and_is_not_written_to() {
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
            ("AWS_LOCATION", "/static/"),
            ("AWS_S3_ADDRESSING_STYLE", "virtual"),
        ];
        let keys = "mode=bucket endpoint=AWS_S3_ENDPOINT_URL region=AWS_DEFAULT_REGION access_key_id=AWS_ACCESS_KEY_ID \
                    secret_access_key=AWS_SECRET_ACCESS_KEY addressing=AWS_S3_ADDRESSING_STYLE";
        assert_eq!(
            found_in(&environment),
            [
                format!("AWS_STORAGE_BUCKET_NAME: {keys} prefix=static/allswell/ bucket=AWS_STORAGE_BUCKET_NAME"),
                format!("S3_BUCKET: {keys} bucket=backups")
            ]
        );
    }

    #[test]
    fn a_bucket_that_two_variables_name_is_checked_once() {
        let twice = found_in(&[("AWS_STORAGE_BUCKET_NAME", "media"), ("S3_BUCKET", "media")]);
        assert_eq!(twice, ["AWS_STORAGE_BUCKET_NAME: mode=bucket bucket=AWS_STORAGE_BUCKET_NAME"]);
    }
}
