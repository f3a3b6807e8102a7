//! Random secrets in every key that may hold one. No output, response or log line of the program may show them.
//!
//! The keys come from the schemas of the kinds, so that new kinds and keys are covered without a change here.

use crate::{
    helpers::{Allswell, command, eventually, get, get_with, run},
    reload::{post, write},
    servers::hostile::Hostile,
};
use allswell::{
    Registry,
    config::{Environment, Settings, Sources, init, load},
    dialect::Dialect,
};
use figment::{
    Figment,
    providers::{Format, Toml},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::fs;

/// Secrets as people and password managers choose them. One that looks like a URL has its own password.
fn secret() -> impl Strategy<Value = String> {
    "[A-Za-z0-9][A-Za-z0-9!#%&*+=?@:;,./<>\"'\\\\~ -]{10,18}[A-Za-z0-9]".prop_filter("a URL", |secret| !secret.contains("://"))
}

/// Percent-encodes a text, except the bytes to keep.
fn encoded(secret: &str, keep: impl Fn(u8) -> bool) -> String {
    secret.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn in_url(secret: &str) -> String {
    encoded(secret, |byte| byte.is_ascii_alphanumeric())
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = text.as_bytes().chunks(3).flat_map(|chunk| {
        let bits = chunk.iter().chain([&0, &0]).take(3).fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        (0..=chunk.len()).map(move |at| char::from(LETTERS[bits >> (18 - 6 * at) & 63]))
    });
    letters.collect()
}

fn padded(base64: &str) -> String {
    format!("{base64}{}", &"==="[..(4 - base64.len() % 4) % 4])
}

/// All forms of a secret that must not be shown.
fn forms(secret: &str) -> Vec<String> {
    let json = Value::from(secret).to_string();
    let debug = format!("{secret:?}");
    let markup = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let mut forms = vec![
        secret.to_owned(),
        in_url(secret),
        in_url(secret).to_ascii_lowercase(),
        in_url(secret).replace("%20", "+"),
        encoded(secret, |byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)),
        json[1..json.len() - 1].to_owned(),
        debug[1..debug.len() - 1].to_owned(),
        markup,
    ];
    for login in [secret.to_owned(), format!(":{secret}"), format!("app:{secret}"), format!("\0app\0{secret}")] {
        forms.push(base64(&login));
        forms.push(base64(&login).replace('+', "-").replace('/', "_"));
    }
    forms
}

/// Fails if an output contains a secret.
fn assert_hidden(outputs: &[String], secrets: &[&str]) -> Result<(), TestCaseError> {
    for (form, secret) in secrets.iter().flat_map(|secret| forms(secret).into_iter().map(move |form| (form, secret))) {
        for output in outputs {
            let line = output.lines().find(|line| line.contains(&form)).unwrap_or_default();
            prop_assert!(!output.contains(&form), "{secret:?} is shown as {form:?}: {line}");
        }
    }
    Ok(())
}

/// A TOML string: basic strings have the escapes of JSON.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| format!("{} = {}", Value::from(key.as_str()), toml(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn table(header: &str, keys: &Map<String, Value>) -> String {
    let lines = keys.iter().map(|(key, value)| format!("{} = {}\n", Value::from(key.as_str()), toml(value)));
    format!("[{header}]\n{}", lines.collect::<String>())
}

fn is_secret(schema: &Value) -> bool {
    schema["format"] == "password" || schema["anyOf"].as_array().is_some_and(|choices| choices.iter().any(is_secret))
}

fn properties(schema: &Value) -> Vec<(String, Value)> {
    schema["properties"].as_object().into_iter().flatten().map(|(key, schema)| (key.clone(), schema.clone())).collect()
}

