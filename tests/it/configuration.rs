//! Configuration: values of every layer are used, and all mistakes are reported together with their positions.

use crate::{
    helpers::{Allswell, Ran, command, run, write_private},
    servers::{Certificates, hostile::Hostile},
};
use allswell::{
    component::Policy,
    config::{Environment, Override, ServerSettings, Settings, Sources, load},
    kinds::Registry,
};
use figment::{
    Figment,
    providers::{Format, Toml},
};
use proptest::prelude::*;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

fn validate(configuration: &str, variables: &[(&str, &str)]) -> (Ran, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_private(directory.path().join("allswell.toml"), configuration);
    let ran = run(command(&directory).arg("validate").envs(variables.iter().copied()));
    (ran, directory)
}

#[test]
fn all_mistakes_are_reported_together_with_their_positions() {
    let configuration = r#"
[server]
listen = "8080"
fail_status = 200
deadline = 5
tokenn = "hunter2"
max_connections = -1

[defaults]
jitter = 2.0
fall = 0

[log]
level = "loud"

[cheks.typo]
kind = "tcp"

[checks.orders_db]
kind = "postgres"
ulr = "postgres://app:hunter2@db"
interval = "5 parsecs"

[checks.reports_db]
kind = "mysql"
url = "postgres://app:hunter2@db"

[checks.cache]
kind = "redis"
url = "redis://${NO_SUCH_HOST}:6379"
password = 123456
password_file = "/no/such/file"

[checks.Bad-Name]
kind = "tcp"
address = "db"

[checks.mq]
kind = "rabitmq"

[checks.live]
kind = "memory"

[checks.nothing]
timeout = "20s"

[checks.media]
kind = "storage"
path = "/srv"
size = "2 parsecs"

[checks.web]
kind = "http"
url = "http://web"
expect_status = ["200", "2xx"]
headers = { "a b" = "c" }

[groups.ready]
checks = ["orders_db", "cahce"]
fail_status = 700

[groups.cache]
checks = []
"#;
    let variables = [("ALLSWELL_SERVER__WARN_STATUS", "many"), ("ALLSWELL_CHECKS__MQ__URL", "hunter2"), ("ALLSWELL_NO__SUCH__KEY", "1")];
    let (ran, _directory) = validate(configuration, &variables);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(ran.stderr);
}

#[test]
fn serve_does_not_start_with_an_invalid_configuration() {
    let (_, directory) = validate("[server]\nfail_status = 200\nnonsense = 1\n", &[]);
    let served = run(command(&directory).arg("serve"));
    assert_eq!(served.code, Some(2));
    assert!(served.stderr.ends_with("problems in the configuration; nothing was started\n"), "{}", served.stderr);
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_an_error() {
    let (ran, directory) = validate("[server]\nlisten = \"a\nb = hunter2\n", &[]);
    assert_eq!(ran.code, Some(2));
    assert!(!ran.stderr.contains("hunter2"));
    insta::assert_snapshot!(ran.stderr);
    let ran = run(command(&directory).args(["validate", "--config", "none.toml", "--config", "/"]));
    assert_eq!(ran.code, Some(2));
    insta::assert_snapshot!(ran.stderr);
    let ran = run(command(&directory).args(["validate", "--env-file", "none.env"]));
    assert_eq!(ran.code, Some(2));
    insta::assert_snapshot!(ran.stderr);
}

#[test]
fn later_layers_override_single_keys() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let secret = file("secret", "from-a-file\n");
    let base = file(
        "base.toml",
        "[server]\nlisten = \"a:1\"\nfail_status = 501\nwarn_status = 201\n[checks.port]\nkind = \"tcp\"\naddress = \"${HOST:-nowhere}:1\"\ninterval = \"1m\"\n",
    );
    let over = file("over.toml", &format!("[server]\nfail_status = 502\nwarn_status = 202\ntoken_file = \"{}\"\n", secret.display()));
    let variables = [
        ("HOST", "db"),
        ("ALLSWELL_SERVER__WARN_STATUS", "203"),
        ("ALLSWELL_SERVICE__NAME", "007"),
        ("ALLSWELL_DEFAULTS__CRITICAL", "false"),
        ("ALLSWELL_DEFAULTS__JITTER", "0.25"),
        ("ALLSWELL_CHECKS__PORT__TIMEOUT", "3s"),
        ("ALLSWELL_CHECKS__JOBS__KIND", "rabbitmq"),
        ("ALLSWELL_CHECKS__JOBS__URL", "amqp://mq"),
        ("ALLSWELL_CHECKS__JOBS__QUEUES", "a, b"),
        ("ALLSWELL_GROUPS__JOBBERS__CHECKS", "[\"jobs\"]"),
        ("ALLSWELL_PORT", "tcp://10.0.0.1:80"),
    ];
    let sources = Sources {
        files: vec![base, over],
        environment: Environment::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned()))),
        overrides: vec![Override { flag: "--listen", key: vec!["server".to_owned(), "listen".to_owned()], value: "b:2".to_owned() }],
        ..Sources::default()
    };
    let configured = load(&sources, &Registry::builtin()).unwrap_or_else(|error| panic!("{error}"));
    let server = &configured.settings.server;
    assert_eq!((server.listen.as_str(), server.fail_status, server.warn_status), ("b:2", 502, 203));
    assert_eq!(server.token.as_ref().map(allswell_checks::contract::Secret::expose), Some("from-a-file"));
    assert_eq!(configured.settings.service.name.as_deref(), Some("007"));
    let [jobs, port] = configured.components.as_slice() else { panic!("{:?}", configured.components) };
    assert_eq!((jobs.name.as_str(), jobs.kind, port.name.as_str(), port.kind), ("jobs", "rabbitmq", "port", "tcp"));
    assert_eq!((port.policy.interval.as_secs(), port.policy.timeout.as_secs()), (60, 3));
    assert!(!port.policy.critical && (port.policy.jitter - 0.25).abs() < 1e-9);
    assert_eq!(configured.groups["jobbers"].checks, ["jobs"]);
}

