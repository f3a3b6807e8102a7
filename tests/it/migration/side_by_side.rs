//! Both versions of django-health-check and allswell look at the same servers, well and broken: where they differ, the table says how.

use super::{
    block, page,
    project::{PASSWORD, Shop, VERSIONS, Version, asked},
};
use crate::{
    helpers::{PATIENCE, Response, command, eventually, run},
    servers::folder,
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, process::Command, thread, time::Duration};

/// Longer than the six seconds that version 4 gives a check.
const SILENCE: Duration = Duration::from_secs(8);

/// Our components, and the beginnings of what the package calls them.
const NAMES: &[(&str, &[&str])] = &[
    ("cache", &["Cache(", "Cache backend: default"]),
    ("celery", &["Ping(", "CeleryPingHealthCheck", "CeleryHealthCheckCelery"]),
    ("database", &["Database(", "DatabaseBackend", "DatabaseHeartBeatCheck"]),
    ("disk", &["Disk(", "DiskUsage"]),
    ("mail", &["Mail(", "MailHealthCheck"]),
    ("memory", &["Memory(", "MemoryUsage"]),
    ("migrations", &["MigrationsHealthCheck"]),
    ("rabbitmq", &["RabbitMQ(", "RabbitMQHealthCheck"]),
    ("redis", &["Redis(", "RedisHealthCheck"]),
    ("storage", &["Storage(", "DefaultFileStorageHealthCheck"]),
];

/// What the package makes of it, beside what we make of it.
#[derive(Clone, Copy)]
enum Original {
    /// The same components fail, and so does the whole.
    Same,
    /// Others fail, or none.
    Fails(&'static [&'static str]),
    /// The first fail, and the second may: Celery goes on with the connections that it has, as long as it needs no new one.
    May(&'static [&'static str], &'static str),
    /// It does not answer.
    Hangs,
}
use Original::{Fails, Hangs, May, Same};

/// A thing that breaks.
struct Row {
    what: &'static str,
    breaks: fn(&mut Shop),
    mends: fn(&mut Shop),
    /// Which of our components fail, and what each says.
    fails: &'static [&'static str],
    says: &'static str,
    four: Original,
    three: Original,
}

