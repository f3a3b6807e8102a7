//! The environment as operators and platforms make it: env files, service links, misspelled names, empty values, blanks and quotes.

mod env_files;
mod log_lines;
mod notify_socket;

use crate::helpers::{Allswell, Ran, command, get_with, run, write_private};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

const TCP: &str = "[checks.port]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\ncritical = false\n";

/// Runs `allswell validate` with a configuration and variables.
fn validate(configuration: &str, variables: &[(&str, &str)]) -> Ran {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_private(directory.path().join("allswell.toml"), configuration);
    run(command(&directory).arg("validate").envs(variables.iter().copied()))
}

#[test]
fn the_links_of_a_service_are_ignored_whatever_its_name() {
    let links = [
        ("ALLSWELL_PORT", "tcp://10.0.0.1:80"),
        ("ALLSWELL_SERVICE_HOST", "10.0.0.1"),
        ("ALLSWELL_SERVICE_PORT_HTTP", "80"),
        ("ALLSWELL_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("ALLSWELL_A__B_PORT", "tcp://1.2.3.4:80"),
        ("ALLSWELL_A__B_PORT_80_TCP", "tcp://1.2.3.4:80"),
        ("ALLSWELL_A__B_SERVICE_HOST", "1.2.3.4"),
        ("ALLSWELL_CHECKS__B_SERVICE_PORT", "80"),
        ("REDIS_URL_PORT", "tcp://1.2.3.4:6379"),
    ];
    let ran = validate(TCP, &links);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_misspelled_name_is_a_warning_and_a_misspelled_key_an_error() {
    for (name, meant) in [
        ("ALLSWELL_SERVER_LISTEN", "ALLSWELL_SERVER__LISTEN"),
        ("allswell_server__listen", "ALLSWELL_SERVER__LISTEN"),
        ("ALLSWELL_CHECK__PORT__ADDRESS", "ALLSWELL_CHECKS__PORT__ADDRESS"),
        ("ALLSWELL_TOKEN", "ALLSWELL_SERVER__TOKEN"),
    ] {
        let ran = validate(TCP, &[(name, "hunter2")]);
        assert_eq!((ran.code, ran.stderr), (Some(0), format!("warning: {name}: is ignored; did you mean {meant}?\n")));
    }
    let ran = validate(TCP, &[("ALLSWELL_CHECKS__PORT__ADRESS", "x"), ("ALLSWELL_LISTEN", "x")]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("error: ALLSWELL_CHECKS__PORT__ADRESS: checks.port.adress: unknown key"), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("warning: ALLSWELL_LISTEN: is ignored"), "{}", ran.stderr);
    let service = Allswell::start_with(TCP, &[("ALLSWELL_LISTEN", "127.0.0.1:1")]);
    assert!(service.log().contains("ALLSWELL_LISTEN: is ignored; did you mean ALLSWELL_SERVER__LISTEN?"), "{}", service.log());
}

#[test]
fn a_variable_that_is_not_utf_8_is_named_as_such() {
    let configuration = "[service]\nname = \"${PW}\"\n";
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_private(directory.path().join("allswell.toml"), configuration);
    let text = OsStr::from_bytes(b"\xe4");
    let ran = run(command(&directory).arg("validate").env("PW", text).env("ALLSWELL_SERVER__LISTEN", text));
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("service.name: the value of the environment variable PW is not UTF-8\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("error: ALLSWELL_SERVER__LISTEN: the value is not UTF-8\n"), "{}", ran.stderr);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ran = run(command(&directory).arg("validate").env("DATABASE_URL", text));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), "warning: DATABASE_URL: not checked: the value is not UTF-8\n"));
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let ran = validate(TCP, &[("ALLSWELL_SERVER__LISTEN", ""), ("ALLSWELL_CHECKS__PORT__TIMEOUT", " "), ("DATABASE_URL", "")]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("warning: ALLSWELL_SERVER__LISTEN: is empty, and counts as not set\n"), "{}", ran.stderr);
    let with_default = "[server]\nlisten = \"${LISTEN:-127.0.0.1:8080}\"\n";
    assert_eq!(validate(&format!("{with_default}{TCP}"), &[("LISTEN", "")]).code, Some(0));
    let ran = validate("[checks.db]\nkind = \"postgres\"\nurl = \"${DATABASE_URL}\"\n", &[("DATABASE_URL", "")]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("the environment variable DATABASE_URL is empty"), "{}", ran.stderr);
}

#[test]
fn blanks_around_a_token_are_removed_because_no_client_can_send_them() {
    const TOKEN: &str = "sesame-open-sesame";
    for (variables, configuration) in [
        ([("ALLSWELL_SERVER__TOKEN", "sesame-open-sesame\n")], TCP.to_owned()),
        ([("TOKEN", " sesame-open-sesame\r\n")], format!("[server]\ntoken = \"${{TOKEN}}\"\n{TCP}")),
    ] {
        let service = Allswell::start_with(&configuration, &variables);
        let response = get_with(service.address, "/health", &format!("Authorization: Bearer {TOKEN}\r\n"));
        assert!(response.json()["ignored"].is_null(), "{}", response.text);
        assert!(response.text.contains("\"cause\""), "{}", response.text);
        let name = variables[0].0;
        let warning = format!("the environment variable {name} has blanks or a line break around its value: remove them");
        assert!(service.log().contains(&warning), "{}", service.log());
        assert!(!service.log().contains(TOKEN));
    }
    let ran = validate(TCP, &[("ALLSWELL_SERVER__TOKEN", "\"sesame-open-sesame\"")]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("ALLSWELL_SERVER__TOKEN has quotation marks around its value"), "{}", ran.stderr);
    for token in ["sesame\u{e4}-open-sesame", "sesame\topen-sesame", "sesame\nopen-sesame"] {
        assert_eq!(validate(TCP, &[("ALLSWELL_SERVER__TOKEN", token)]).code, Some(2), "{token:?}");
    }
}

#[test]
fn blanks_and_quotes_around_a_password_are_kept_with_a_warning() {
    let configuration = "[checks.cache]\nkind = \"redis\"\nurl = \"redis://127.0.0.1:1\"\npassword = \"${PW}\"\n";
    for (value, what) in [("hunter2\n", "blanks or a line break"), ("'hunter2'", "quotation marks"), ("x${REDIS_PASSWORD}", "a reference")]
    {
        let ran = validate(configuration, &[("PW", value)]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let expected = format!("checks.cache.password: the environment variable PW has {what}");
        assert!(ran.stderr.contains(&expected) && !ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_private(directory.path().join("pw"), " hunter2\n");
    write_private(directory.path().join("allswell.toml"), &configuration.replace("password = \"${PW}\"", "password_file = \"pw\""));
    let ran = run(command(&directory).arg("validate"));
    assert!(ran.stderr.contains("password_file: the file has blanks or a line break around its value: remove them"), "{}", ran.stderr);
}

#[test]
fn the_value_of_another_key_is_trimmed_and_its_quotes_explain_the_error() {
    let variables = [
        ("ALLSWELL_SERVER__LISTEN", "127.0.0.1:8080\n"),
        ("ALLSWELL_CHECKS__PORT__INTERVAL", " 5s\n"),
        ("ALLSWELL_CHECKS__PORT__ADDRESS", "127.0.0.1:2\n"),
    ];
    assert_eq!(validate(TCP, &variables).code, Some(0));
    let ran = validate(TCP, &[("ALLSWELL_CHECKS__PORT__INTERVAL", "\"5s\"")]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("the environment variable ALLSWELL_CHECKS__PORT__INTERVAL has quotation marks"), "{}", ran.stderr);
    let ran = validate("[checks.db]\nkind = \"postgres\"\nurl = \"${DATABASE_URL}\"\n", &[("DATABASE_URL", "\"postgres://app@db/x\"")]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("the environment variable DATABASE_URL has quotation marks"), "{}", ran.stderr);
}

#[test]
fn references_have_the_operators_of_compose() {
    let name = |text: &str, variables: &[(&str, &str)]| {
        let ran = validate(&format!("[service]\nname = \"{text}\"\n{TCP}"), variables);
        (ran.code, ran.stderr)
    };
    for text in ["${A:-${B}}", "${A:-${NONE:-x}}", "${B:?required}", "${NONE:+${NONE}}", "${NONE-x}"] {
        assert_eq!(name(text, &[("A", ""), ("B", "1")]), (Some(0), String::new()), "{text}");
    }
    let (code, stderr) = name("${NONE:?set it in .env}", &[]);
    assert!(code == Some(2) && stderr.contains("the environment variable NONE is not set: set it in .env"), "{stderr}");
    let (code, stderr) = name("${A%x}", &[("A", "x")]);
    assert!(code == Some(2) && stderr.contains("the text after A in `${…}` is not supported"), "{stderr}");
    let (code, stderr) = name("$A", &[("A", "x")]);
    assert!(
        code == Some(0) && stderr.contains("service.name: the reference to the environment variable A is not replaced: write `${A}`"),
        "{stderr}"
    );
}