#[test]
fn a_kind_that_is_not_built_in_has_another_message_than_an_unknown_kind() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "[checks.a]\nkind = \"redis\"\n[checks.b]\nkind = \"rodis\"\n").expect("a configuration");
    let sources = Sources { files: vec![file.path().to_owned()], ..Sources::default() };
    let error = load(&sources, &Registry::default().with::<allswell_checks::kinds::tcp::Tcp>()).expect_err("an unknown kind");
    let message = error.to_string().replace(&file.path().display().to_string(), "allswell.toml");
    assert_eq!(
        message,
        "error: allswell.toml:2:1: checks.a.kind: the kind `redis` exists, but this binary was built without it\n\
         error: allswell.toml:4:1: checks.b.kind: unknown kind; kinds are tcp\n\
         2 problems in the configuration; nothing was started"
    );
}

#[test]
fn a_secret_in_a_wrong_key_is_not_quoted() {
    let configuration = "[server]\nlisten = \"${REDIS_URL}\"\n[checks.port]\nkind = \"tcp\"\naddress = \"${REDIS_URL}\"\n[checks.odd]\nkind = \"${REDIS_URL}\"\n\
         [checks.cache]\nkind = \"redis\"\nurl = \"app:hunter2@h/x?next=http://y\"\n[checks.pw]\nkind = \"redis\"\nurl = \"redis://h\"\npassword = \"pa${hunt er2}x\"\n";
    let (ran, _directory) = validate(configuration, &[("REDIS_URL", "redis://:hunter2@cache:6379/0")]);
    assert_eq!(ran.code, Some(2));
    assert!(!ran.stderr.contains("hunter2") && !ran.stderr.contains("hunt er2"), "{}", ran.stderr);
    let (ran, _directory) = validate("", &[("DATABASE_URL", "postgres://app:hunter2@db:99999/x")]);
    assert!(ran.stderr.contains("DATABASE_URL") && !ran.stderr.contains("hunter2"), "{}", ran.stderr);
}

#[test]
fn mistakes_that_read_the_same_are_reported_once() {
    let (ran, _directory) = validate("[checks.web]\nkind = \"http\"\nurl = \"http://web\"\nheaders = { a = 1, b = 2 }\n", &[]);
    assert_eq!(
        ran.stderr,
        "error: allswell.toml:4:1: checks.web.headers: expected text in quotes, found a number\n1 problem in the configuration; nothing was started\n"
    );
}