/// For every kind and each of its keys that hold secrets, a table with the secret, and a backend at `address`.
fn tables(secret: &str, address: &str) -> Vec<Map<String, Value>> {
    let mut tables = Vec::new();
    for kind in Registry::builtin().kinds() {
        let example: Map<String, Value> = Figment::from(Toml::string(kind.example)).extract().expect("a table");
        let keys = properties(&kind.schema);
        let has = |key: &str| keys.iter().any(|(name, _)| name == key);
        for (key, schema) in &keys {
            let values = match key.as_str() {
                "url" | "broker" => {
                    let scheme = kind.schemes.first().unwrap_or(if key == "url" { &"http" } else { &"redis" });
                    let user_info = if *scheme == "redis" { ":" } else { "app:" };
                    vec![
                        json!(format!("{scheme}://{user_info}{}@{address}/0", in_url(secret))),
                        json!(format!("{scheme}://{address}/0?x={}", in_url(secret))),
                    ]
                }
                "headers" => vec![json!({ "X-Key": format!("Bearer {secret}") }), json!({ "Cookie": format!("session=\"{secret}\"") })],
                "service_account" => vec![json!(
                    json!({ "type": "service_account", "private_key": secret, "client_email": "a@b.c", "private_key_id": "1" }).to_string()
                )],
                "access_key" => vec![json!(padded(&base64(secret)))],
                "sas_token" => vec![json!(format!("?sv=1&sig={}", in_url(&padded(&base64(secret)))))],
                _ if is_secret(schema) => vec![json!(secret)],
                _ => continue,
            };
            for value in values {
                let mut keys = example.clone();
                let is_url = value.as_str().is_some_and(|text| text.contains("://"));
                keys.insert("kind".to_owned(), kind.name.into());
                // References to variables that are not set.
                keys.retain(|key, value| key != "tls" && !value.as_str().is_some_and(|text| text.contains("${")));
                for (place, scheme) in [("url", kind.schemes.first().unwrap_or(&"http")), ("broker", &"redis"), ("endpoint", &"http")] {
                    if has(place) && !(is_url && key == place) {
                        let path = if place == "endpoint" { "" } else { "/0" };
                        keys.insert(place.to_owned(), json!(format!("{scheme}://{address}{path}")));
                    }
                }
                // Keys that belong together, and keys that exclude each other.
                for (one, other) in [
                    ("password", "username"),
                    ("secret_access_key", "access_key_id"),
                    ("session_token", "secret_access_key"),
                    ("session_token", "access_key_id"),
                ] {
                    if key == one && has(other) {
                        keys.insert(other.to_owned(), json!("app"));
                    }
                }
                if key == "sas_token" {
                    keys.remove("access_key");
                }
                if key == "access_key_id" {
                    keys.insert("secret_access_key".to_owned(), json!("app"));
                }
                if kind.name == "http" {
                    keys.insert("dialect".to_owned(), "spring".into());
                    keys.remove("expect_headers");
                    keys.remove("expect_json");
                }
                keys.insert(key.clone(), value);
                tables.push(keys);
            }
        }
    }
    tables
}

/// Only the tables that are valid; the messages of the others are searched as well.
fn runnable(tables: &[Map<String, Value>], secret: &str) -> Result<String, TestCaseError> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("allswell.toml");
    let (mut configuration, mut messages) = (String::new(), Vec::new());
    for (number, keys) in tables.iter().enumerate() {
        let kind = keys["kind"].as_str().expect("a kind");
        let text = table(&format!("checks.{kind}_{number}"), keys);
        fs::write(&file, &text).expect("a configuration");
        match load(&Sources { files: vec![file.clone()], ..Sources::default() }, &Registry::builtin()) {
            Ok(_) => configuration += &text,
            Err(error) => messages.push(error.to_string()),
        }
    }
    assert_hidden(&messages, &[secret])?;
    Ok(configuration)
}

/// The number of forms of mistakes.
const FORMS: usize = 9;

/// The secret in every key of every kind, in one of several invalid forms.
fn mistakes(secret: &str, form: usize) -> String {
    let wrong: [Value; FORMS] = [
        json!(secret),
        json!(format!("app:{secret}@127.0.0.1:1")),
        json!(format!("X-Key: {secret}")),
        json!(format!("http://app:{secret}@127.0.0.1:1/?x={secret}")),
        json!([secret]),
        json!([format!("app:{secret}@127.0.0.1:1")]),
        json!({ format!("X-Key: {secret}"): "" }),
        json!({ format!("X-Key: {secret}"): 7 }),
        json!({ "a": [secret] }),
    ];
    let mut text = String::new();
    for kind in Registry::builtin().kinds() {
        let example: Map<String, Value> = Figment::from(Toml::string(kind.example)).extract().expect("a table");
        let unknown = ("passwrod".to_owned(), Value::Null);
        for (key, _) in
            properties(&kind.schema).into_iter().chain([unknown, ("kind".to_owned(), Value::Null), ("interval".to_owned(), Value::Null)])
        {
            let mut keys = example.clone();
            keys.insert("kind".to_owned(), kind.name.into());
            keys.insert(key.clone(), wrong[form].clone());
            text += &table(&format!("checks.{}_{}", kind.name, text.matches("[checks.").count()), &keys);
        }
    }
    text + &table("groups.all", json!({ "checks": [secret], "fail_status": secret }).as_object().expect("a table"))
}

