//! Secrets never show: not in logs at level trace, not in reports, not in errors.

use crate::{
    helpers::{Allswell, command, get_with, run},
    servers::{hostile::Hostile, mariadb, postgres, rabbitmq, redis},
};
use std::fs;

/// Every place that takes a secret has one of its own, so that a leak tells where it is.
fn password(place: &str) -> String {
    format!("Zw7-{place}-k9Q")
}

/// In a URL some of it must be escaped; it is looked for in both forms.
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
            // Redis's default user has no name.
            let user = if kind == "redis" { "" } else { "app" };
            configuration +=
                &format!("[checks.{kind}_{name}]\nkind = \"{kind}\"\nurl = \"{scheme}://{user}:{password}@127.0.0.1:{port}/{path}\"\n");
        }
    }
    let service = Allswell::start_with(&configuration, &[("RUST_LOG", "trace")]);
    let authorization = format!("Authorization: Bearer {}\r\n", password("token"));
    let report = service.await_report("/health", "every check has answered a few times", |response| {
        response.json()["components"].as_object().is_some_and(|all| all.values().all(|one| one["consecutive"].as_u64() > Some(2)))
    });
    for (kind, ..) in real {
        assert_eq!(report.json()["components"][format!("{kind}_well")]["status"], "pass", "{}", report.body);
        assert_eq!(report.class(&format!("{kind}_wrong")).as_deref(), Some("rejected"), "{}", report.body);
        assert_eq!(report.class(&format!("{kind}_refused")).as_deref(), Some("unreachable"), "{}", report.body);
    }
    let mut outputs = vec![service.log(), report.text];
    for path in ["/health", "/health?format=text", "/health?format=html", "/health/web", "/health/web?fresh"] {
        outputs.push(get_with(service.address, path, &authorization).text);
    }
    let shown = get_with(service.address, "/health", &authorization);
    assert!(shown.json()["components"]["postgres_wrong"]["failure"]["cause"].is_string(), "causes are told: {}", shown.body);

    let file = service.directory.path().join("allswell.toml");
    for arguments in [&["check"][..], &["check", "--format", "json"], &["validate"], &["check", "no_such_component"]] {
        let ran = run(command(&directory)
            .args(arguments)
            .arg("--config")
            .arg(&file)
            .env("RUST_LOG", "trace,sqlx=trace,lapin=trace,redis=trace,hyper=trace"));
        outputs.extend([ran.stdout, ran.stderr]);
    }
    // Each secret in a place where it is a mistake.
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
