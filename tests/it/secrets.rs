//! Secrets are never shown: not in logs at level trace, not in reports, not in errors.

use crate::{
    helpers::{Allswell, command, get_with, run},
    servers::{hostile::Hostile, mariadb, postgres, rabbitmq, redis},
};
use allswell::{
    Registry,
    config::{Sources, load},
    dialect::Dialect,
};
use std::fs;

/// A different secret for each key, so that a leak shows which key it comes from.
fn password(place: &str) -> String {
    format!("Zw7-{place}-k9Q")
}

/// A password with characters that must be escaped in a URL. Both forms must not be shown.
fn awkward(place: &str) -> (String, String) {
    (format!("Zw%237%2F{place}%22k9"), format!("Zw#7/{place}\"k9"))
}

#[test]
fn passwords_appear_nowhere_in_any_output_at_level_trace() {
    let (postgres, mariadb) = (postgres(&password("pg")), mariadb(&password("my")));
    let (redis, rabbitmq) = (redis(&password("redis")), rabbitmq(&password("mq")));
    let (babbling, closing) = (Hostile::babbling(), Hostile::closing());
    let (escaped, plain) = awkward("web");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("secret");
    fs::write(&file, format!("{}\n", password("file"))).expect("a file");
    let mut configuration = format!(
        "[server]\ntoken = \"{}\"\n[defaults]\ninterval = \"200ms\"\ntimeout = \"5s\"\n\
         [checks.web]\nkind = \"http\"\nurl = \"http://app:{escaped}@{}/\"\n\
         [checks.headers]\nkind = \"http\"\nurl = \"http://{}/\"\nheaders = {{ Authorization = \"Bearer {}\" }}\n\
         [checks.file]\nkind = \"postgres\"\nurl = \"postgres://app@127.0.0.1:{}/orders\"\npassword_file = \"{}\"\n",
        password("token"),
        babbling.address,
        closing.address,
        password("header"),
        postgres.port,
        file.display(),
    );
    let real = [
        ("postgres", "postgres", "pg", postgres.port),
        ("mysql", "mysql", "my", mariadb.port),
        ("redis", "redis", "redis", redis.port),
        ("rabbitmq", "amqp", "mq", rabbitmq.port),
    ];
    for (kind, scheme, place, port) in real {
        let hostile = [("well", port, password(place)), ("wrong", port, password(&format!("wrong{place}")))].into_iter().chain([
            ("babbling", babbling.port(), password(&format!("babbling{place}"))),
            ("closing", closing.port(), password(&format!("closing{place}"))),
            ("refused", 1, password(&format!("refused{place}"))),
        ]);
        for (name, port, password) in hostile {
            let path = if kind == "redis" {
                "0"
            } else if kind == "rabbitmq" {
                ""
            } else {
                "orders"
            };
            // The default user of Redis has no name.
            let user = if kind == "redis" { "" } else { "app" };
            configuration +=
                &format!("[checks.{kind}_{name}]\nkind = \"{kind}\"\nurl = \"{scheme}://{user}:{password}@127.0.0.1:{port}/{path}\"\n");
        }
    }
    let service = Allswell::start_with(&configuration, &[("RUST_LOG", "trace")]);
    let authorization = format!("Authorization: Bearer {}\r\n", password("token"));
    let report = service.await_report("/health", "every component has some results", |response| {
        response.json()["components"].as_object().is_some_and(|all| all.values().all(|one| one["consecutive"].as_u64() > Some(2)))
    });
    for (kind, ..) in real {
        assert_eq!(report.json()["components"][format!("{kind}_well")]["status"], "pass", "{}", report.body);
        assert_eq!(report.class(&format!("{kind}_wrong")).as_deref(), Some("rejected"), "{}", report.body);
        assert_eq!(report.class(&format!("{kind}_refused")).as_deref(), Some("unreachable"), "{}", report.body);
    }
    let mut outputs = vec![service.log(), report.text];
    let dialects = Dialect::ALL.map(|dialect| format!("/health?format={}", dialect.name()));
    for path in ["/health", "/health/web", "/health/web?fresh", "/metrics"].map(str::to_owned).into_iter().chain(dialects) {
        outputs.push(get_with(service.address, &path, &authorization).text);
    }
    let shown = get_with(service.address, "/health", &authorization);
    assert!(
        shown.json()["components"]["postgres_wrong"]["failure"]["cause"].is_string(),
        "causes are shown with the token: {}",
        shown.body
    );

    let file = service.directory.path().join("allswell.toml");
    for arguments in [&["check"][..], &["check", "--format", "json"], &["validate"], &["check", "no_such_component"]] {
        let ran = run(command(&directory)
            .args(arguments)
            .arg("--config")
            .arg(&file)
            .env("RUST_LOG", "trace,sqlx=trace,lapin=trace,redis=trace,hyper=trace"));
        outputs.extend([ran.stdout, ran.stderr]);
    }
    // Each secret in an invalid place.
    let mistakes = configuration
        .replace("postgres://", "postgrs://")
        .replace("redis://", "redis//")
        .replace("headers =", "haeders =")
        .replace("token = \"", "token = 7 # ");
    fs::write(&file, mistakes).expect("a configuration");
    let ran = run(command(&directory).arg("validate").arg("--config").arg(&file));
    assert_eq!(ran.code, Some(2));
    outputs.extend([ran.stdout, ran.stderr]);

    for output in outputs {
        for leak in ["Zw7-", "k9Q", &escaped, &plain, "Zw#7", "Zw%237"] {
            let line = output.lines().find(|line| line.contains(leak)).unwrap_or_default();
            assert!(!output.contains(leak), "{leak} is shown: {line}");
        }
    }
}