/// One file per invalid setting: a section that is no table would hide the others.
fn wrong_settings(secret: &str) -> Vec<String> {
    let schema = schemars::schema_for!(Settings).to_value();
    let mut files = Vec::new();
    for (section, _) in properties(&schema) {
        files.push(format!("{section} = {}\n", toml(&json!(secret))));
        let name = schema["properties"][&section]["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).unwrap_or_default();
        for value in [json!(secret), json!(format!("http://app:{secret}@h:1")), json!([secret]), json!({ format!("a: {secret}"): secret })]
        {
            let keys: Map<String, Value> = properties(&schema["$defs"][name]).into_iter().map(|(key, _)| (key, value.clone())).collect();
            // A value that is no secret may be shown if it is valid; here it never is, because of the key `nonsense`.
            files.push(table(&section, &keys) + "nonsense = 1\n");
        }
    }
    files
}

/// Echoes requests in errors of HTTP and Redis; other protocols get the bytes that they sent.
fn echo() -> Hostile {
    Hostile::replying(|heard| {
        let words = String::from_utf8_lossy(heard).replace(['\r', '\n', '\0'], " ");
        if heard.starts_with(b"*") {
            return format!("-ERR {words}\r\n").into_bytes();
        }
        if words.contains(" HTTP/1.1 ") {
            let body = json!({ "status": "DOWN", "components": { &words: { "status": "DOWN" } } }).to_string();
            return format!("HTTP/1.1 500 Oops\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
        }
        heard.to_vec()
    })
}

/// The text log of another service with the same configuration, until every component has failed.
fn text_log(service: &Allswell) -> String {
    let components = service.get("/health").json()["components"].as_object().expect("components").len();
    let log = service.directory.path().join("text");
    let mut command = command(&service.directory);
    let command = command.args(["serve", "--listen", "127.0.0.1:0"]).env("RUST_LOG", "debug").env("ALLSWELL_LOG__FORMAT", "text");
    let mut child = command.stderr(fs::File::create(&log).expect("a file")).spawn().expect("the service starts");
    let text = eventually("every component is in the log", || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        (text.lines().filter(|line| line.contains("to=\"fail\"")).count() >= components).then_some(text)
    });
    let _ = child.kill();
    let _ = child.wait();
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_mistake_in_a_configuration_quotes_a_secret(secret in secret(), form in 0..FORMS) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("allswell.toml");
        let mut messages = Vec::new();
        for text in wrong_settings(&secret).into_iter().chain([mistakes(&secret, form)]) {
            fs::write(&file, text).expect("a configuration");
            let error = load(&Sources { files: vec![file.clone()], ..Sources::default() }, &Registry::builtin()).expect_err("an invalid configuration");
            messages.push(error.to_string());
        }
        prop_assert!(messages.last().is_some_and(|all| all.lines().count() > 30), "{messages:?}");
        // Secrets in variables.
        let registry = Registry::builtin();
        let variables = registry.kinds().flat_map(|kind| {
            let keys = properties(&kind.schema).into_iter().map(|(key, _)| (format!("ALLSWELL_CHECKS__{}__{key}", kind.name), secret.clone()));
            keys.chain([(format!("ALLSWELL_CHECKS__{}__KIND", kind.name), kind.name.to_owned())]).collect::<Vec<_>>()
        });
        let environment = Environment::new(variables.map(|(name, value)| (name.to_ascii_uppercase(), value)));
        let error = load(&Sources { environment, ..Sources::default() }, &Registry::builtin()).expect_err("an invalid configuration");
        messages.push(error.to_string());
        // Secrets in the discovered environment of an application.
        let escaped = in_url(&secret);
        let environment = [
            ("DATABASE_URL", format!("postgres://app:{escaped}@db/orders?password={escaped}")),
            ("OTHER_URL", format!("mysql://app:{secret}@db/orders")),
            ("SQLITE_URL", format!("sqlite://app:{escaped}@/x.db")),
            ("REDIS_URL", format!("redis://:{secret}")),
            ("MEMCACHED_URL", format!("memcached://app:{escaped}")),
            ("S3_BUCKET", format!("s3://a:{secret}@b")),
            ("AWS_STORAGE_BUCKET_NAME", format!("a:{secret}@b")),
            ("AWS_S3_ENDPOINT_URL", format!("http://a:{secret}@b")),
            ("AWS_SECRET_ACCESS_KEY", secret.clone()),
            ("AWS_ACCESS_KEY_ID", secret.clone()),
        ];
        let environment = Environment::new(environment.map(|(name, value)| (name.to_owned(), value)));
        messages.push(init(&environment, None, &Registry::builtin()).expect("a configuration"));
        assert_hidden(&messages, &[&secret])?;
    }
}