#[test]
fn a_secret_and_its_file_are_one_key_in_two_forms() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("secret");
    fs::write(&file, "from-a-file").expect("a file");
    let token = |configuration: &str, variables: &[(&str, &str)]| {
        let path = directory.path().join("allswell.toml");
        fs::write(&path, configuration).expect("a configuration");
        let environment = Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let sources = Sources { files: vec![path], environment, ..Sources::default() };
        load(&sources, &Registry::builtin()).map(|configured| configured.settings.server.token.map(|token| token.expose().to_owned()))
    };
    let path = file.to_str().expect("a path");
    let later = token("[server]\ntoken = \"plain\"\n", &[("ALLSWELL_SERVER__TOKEN_FILE", path)]);
    assert_eq!(later.expect("a valid configuration").as_deref(), Some("from-a-file"), "the later layer wins");
    let later = token(&format!("[server]\ntoken_file = \"{path}\"\n"), &[("ALLSWELL_SERVER__TOKEN", "plain")]);
    assert_eq!(later.expect("a valid configuration").as_deref(), Some("plain"));
    let both = token(&format!("[server]\ntoken = \"plain\"\ntoken_file = \"{path}\"\n"), &[]).expect_err("an error");
    assert!(both.to_string().contains("keep one of the two"), "{both}");
    let (missing, _directory) = validate("[checks.db]\nkind = \"postgres\"\nurl_file = \"/no/such/file\"\n", &[]);
    assert_eq!(
        missing.stderr,
        "error: allswell.toml:3:1: checks.db.url_file: there is no such file\n1 problem in the configuration; nothing was started\n"
    );
}

#[test]
fn groups_may_name_discovered_checks() {
    let (ran, _directory) = validate("[groups.ready]\nchecks = [\"database\"]\n", &[("DATABASE_URL", "postgres://db/orders")]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn a_mistake_in_a_flag_is_reported_with_the_flag() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ran = run(command(&directory).args(["serve", "--listen", "nope"]).env("DATABASE_URL", "postgres://db/orders"));
    assert!(ran.stderr.starts_with("error: --listen: server.listen: the port is missing"), "{}", ran.stderr);
}

#[test]
fn a_timeout_that_is_not_below_its_interval_is_a_warning() {
    let (ran, _directory) = validate("[checks.port]\nkind = \"tcp\"\naddress = \"db:1\"\ninterval = \"1s\"\n", &[]);
    assert_eq!(ran.code, Some(0));
    insta::assert_snapshot!(ran.stderr);
}

#[test]
fn without_a_configuration_the_backends_of_the_environment_are_checked() {
    let server = Hostile::answering("+PONG\r\n$7\r\nrole:x\n\r\n");
    let url = format!("redis://{}", server.address);
    let variables = [
        ("REDIS_URL", url.as_str()),
        ("CACHE_URL", &url),
        ("HOOK_URL", "http://127.0.0.1:1/"),
        ("DATABASE_URL", "postgres://app:x@127.0.0.1:99999/"),
    ];
    let service = Allswell::start_with("", &variables);
    let report = service.get("/health");
    let names: Vec<_> = report.json()["components"].as_object().expect("components").keys().cloned().collect();
    assert_eq!(names, ["disk", "memory", "redis", "sqlite", "storage"]);
    assert!(!report.body.contains("ONLY THE HOST"), "{}", report.body);
    assert!(
        service.log().contains("DATABASE_URL: not checked: the port of the URL is not a number"),
        "a discovered URL that cannot be used is a warning: {}",
        service.log()
    );
    let from = |name: &str| {
        service
            .events()
            .into_iter()
            .find(|event| event["message"] == "checking" && event["component"] == name)
            .map(|event| event["from"].clone())
    };
    assert_eq!(from("redis"), Some("REDIS_URL".into()));
}

#[test]
fn without_any_backend_it_responds_200_and_says_that_only_the_host_is_checked() {
    let service = Allswell::start("");
    let report = service.get("/health");
    assert_eq!(report.status, 200, "{}", report.text);
    assert!(report.json()["summary"].as_str().is_some_and(|summary| summary.contains("ONLY THE HOST IS CHECKED")), "{}", report.body);
    assert!(service.log().contains("ONLY THE HOST IS CHECKED"), "{}", service.log());
    assert!(report.json()["components"].as_object().is_some_and(|all| all.values().all(|one| one["critical"] == false)));
}

#[test]
fn the_default_file_equals_the_built_in_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/allswell.toml");
    let text = fs::read_to_string(&file).expect("the default configuration");
    let sources = Sources { files: vec![file], ..Sources::default() };
    let configured = load(&sources, &Registry::builtin()).unwrap_or_else(|error| panic!("{error}"));
    let Settings { server, log, defaults, service } = &configured.settings;
    assert_eq!(format!("{server:?}"), format!("{:?}", ServerSettings::default()));
    assert_eq!(format!("{log:?}"), format!("{:?}", Settings::default().log));
    assert_eq!(*defaults, Policy::default());
    assert_eq!((&service.name, &service.version), (&None, &None));
    // The file has every key, if only in a comment.
    let schema = schemars::schema_for!(Settings).to_value();
    for (section, table) in
        schema["$defs"].as_object().expect("sections").iter().filter(|(name, _)| name.ends_with("Settings") || *name == "Policy")
    {
        for key in table["properties"].as_object().into_iter().flat_map(|keys| keys.keys()) {
            let written = text.lines().any(|line| {
                let line = line.trim_start_matches("# ");
                line.starts_with(&format!("{key} =")) || line.starts_with(&format!("[server.{key}]"))
            });
            assert!(written, "{section}.{key} is not in config/allswell.toml");
        }
    }
}