const ROWS: &[Row] = &[
    Row {
        what: "PostgreSQL is killed",
        breaks: |shop| shop.postgres.kill(),
        mends: |shop| shop.postgres.restart(),
        fails: &["database", "migrations"],
        says: "Unavailable: connection refused",
        // It knows no migrations.
        four: Fails(&["database"]),
        three: Same,
    },
    Row {
        what: "PostgreSQL stops in its tracks",
        breaks: |shop| shop.postgres.pause(),
        mends: |shop| shop.postgres.resume(),
        fails: &["database", "migrations"],
        says: "Unavailable: no answer within 2s",
        four: Hangs,
        three: Hangs,
    },
    Row {
        what: "PostgreSQL wants another password",
        breaks: |shop| drop(shop.postgres.psql(PASSWORD, "orders", "ALTER ROLE app PASSWORD 'another'")),
        mends: |shop| drop(shop.postgres.psql("another", "orders", &format!("ALTER ROLE app PASSWORD '{PASSWORD}'"))),
        fails: &["database", "migrations"],
        says: "Unavailable: the credentials are not accepted",
        four: Fails(&["database"]),
        three: Same,
    },
    Row {
        what: "a migration waits",
        breaks: |shop| drop(shop.postgres.psql(PASSWORD, "orders", "DELETE FROM django_migrations WHERE app = 'orders'")),
        mends: |shop| drop(shop.manage(VERSIONS[1], &["migrate"], &[])),
        fails: &["migrations"],
        says: "Unavailable: 1 migration is pending: orders.0001_initial",
        four: Fails(&[]),
        three: Same,
    },
    Row {
        what: "Redis is killed",
        breaks: |shop| shop.redis.kill(),
        mends: |shop| shop.redis.restart(),
        fails: &["cache", "redis"],
        says: "Unavailable: connection refused",
        four: Same,
        // Its task's result is to come by Redis.
        three: Fails(&["cache", "celery", "redis"]),
    },
    Row {
        what: "Redis stops in its tracks",
        breaks: |shop| shop.redis.pause(),
        mends: |shop| shop.redis.resume(),
        fails: &["cache", "redis"],
        says: "Unavailable: no answer within 2s",
        // After five seconds, which redis-py 8 waits by default.
        four: Same,
        three: Hangs,
    },
    Row {
        what: "Redis wants another password",
        breaks: |shop| drop(shop.redis.redis_cli(PASSWORD, &["CONFIG", "SET", "requirepass", "another"])),
        mends: |shop| drop(shop.redis.redis_cli("another", &["CONFIG", "SET", "requirepass", PASSWORD])),
        fails: &["cache", "redis"],
        says: "Unavailable: the credentials are not accepted",
        four: Same,
        three: Fails(&["cache", "celery", "redis"]),
    },
    Row {
        what: "RabbitMQ is killed",
        breaks: |shop| shop.rabbitmq.kill(),
        mends: |shop| shop.rabbitmq.restart(),
        fails: &["celery", "rabbitmq"],
        says: "Unavailable: connection refused",
        four: Same,
        three: Same,
    },
    Row {
        what: "RabbitMQ stops in its tracks",
        breaks: |shop| shop.rabbitmq.pause(),
        mends: |shop| shop.rabbitmq.resume(),
        fails: &["celery", "rabbitmq"],
        says: "Unavailable: no answer within 2s",
        four: Hangs,
        three: Hangs,
    },
    Row {
        what: "RabbitMQ wants another password",
        breaks: |shop| drop(shop.rabbitmq.rabbitmqctl(&["change_password", "app", "another"])),
        mends: |shop| drop(shop.rabbitmq.rabbitmqctl(&["change_password", "app", PASSWORD])),
        fails: &["celery", "rabbitmq"],
        says: "Unavailable: the credentials are not accepted",
        four: May(&["rabbitmq"], "celery"),
        three: May(&["rabbitmq"], "celery"),
    },
    Row {
        what: "the worker is killed",
        breaks: |shop| shop.worker.kill(),
        mends: |shop| shop.worker.restart(),
        fails: &["celery"],
        says: "Unavailable: no worker answered: none is connected",
        four: Same,
        three: Same,
    },
    Row {
        what: "the worker stops in its tracks",
        breaks: |shop| shop.worker.pause(),
        mends: |shop| shop.worker.resume(),
        fails: &["celery"],
        says: "Unavailable: no worker answered",
        four: Same,
        three: Same,
    },
    Row {
        what: "the mail server is killed",
        breaks: |shop| shop.mail.kill(),
        mends: |shop| shop.mail.restart(),
        fails: &["mail"],
        says: "Unavailable: connection refused",
        four: Same,
        three: Same,
    },
    Row {
        what: "the mail server stops in its tracks",
        breaks: |shop| shop.mail.pause(),
        mends: |shop| shop.mail.resume(),
        fails: &["mail"],
        says: "Unavailable: no answer within 2s",
        four: Same,
        three: Same,
    },
    Row {
        what: "the folder of uploads is a file",
        breaks: |shop| {
            fs::remove_dir_all(&shop.media).expect("a folder");
            fs::write(&shop.media, "").expect("a file");
        },
        mends: |shop| {
            fs::remove_file(&shop.media).expect("a file");
            fs::create_dir(&shop.media).expect("a folder");
        },
        fails: &["storage"],
        says: "Unavailable: it is not a directory",
        four: Same,
        three: Same,
    },
    Row {
        what: "the disk of uploads is read-only",
        breaks: |shop| shop.disk.as_ref().expect("a disk").make_read_only(),
        mends: |shop| shop.disk.as_ref().expect("a disk").make_writable(),
        fails: &["storage"],
        says: "Unavailable: the file system is read-only",
        four: Same,
        three: Same,
    },
    Row {
        what: "the folder of uploads is gone",
        breaks: |shop| fs::remove_dir_all(&shop.media).expect("a folder"),
        // They have made it again: Django's storage makes what is missing.
        mends: |shop| assert!(shop.media.exists()),
        fails: &["storage"],
        says: "Unavailable: there is no such directory",
        four: Fails(&[]),
        three: Fails(&[]),
    },
];