proptest! {
    // Each try takes seconds, and a shorter secret would not help.
    #![proptest_config(ProptestConfig { max_shrink_iters: 0, ..ProptestConfig::with_cases(4) })]

    #[test]
    fn no_output_of_a_running_service_holds_a_secret(secret in secret(), token in "[A-Za-z0-9+/=._~-]{20,40}", form in 0..FORMS) {
        let echo = echo();
        let configuration = [echo.address.to_string(), "127.0.0.1:1".to_owned()].map(|address| {
            let tables = tables(&secret, &address);
            runnable(&tables, &secret).map(|text| text.replace("[checks.", if address.ends_with(":1") { "[checks.refused_" } else { "[checks.echo_" }))
        });
        let [echoed, refused] = configuration;
        let checks = format!("{}{}", echoed?, refused?);
        prop_assert!(checks.matches("[checks.").count() > 30, "{checks}");
        let server = format!("[server]\ntoken = {}\n[defaults]\ninterval = \"300ms\"\ntimeout = \"2s\"\n", toml(&json!(token)));
        let service = Allswell::start_with(&format!("{server}{checks}"), &[("RUST_LOG", "debug")]);
        let authorization = format!("Authorization: Bearer {token}\r\n");
        service.await_report("/health", "every component has two results", |response| {
            response.json()["components"].as_object().is_some_and(|all| all.values().all(|one| one["consecutive"].as_u64() > Some(1)))
        });
        let mut outputs = Vec::new();
        let paths = Dialect::ALL.map(|dialect| format!("/health?format={}&probers", dialect.name()));
        for path in paths.into_iter().chain(["/metrics", "/", "/readyz", "/livez", "/nosuch"].map(str::to_owned)) {
            outputs.push(get_with(service.address, &path, &authorization).text);
            outputs.push(get(service.address, &path).text);
        }
        prop_assert!(outputs[0].contains("***"), "the echo is heard, and redacted: {}", outputs[0]);
        let file = service.directory.path().join("allswell.toml");
        let mut commands: Vec<Vec<String>> = [&["validate", "--explain"][..], &["check"], &["check", "--format", "json"]]
            .map(|arguments| arguments.iter().map(ToString::to_string).collect())
            .into();
        commands.push(vec!["doctor".to_owned(), format!("http://{}/health", service.address)]);
        for arguments in commands {
            let mut command = command(&service.directory);
            let ran = run(command.args(arguments).arg("--config").arg(&file).env("RUST_LOG", "debug"));
            outputs.extend([ran.stdout, ran.stderr]);
        }
        outputs.push(text_log(&service));
        // A refused reload.
        write(&service, &format!("{server}{}", mistakes(&secret, form)));
        let refused = post(&service, "/admin/reload", &token);
        prop_assert_eq!(refused.status, 422);
        outputs.push(refused.text);
        outputs.push(get_with(service.address, "/health", &authorization).text);
        // The doctor polls the running service, whatever the file says by now.
        for (subcommand, code) in [("validate", 2), ("check", 2), ("serve", 2), ("doctor", 1)] {
            let mut command = command(&service.directory);
            let ran = run(command.arg(subcommand).arg("--config").arg(&file));
            prop_assert_eq!(ran.code, Some(code), "{}", subcommand);
            outputs.extend([ran.stdout, ran.stderr]);
        }
        outputs.push(service.log());
        assert_hidden(&outputs, &[&secret, &token])?;
    }
}
