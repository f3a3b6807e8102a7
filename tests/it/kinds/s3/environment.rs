//! `s3`, with the variables and files that the SDKs of AWS read.

use super::{KEYS, component, message, server, without_credentials};
use crate::{
    helpers::{command, run},
    servers::{Certificates, s3::SECRET, tls_front},
};

/// A configuration without an endpoint and credentials.
const BARE: &str = "[checks.media]\nkind = \"s3\"\nbucket = \"media\"\n";

#[test]
fn a_profile_in_the_config_file_has_the_endpoint_the_region_and_the_keys() {
    let server = server();
    let keys = format!("aws_access_key_id = probe\naws_secret_access_key = {SECRET}\n");
    let profile = format!("[profile ops]\nregion = eu-central-1\nendpoint_url = http://127.0.0.1:{}\n{keys}", server.port);
    let files = [(".aws/config", profile.as_str())];
    assert_eq!(message(&component(BARE, &[("AWS_PROFILE", "ops")], &files)), "passed");
    let files = [("elsewhere", profile.as_str())];
    assert_eq!(message(&component(BARE, &[("AWS_PROFILE", "ops"), ("AWS_CONFIG_FILE", "elsewhere")], &files)), "passed");
}

#[test]
fn a_profile_that_is_not_supported_says_why() {
    let server = server();
    for (profile, does) in [
        ("role_arn = arn:aws:iam::1:role/x\nsource_profile = base", "assumes a role"),
        ("sso_session = corp", "uses SSO"),
        ("credential_process = /bin/true", "runs a program for its credentials"),
    ] {
        let files = [(".aws/config", &*format!("[default]\nregion = eu-central-1\n{profile}\n"))];
        let expected = format!("the AWS profile {does}, which is not supported: use keys, a web identity or the role of the machine");
        assert_eq!(message(&component(&without_credentials(&server), &[], &files)), expected);
    }
}

#[test]
fn a_disabled_metadata_service_is_not_asked() {
    let server = server();
    let found = component(&without_credentials(&server), &[("AWS_EC2_METADATA_DISABLED", "true")], &[]);
    let expected = "no credentials found: not in the keys, the environment or a file, and AWS_EC2_METADATA_DISABLED is set";
    assert_eq!((found["failure"]["class"].as_str(), message(&found).as_str()), (Some("rejected"), expected));
}

#[test]
fn credentials_of_a_container_without_a_token_file_are_named() {
    let server = server();
    let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1"), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "x")];
    let expected = "AWS_CONTAINER_CREDENTIALS_FULL_URI is set without AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, which is required here";
    assert_eq!(message(&component(&without_credentials(&server), &variables, &[])), expected);
}

/// As a Compose file with `AWS_ENDPOINT_URL: ${AWS_ENDPOINT_URL}` sets it.
#[test]
fn an_empty_variable_is_as_good_as_none() {
    let server = server();
    let profile = format!("[default]\naws_access_key_id = probe\naws_secret_access_key = {SECRET}\n");
    let empty = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_CA_BUNDLE"];
    let variables: Vec<(&str, &str)> = empty.into_iter().map(|name| (name, "")).collect();
    assert_eq!(message(&component(&without_credentials(&server), &variables, &[(".aws/credentials", &profile)])), "passed");
}

#[test]
fn the_authorities_of_the_environment_are_trusted() {
    let server = server();
    let folder = tempfile::tempdir().expect("a folder");
    let certificates = Certificates::new(folder.path());
    let endpoint = format!("https://localhost:{}", tls_front(server.port, &certificates));
    let bundle = certificates.authority.display().to_string();
    let keyed = format!("{BARE}endpoint = \"{endpoint}\"\n");
    assert_eq!(message(&component(&keyed, &KEYS, &[])), "the certificate's issuer is not trusted");
    let variables = [KEYS[0], KEYS[1], ("AWS_CA_BUNDLE", &bundle)];
    assert_eq!(message(&component(&keyed, &variables, &[])), "passed");
    let variables = [KEYS[0], KEYS[1], ("AWS_CA_BUNDLE", &bundle), ("AWS_ENDPOINT_URL_S3", &endpoint)];
    assert_eq!(message(&component(BARE, &variables, &[])), "passed", "also for an endpoint of the environment");
    let variables = [KEYS[0], KEYS[1], ("AWS_CA_BUNDLE", &bundle)];
    assert_eq!(message(&component(&format!("{keyed}tls.verify = \"none\"\n"), &variables, &[])), "passed", "keys take precedence");
}

#[test]
fn a_proxy_of_the_environment_is_warned_about() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("allswell.toml"), format!("{BARE}endpoint = \"https://s3.example.com\"\n")).expect("a configuration");
    let validated = |variables: &[(&str, &str)]| {
        let ran = run(command(&folder).arg("validate").envs(variables.iter().copied()));
        (ran.stdout + &ran.stderr).contains("the proxy of the variable HTTPS_PROXY is not used")
    };
    assert!(validated(&[("HTTPS_PROXY", "http://proxy:3128")]));
    assert!(!validated(&[("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", "localhost,.example.com")]));
    assert!(!validated(&[]));
}