#[test]
fn the_same_backends_get_the_same_verdicts() {
    let mut shop = Shop::open();
    await_all_well(&shop);
    subsets(&shop);
    thresholds(&shop);
    assert_eq!(commands(&shop), [Some(0); 3]);
    assert_eq!(left_in_django(&shop), [Some(0); 2]);
    let well = scripts(&shop);
    let mut wrong = Vec::new();
    for row in ROWS {
        if row.what.contains("read-only") && shop.disk.is_none() {
            continue;
        }
        (row.breaks)(&mut shop);
        shop.ours.await_report("/health?format=django", row.what, |report| {
            failing(report, VERSIONS[0]) == set(row.fails) && report.status == 500
        });
        // Before the package looks, which mends a missing folder.
        for version in VERSIONS {
            let ours = shop.ours.get(&format!("/health?format={}", version.dialect));
            if (ours.status, failing(&ours, version)) != (500, set(row.fails)) || !says(&ours, row) {
                wrong.push(format!("{}: we said {}", row.what, ours.text));
            }
        }
        let patience = [row.four, row.three].map(|original| if matches!(original, Hangs) { SILENCE } else { PATIENCE });
        let answers = thread::scope(|scope| {
            let ask = |server, patience| scope.spawn(move || asked(server, "/ht/?format=json", patience));
            let asking = [ask(&shop.originals[0], patience[0]), ask(&shop.originals[1], patience[1])];
            asking.map(|asking| asking.join().expect("no panic"))
        });
        for ((version, original), answer) in VERSIONS.into_iter().zip([row.four, row.three]).zip(answers) {
            let mut found = answer.map(|answer| (answer.status, failing(&answer, version)));
            let expected = match original {
                Same => Some((500, set(row.fails))),
                Fails(others) => Some((if others.is_empty() { 200 } else { 500 }, set(others))),
                May(surely, perhaps) => {
                    if let Some((_, failing)) = &mut found {
                        failing.remove(perhaps);
                    }
                    Some((500, set(surely)))
                }
                Hangs => None,
            };
            if found != expected {
                wrong.push(format!("{}: version {} was expected to say {expected:?}, and said {found:?}", row.what, version.number));
            }
        }
        if row.what == "the mail server is killed" {
            assert_eq!(commands(&shop), [Some(1); 3]);
            assert_eq!(left_in_django(&shop), [Some(1); 2]);
            assert!(scripts(&shop).iter().zip(&well).all(|(ill, well)| ill != well), "no script takes ill for well");
        }
        (row.mends)(&mut shop);
        await_all_well(&shop);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_tells_what_the_table_says() {
    let names = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let told = |original: Original| match original {
        Same => "same".to_owned(),
        Fails([]) => "200, all well".to_owned(),
        Fails(others) => format!("500: {}", names(others)),
        May(surely, perhaps) => format!("500: {}, and {} when it needs a new connection", names(surely), names(&[perhaps])),
        Hangs => "no answer".to_owned(),
    };
    let line = |row: &Row| {
        let says = row.says.trim_start_matches("Unavailable: ");
        format!("| {} | {}: {says} | {} | {} |", row.what, names(row.fails), told(row.four), told(row.three))
    };
    let page = page("README.md");
    let missing: Vec<String> = ROWS.iter().map(line).filter(|line| !page.contains(line)).collect();
    assert!(missing.is_empty(), "docs/migration/README.md lacks\n{}", missing.join("\n"));
}

fn await_all_well(shop: &Shop) {
    shop.ours.await_report("/health", "all is well here", |report| report.header("x-health-status") == Some("pass"));
    for (server, version) in shop.originals.iter().zip(VERSIONS) {
        eventually(&format!("all is well by version {}", version.number), || {
            asked(server, "/ht/?format=json", PATIENCE).filter(|answer| answer.status == 200 && failing(answer, version).is_empty())
        });
    }
}

fn set(names: &[&'static str]) -> BTreeSet<&'static str> {
    names.iter().copied().collect()
}

/// Which of our names a name is, or belongs to.
fn ours(name: &str) -> &'static str {
    let is = |(ours, theirs): &&(&str, &[&str])| *ours == name || theirs.iter().any(|theirs| name.starts_with(theirs));
    NAMES.iter().find(is).unwrap_or_else(|| panic!("the table has no {name}")).0
}

/// What is not well, by our names.
fn failing(report: &Response, version: Version) -> BTreeSet<&'static str> {
    let Value::Object(said) = report.json() else { panic!("no object: {}", report.text) };
    assert!(said.len() >= 8, "{}", report.text);
    said.iter().filter(|(_, said)| *said != version.well).map(|(name, _)| ours(name)).collect()
}

/// Whether each that fails says what it should.
fn says(report: &Response, row: &Row) -> bool {
    let json = report.json();
    row.fails.iter().all(|name| json[name].as_str().is_some_and(|said| said.to_lowercase().starts_with(&row.says.to_lowercase())))
}

/// What the scripts of the page make of the package's answer and of ours, as they stand there: how each ends, and which components it names.
fn scripts(shop: &Shop) -> Vec<(Option<i32>, BTreeSet<&'static str>)> {
    let page = page("urls-and-formats.md");
    let mut all = Vec::new();
    for (server, version) in shop.originals.iter().zip(VERSIONS) {
        let urls = [
            format!("http://127.0.0.1:{}/ht/?format=json", server.port),
            format!("http://{}/health?format={}", shop.ours.address, version.dialect),
        ];
        for script in block(&page, &format!("scripts that read version {}", version.number)).lines().skip(1) {
            let [theirs, ours] = urls.each_ref().map(|url| by_script(script, url));
            assert_eq!(theirs, ours, "{script}");
            all.push(ours);
        }
    }
    all
}

fn by_script(script: &str, url: &str) -> (Option<i32>, BTreeSet<&'static str>) {
    let output = Command::new("bash").args(["-c", script]).env("URL", url).output().expect("bash");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).lines().map(ours).collect())
}