/// The default configuration and every example.
fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let examples = fs::read_dir(folder.join("examples")).expect("examples").flatten().map(|entry| entry.path());
    examples.chain([folder.join("allswell.toml")]).collect()
}

#[test]
fn every_example_is_valid() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    fs::write(secret.path(), "of-the-example").expect("a secret");
    let folder = tempfile::tempdir().expect("a folder");
    let certificates = Certificates::new(folder.path());
    for path in files().into_iter().filter(|path| !path.ends_with("config/allswell.toml")) {
        // Provides the files and variables to which the example refers.
        let text = fs::read_to_string(&path).expect("an example");
        let lines = text.lines().map(|line| match line.split_once("_file = \"") {
            Some((key, _)) if key.ends_with("ca") => format!("{key}_file = \"{}\"", certificates.authority.display()),
            Some((key, _)) => format!("{key}_file = \"{}\"", secret.path().display()),
            None => line.to_owned(),
        });
        let copy = tempfile::NamedTempFile::new().expect("a file");
        fs::write(copy.path(), lines.collect::<Vec<_>>().join("\n").replace("token_file", "# token_file")).expect("a copy");
        let names = text.split("${").skip(1).filter_map(|rest| rest.split(['}', ':']).next());
        let environment = Environment::new(names.map(|name| (name.to_owned(), "1".to_owned())));
        let sources = Sources { files: vec![copy.path().to_owned()], environment, ..Sources::default() };
        let configured = load(&sources, &Registry::builtin()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!configured.only_host, "{}", path.display());
        // That file says that no URL of its private network uses TLS.
        let expected: &[&str] = if path.ends_with("compose.toml") {
            &[
                "24:1: checks.cache.url: the credentials are sent unencrypted: write `rediss://`",
                "14:1: checks.db.url: the server's certificate is not verified before the login: write `sslmode=verify-full`",
                "34:1: checks.jobs.url: the credentials are sent unencrypted: write `amqps://`",
                "19:1: checks.reports.url: the server's certificate is not verified before the login: write `ssl-mode=VERIFY_IDENTITY`",
                "60:1: checks.workers.broker: the credentials are sent unencrypted: write `amqps://`",
            ]
        } else {
            &[]
        };
        let warnings: Vec<String> = configured.warnings.iter().map(ToString::to_string).collect();
        let expected: Vec<String> = expected.iter().map(|warning| format!("{}:{warning}", copy.path().display())).collect();
        assert_eq!(warnings, expected, "{}", path.display());
    }
}

#[test]
fn the_schema_is_fresh_and_agrees_with_the_loader() {
    let schema = allswell::config::schema(&Registry::builtin());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/allswell.schema.json");
    let committed = fs::read_to_string(file).expect("the schema");
    assert!(committed == format!("{schema:#}\n"), "config/allswell.schema.json is out of date: run `cargo xtask generate`");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let json = |text: &str| Figment::from(Toml::string(text)).extract::<serde_json::Value>().expect("TOML");
    for path in files() {
        let text = fs::read_to_string(&path).expect("a configuration");
        assert!(text.starts_with("#:schema "), "{} names its schema", path.display());
        let errors: Vec<_> = validator.iter_errors(&json(&text)).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    }
    for kind in Registry::builtin().kinds() {
        assert!(validator.is_valid(&json(&format!("[checks.x]\nkind = \"{}\"\n{}", kind.name, kind.example))), "{}", kind.name);
    }
    for wrong in [
        "[server]\nlistn = \"x\"",
        "[server]\nfail_status = \"x\"",
        "[checks.x]\nkind = \"postgrs\"",
        "[checks.x]\nkind = \"postgres\"",
        "[checks.x]\nkind = \"postgres\"\nurl = \"u\"\nulr = \"u\"",
        "[checks.X]\nkind = \"memory\"",
        "[groups.g]\nfail_status = 503",
    ] {
        assert!(!validator.is_valid(&json(wrong)), "{wrong}");
    }
    assert!(validator.is_valid(&json("[checks.x]\nkind = \"postgres\"\nurl_file = \"/run/url\"\ninterval = \"5s\"")));
    let directory = tempfile::tempdir().expect("a temporary directory");
    assert_eq!(run(command(&directory).arg("schema")).stdout, committed);
}