#[test]
fn no_secret_of_any_kind_is_shown_whatever_its_server_does() {
    let servers = [
        ("babbling", Hostile::babbling().port()),
        ("closing", Hostile::closing().port()),
        ("resetting", Hostile::resetting().port()),
        ("silent", Hostile::silent().port()),
        ("echoing", Hostile::echoing().port()),
        ("refused", 1),
    ];
    let base64 = |text: &str| base64_of(text.as_bytes());
    let mut configuration = format!(
        "[server]\ntoken = \"{}\"\n[defaults]\ninterval = \"300ms\"\ntimeout = \"1s\"\n[checks.memory]\nkind = \"memory\"\n",
        password("token")
    );
    let mut escaped = vec![base64(&password("azure")), base64(&format!("{}:{}", password("user"), password("web")))];
    for (name, port) in servers {
        let secret = |place: &str| password(&format!("{place}{name}"));
        let key = base64(&secret("key"));
        let service_account = serde_json::json!({
            "type": "service_account", "private_key": secret("gcs"), "private_key_id": "1", "client_email": "a@b.iam.gserviceaccount.com",
        });
        for (kind, keys) in [
            ("celery", format!("broker = \"redis://:{}@127.0.0.1:{port}/0\"", secret("celery"))),
            ("celery", format!("broker = \"amqp://app:{}@127.0.0.1:{port}//\"", secret("amqp"))),
            ("redis", format!("url = \"redis://127.0.0.1:{port}/0\"\nusername = \"app\"\npassword = \"{}\"", secret("redis"))),
            ("postgres", format!("url = \"postgres://127.0.0.1:{port}/a\"\nusername = \"app\"\npassword = \"{}\"", secret("pg"))),
            ("mysql", format!("url = \"mysql://127.0.0.1:{port}/a\"\nusername = \"app\"\npassword = \"{}\"", secret("my"))),
            ("rabbitmq", format!("url = \"amqp://127.0.0.1:{port}/\"\nusername = \"app\"\npassword = \"{}\"", secret("mq"))),
            (
                "http",
                format!(
                    "url = \"http://127.0.0.1:{port}/?key={}\"\nusername = \"app\"\npassword = \"{}\"\nheaders = {{ X-Key = \"{}\" }}",
                    secret("query"),
                    secret("basic"),
                    secret("header")
                ),
            ),
            (
                "s3",
                format!(
                    "bucket = \"media\"\nendpoint = \"http://127.0.0.1:{port}\"\naccess_key_id = \"AKIA\"\nsecret_access_key = \"{}\"\nsession_token = \"{}\"",
                    secret("s3"),
                    secret("session")
                ),
            ),
            ("gcs", format!("bucket = \"media\"\nendpoint = \"http://127.0.0.1:{port}\"\nservice_account = '{service_account}'")),
            (
                "azure_blob",
                format!("account = \"a\"\nbucket = \"media\"\nendpoint = \"http://127.0.0.1:{port}/a\"\naccess_key = \"{key}\""),
            ),
            (
                "azure_blob",
                format!(
                    "account = \"a\"\nbucket = \"media\"\nendpoint = \"http://127.0.0.1:{port}/a\"\nsas_token = \"?sv=1&sig={}\"",
                    secret("sas")
                ),
            ),
        ] {
            let number = configuration.matches("[checks.").count();
            configuration += &format!("[checks.{kind}{number}_{name}]\nkind = \"{kind}\"\n{keys}\n");
        }
        escaped.push(key);
    }
    let service =
        Allswell::start_with(&configuration, &[("RUST_LOG", "trace,sqlx=trace,lapin=trace,redis=trace,hyper=trace,object_store=trace")]);
    let authorization = format!("Authorization: Bearer {}\r\n", password("token"));
    let report = service.await_report("/health", "every component has two results", |response| {
        response.json()["components"].as_object().is_some_and(|all| all.values().all(|one| one["consecutive"].as_u64() > Some(1)))
    });
    assert!(report.json()["components"].as_object().is_some_and(|all| all.len() > 60), "{}", report.text);
    let mut outputs = vec![service.log(), report.text];
    let dialects = Dialect::ALL.map(|dialect| format!("/health?format={}&probers", dialect.name()));
    for path in ["/metrics"].map(str::to_owned).into_iter().chain(dialects) {
        outputs.push(get_with(service.address, &path, &authorization).text);
    }
    // The Debug output of a whole configuration, as a debugger or a careless log line would print it.
    let file = service.directory.path().join("allswell.toml");
    let sources = Sources { files: vec![file.clone()], ..Sources::default() };
    outputs.push(format!("{:?}", load(&sources, &Registry::builtin()).expect("a configuration")));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ran = run(command(&directory).args(["validate", "--explain", "--config"]).arg(&file));
    outputs.extend([ran.stdout, ran.stderr]);
    let leaks = ["Zw7-", "k9Q"].into_iter().chain(escaped.iter().map(String::as_str));
    for leak in leaks {
        for output in &outputs {
            let line = output.lines().find(|line| line.contains(leak)).unwrap_or_default();
            assert!(!output.contains(leak), "{leak} is shown: {line}");
        }
    }
}

pub(crate) fn base64_of(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = bytes.chunks(3).flat_map(|chunk| {
        let three = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        (0..4).map(move |at| if at > chunk.len() { '=' } else { char::from(LETTERS[(bits >> (18 - 6 * at)) as usize & 63]) })
    });
    letters.collect()
}