/// How the package's commands end, and ours.
fn commands(shop: &Shop) -> [Option<i32>; 3] {
    let four = shop.manage(VERSIONS[0], &["health_check", "health", "--no-http"], &[]);
    [four.code, shop.manage(VERSIONS[1], &["health_check"], &[]).code, shop.check(&[], &[]).code]
}

/// How `allswell check` ends that reads the report of a view in Django, as the page says it for checks that stay there.
fn left_in_django(shop: &Shop) -> [Option<i32>; 2] {
    let page = block(&page("checks.md"), "what stays in Django");
    shop.originals.each_ref().map(|server| {
        let directory = folder();
        let text = page.replace("127.0.0.1:8000", &format!("127.0.0.1:{}", server.port));
        fs::write(directory.path().join("allswell.toml"), text).expect("a file");
        run(command(&directory).arg("check")).code
    })
}

/// A subset is a group.
fn subsets(shop: &Shop) {
    let ready = set(&["cache", "database"]);
    for (server, version) in shop.originals.iter().zip(VERSIONS) {
        let theirs = asked(server, "/ht/ready/?format=json", PATIENCE).expect("an answer");
        let ours = shop.ours.get(&format!("/health/ready?format={}", version.dialect));
        for answer in [theirs, ours] {
            assert_eq!((answer.status, names(&answer)), (200, ready.clone()), "{}", answer.text);
        }
        let unknown = asked(server, "/ht/unknown/", PATIENCE).expect("an answer");
        assert_eq!((unknown.status, shop.ours.get("/health/unknown").status), (404, 404));
    }
}

fn names(report: &Response) -> BTreeSet<&'static str> {
    report.json().as_object().expect("an object").keys().map(|name| ours(name)).collect()
}

/// What is over its limit is a warning there, and one that counts as an error unless version 3 is told otherwise; here it is what it was
/// configured to be.
fn thresholds(shop: &Shop) {
    let over: BTreeSet<_> = set(&["disk", "memory"]);
    let four = [("\"max_disk_usage_percent\": 95", "\"max_disk_usage_percent\": 0.001"), ("available\": 0.1", "available\": 1e6")];
    let three = [("\"DISK_USAGE_MAX\": 95", "\"DISK_USAGE_MAX\": 0.001"), ("\"MEMORY_MIN\": 100", "\"MEMORY_MIN\": 1e9")];
    let lenient = [three[0], three[1], ("HEALTH_CHECK = {", "HEALTH_CHECK = {\"WARNINGS_AS_ERRORS\": False,")];
    for (version, words, differently, code) in [
        (VERSIONS[0], &["health_check", "health", "--no-http"][..], &four[..], 1),
        (VERSIONS[1], &["health_check"], &three, 1),
        (VERSIONS[1], &["health_check"], &lenient, 0),
    ] {
        let ran = shop.manage(version, words, differently);
        let warned: BTreeSet<_> = ran.stdout.lines().filter(|line| line.to_lowercase().contains(" warning: ")).map(ours).collect();
        assert_eq!((ran.code, &warned), (Some(code), &over), "{}{}", ran.stdout, ran.stderr);
    }
    let fails = [("fail_free = \"5%\"", "fail_free = \"100%\""), ("fail_available = \"100MiB\"", "fail_available = \"100%\"")];
    let warns = [("fail_free = \"5%\"", "warn_free = \"100%\""), ("fail_available = \"100MiB\"", "warn_available = \"100%\"")];
    for (differently, words, code, word) in [
        (&fails, &["--format", "django"][..], 1, "Unavailable: "),
        (&warns, &["--format", "django"], 0, "Warning: "),
        (&warns, &["--format", "django", "--warnings-as-errors"], 1, "Warning: "),
    ] {
        let ran = shop.check(words, differently);
        let said: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let said = said.as_object().expect("an object").iter();
        let told: BTreeSet<_> =
            said.filter(|(_, said)| said.as_str().expect("text").starts_with(word)).map(|(name, _)| ours(name)).collect();
        assert_eq!((ran.code, &told), (Some(code), &over), "{}{}", ran.stdout, ran.stderr);
    }
}