#[test]
fn validate_prints_the_checks_and_explain_the_source_of_each_value() {
    let configuration = "[server]\nfail_status = 503\n[defaults]\ntimeout = \"3s\"\n[checks.db]\nkind = \"postgres\"\nurl = \"postgres://app:hunter2@db/x?sslmode=verify-full\"\n\
         hold = \"1m\"\n[checks.port]\nkind = \"tcp\"\naddress = \"db:1\"\ncritical = false\nfall = 3\n[checks.quiet]\nkind = \"memory\"\nenabled = false\n";
    let variables = [("ALLSWELL_CHECKS__PORT__INTERVAL", "5s"), ("ALLSWELL_SERVICE__NAME", "orders")];
    let (ran, directory) = validate(configuration, &variables);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(ran.stdout);
    let explained = run(command(&directory).args(["validate", "--explain"]).envs(variables));
    assert!(!explained.stdout.contains("hunter2"), "{}", explained.stdout);
    insta::assert_snapshot!(explained.stdout);
}

#[test]
fn explain_shows_each_key_of_a_nested_table_even_if_only_variables_set_it() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "[checks.db]\nkind = \"postgres\"\nurl = \"postgres://app@db/x?sslmode=verify-full\"\n")
        .expect("a configuration");
    let environment = Environment::new([("ALLSWELL_CHECKS__DB__TLS__SERVER_NAME".to_owned(), "db.internal".to_owned())]);
    let sources = Sources { files: vec![file.path().to_owned()], environment, explain: true, ..Sources::default() };
    let configured = load(&sources, &Registry::builtin()).unwrap_or_else(|error| panic!("{error}"));
    let explained = configured.explained.iter().find(|explained| explained.key == "checks.db.tls.server_name").expect("the key");
    assert_eq!((explained.value.as_str(), explained.origin.as_str()), ("\"db.internal\"", "ALLSWELL_CHECKS__DB__TLS__SERVER_NAME"));
}

#[test]
fn init_prints_a_valid_configuration_of_the_current_environment() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name);
    fs::write(path("app.env"), "REDIS_URL=redis://:hunter2@cache/0\n").expect("a file");
    let compose = "services:\n  db:\n    image: docker.io/library/postgres:17\n    environment:\n      POSTGRES_USER: app\n      POSTGRES_PASSWORD: hunter2\n      POSTGRES_DB: orders\n\
         \x20 mq:\n    image: rabbitmq:4-alpine\n    environment:\n      - RABBITMQ_DEFAULT_USER=jobs\n      - RABBITMQ_DEFAULT_PASS=hunter2\n  sessions:\n    image: memcached:1\n  web:\n    image: nginx\n";
    fs::write(path("docker-compose.yml"), compose).expect("a file");
    let variables =
        [("DATABASE_URL", "postgres://app:hunter2@db/orders"), ("MEMCACHED_URL", "memcached://cache"), ("NATS_URL", "nats://mq")];
    let init = run(command(&directory).args(["init", "--env-file", "app.env"]).envs(variables));
    assert_eq!((init.code, init.stderr.as_str()), (Some(0), ""));
    assert!(!init.stdout.contains("hunter2"), "{}", init.stdout);
    let shown = init.stdout.replace(&directory.path().display().to_string(), "/tmp");
    insta::assert_snapshot!(shown);
    fs::write(path("allswell.toml"), &init.stdout).expect("a configuration");
    let validated = run(command(&directory).args(["validate", "--env-file", "app.env"]).envs(variables));
    assert_eq!(validated.code, Some(0), "{}", validated.stderr);
    assert!(validated.stdout.contains("10 checks"), "{}", validated.stdout);
    fs::write(path("docker-compose.yml"), "a: [hunter2").expect("a file");
    let broken = run(command(&directory).arg("init"));
    assert_eq!((broken.code, broken.stderr.as_str()), (Some(2), "error: the compose file is not YAML\n"));
}

#[test]
fn completions_are_printed_for_every_shell() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(command(&directory).args(["completions", shell]));
        assert!(ran.code == Some(0) && ran.stdout.contains("validate"), "{shell}");
    }
}

/// A configuration with keys of every section.
const WHOLE: &str = "[service]\nname = \"a\"\n[server]\nlisten = \"a:1\"\nfail_status = 503\ntoken = \"secret-token\"\n[log]\nlevel = \"info\"\n[defaults]\ninterval = \"5s\"\njitter = 0.2\n\
    [checks.db]\nkind = \"postgres\"\nurl = \"postgres://app:secret-url@db/x\"\nhold = \"1m\"\n[checks.web]\nkind = \"http\"\nurl = \"http://web\"\nexpect_status = [\"200\"]\n\
    headers = { a = \"secret-header\" }\n[checks.disk]\nkind = \"disk\"\nwarn_free = \"5%\"\n[groups.g]\nchecks = [\"db\"]\nfail_status = 503\n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Reading a mutated configuration returns a configuration or messages with positions.
    #[test]
    fn mistakes_in_mutated_configurations_are_reported_with_their_positions(
        at in 0..WHOLE.len(), length in 0_usize..12, text in prop_oneof!["[\\PC\n]{0,8}", Just("\"".to_owned()), Just("= 7".to_owned()), Just("${X".to_owned())],
    ) {
        let end = WHOLE.floor_char_boundary((at + length).min(WHOLE.len()));
        let mutated = format!("{}{text}{}", &WHOLE[..WHOLE.floor_char_boundary(at).min(end)], &WHOLE[end..]);
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), &mutated).expect("a configuration");
        let sources = Sources { files: vec![file.path().to_owned()], ..Sources::default() };
        if let Err(error) = load(&sources, &Registry::builtin()) {
            let path = file.path().display().to_string();
            prop_assert!(!error.problems.is_empty());
            for problem in &error.problems {
                let message = problem.to_string();
                prop_assert!(message.starts_with(&format!("{path}:")), "no position: {message}\n{mutated}");
            }
        }
    }
}

#[test]
fn check_prints_a_line_per_component_and_exits_with_the_verdict() {
    let server = Hostile::silent();
    let configuration = format!(
        "[checks.good]\nkind = \"tcp\"\naddress = \"{}\"\n[checks.bad]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n[checks.minor]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\ncritical = false\n",
        server.address
    );
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("allswell.toml"), configuration).expect("a configuration");
    let check = |arguments: &[&str]| run(command(&directory).arg("check").args(arguments));
    let all = check(&[]);
    assert_eq!((all.code, all.stderr.as_str()), (Some(1), "configuration: allswell.toml\n"));
    assert!(all.stdout.lines().any(|line| line.starts_with("pass  good ")), "{}", all.stdout);
    assert!(
        all.stdout.lines().any(|line| line.starts_with("fail  bad ") && line.contains("unreachable: connection refused (")),
        "{}",
        all.stdout
    );
    assert!(all.stdout.ends_with("fail  2 of 3 components fail: bad, minor\n"), "{}", all.stdout);
    assert_eq!(check(&["good"]).code, Some(0));
    assert_eq!(check(&["good", "minor"]).code, Some(0), "a warning");
    assert_eq!(check(&["good", "minor", "--warnings-as-errors"]).code, Some(1));
    let json = check(&["bad", "--format", "json", "--timeout", "20s"]);
    let report: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!((json.code, &report["components"]["bad"]["failure"]["class"]), (Some(1), &"unreachable".into()));
    let unknown = check(&["goood"]);
    assert_eq!(
        (unknown.code, unknown.stderr.as_str()),
        (Some(2), "configuration: allswell.toml\nerror: there is no component `goood`; did you mean `good`?\n")
    );
    assert_eq!(check(&["--timeout", "soon"]).code, Some(2));
}

#[test]
fn kinds_prints_the_reference() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let kinds = |arguments: &[&str]| run(command(&directory).arg("kinds").args(arguments));
    let list = kinds(&[]).stdout;
    for kind in allswell_checks::KINDS {
        assert!(list.lines().any(|line| line.starts_with(&format!("{kind} "))), "{kind} is listed");
    }
    assert!(list.lines().all(|line| line.chars().count() <= 100), "the list fits a terminal: {list}");
    insta::assert_snapshot!(kinds(&["storage"]).stdout);
    let unknown = kinds(&["storge"]);
    assert_eq!((unknown.code, unknown.stderr.as_str()), (Some(2), "error: unknown kind; did you mean `storage`?\n"));
}
