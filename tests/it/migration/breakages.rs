//! The table of breakages that `docs/migration/README.md` prints: each with the failure of allswell and the behaviour of both versions of
//! django-health-check.

use super::{
    page,
    project::{PASSWORD, Shop, VERSIONS},
};
use std::fs;

/// The behaviour of the package, compared with ours.
#[derive(Clone, Copy)]
pub(super) enum Original {
    /// The same components fail, and so does the whole.
    Same,
    /// Other components fail, or none.
    Fails(&'static [&'static str]),
    /// The first fail, and the second may: Celery continues with open connections until it needs a new one.
    May(&'static [&'static str], &'static str),
    /// The package does not respond.
    Hangs,
}
use Original::{Fails, Hangs, May, Same};

/// A breakage.
pub(super) struct Breakage {
    pub(super) what: &'static str,
    pub(super) breaks: fn(&mut Shop),
    pub(super) repairs: fn(&mut Shop),
    /// The names of our components that fail, and the message of each.
    pub(super) fails: &'static [&'static str],
    pub(super) says: &'static str,
    pub(super) four: Original,
    pub(super) three: Original,
}

pub(super) const ROWS: &[Breakage] = &[
    Breakage {
        what: "PostgreSQL is killed",
        breaks: |shop| shop.postgres.kill(),
        repairs: |shop| shop.postgres.restart(),
        fails: &["database", "migrations"],
        says: "Unavailable: connection refused",
        // The package does not check migrations.
        four: Fails(&["database"]),
        three: Same,
    },
    Breakage {
        what: "PostgreSQL hangs (SIGSTOP)",
        breaks: |shop| shop.postgres.pause(),
        repairs: |shop| shop.postgres.resume(),
        fails: &["database", "migrations"],
        says: "Unavailable: no answer within 2s",
        four: Hangs,
        three: Hangs,
    },
    Breakage {
        what: "PostgreSQL requires another password",
        breaks: |shop| drop(shop.postgres.psql(PASSWORD, "orders", "ALTER ROLE app PASSWORD 'another'")),
        repairs: |shop| drop(shop.postgres.psql("another", "orders", &format!("ALTER ROLE app PASSWORD '{PASSWORD}'"))),
        fails: &["database", "migrations"],
        says: "Unavailable: the credentials are not accepted",
        four: Fails(&["database"]),
        three: Same,
    },
    Breakage {
        what: "a migration is pending",
        breaks: |shop| drop(shop.postgres.psql(PASSWORD, "orders", "DELETE FROM django_migrations WHERE app = 'orders'")),
        repairs: |shop| drop(shop.manage(VERSIONS[1], &["migrate"], &[])),
        fails: &["migrations"],
        says: "Unavailable: 1 migration is pending: orders.0001_initial",
        four: Fails(&[]),
        three: Same,
    },
    Breakage {
        what: "Redis is killed",
        breaks: |shop| shop.redis.kill(),
        repairs: |shop| shop.redis.restart(),
        fails: &["cache", "redis"],
        says: "Unavailable: connection refused",
        four: Same,
        // The result of its task comes by Redis.
        three: Fails(&["cache", "celery", "redis"]),
    },
    Breakage {
        what: "Redis hangs (SIGSTOP)",
        breaks: |shop| shop.redis.pause(),
        repairs: |shop| shop.redis.resume(),
        fails: &["cache", "redis"],
        says: "Unavailable: no answer within 2s",
        // After five seconds, which redis-py 8 waits by default.
        four: Same,
        three: Hangs,
    },
    Breakage {
        what: "Redis requires another password",
        breaks: |shop| drop(shop.redis.redis_cli(PASSWORD, &["CONFIG", "SET", "requirepass", "another"])),
        repairs: |shop| drop(shop.redis.redis_cli("another", &["CONFIG", "SET", "requirepass", PASSWORD])),
        fails: &["cache", "redis"],
        says: "Unavailable: the credentials are not accepted",
        four: Same,
        three: Fails(&["cache", "celery", "redis"]),
    },
    Breakage {
        what: "Memcached is killed",
        breaks: |shop| shop.memcached.kill(),
        repairs: |shop| shop.memcached.restart(),
        fails: &["sessions"],
        says: "Unavailable: connection refused",
        four: Same,
        three: Same,
    },
    Breakage {
        what: "Memcached hangs (SIGSTOP)",
        breaks: |shop| shop.memcached.pause(),
        repairs: |shop| shop.memcached.resume(),
        fails: &["sessions"],
        says: "Unavailable: no answer within 2s",
        four: Hangs,
        three: Hangs,
    },
    Breakage {
        what: "RabbitMQ is killed",
        breaks: |shop| shop.rabbitmq.kill(),
        repairs: |shop| shop.rabbitmq.restart(),
        fails: &["celery", "rabbitmq"],
        says: "Unavailable: connection refused",
        four: Same,
        three: Same,
    },
    Breakage {
        what: "RabbitMQ hangs (SIGSTOP)",
        breaks: |shop| shop.rabbitmq.pause(),
        repairs: |shop| shop.rabbitmq.resume(),
        fails: &["celery", "rabbitmq"],
        says: "Unavailable: no answer within 2s",
        four: Hangs,
        three: Hangs,
    },
    Breakage {
        what: "RabbitMQ requires another password",
        breaks: |shop| drop(shop.rabbitmq.rabbitmqctl(&["change_password", "app", "another"])),
        repairs: |shop| drop(shop.rabbitmq.rabbitmqctl(&["change_password", "app", PASSWORD])),
        fails: &["celery", "rabbitmq"],
        says: "Unavailable: the credentials are not accepted",
        four: May(&["rabbitmq"], "celery"),
        three: May(&["rabbitmq"], "celery"),
    },
    Breakage {
        what: "the worker is killed",
        breaks: |shop| shop.worker.kill(),
        repairs: |shop| shop.worker.restart(),
        fails: &["celery"],
        says: "Unavailable: no worker replied: none is connected",
        four: Same,
        three: Same,
    },
    Breakage {
        what: "the worker hangs (SIGSTOP)",
        breaks: |shop| shop.worker.pause(),
        repairs: |shop| shop.worker.resume(),
        fails: &["celery"],
        says: "Unavailable: no worker replied",
        four: Same,
        three: Same,
    },
    Breakage {
        what: "the mail server is killed",
        breaks: |shop| shop.mail.kill(),
        repairs: |shop| shop.mail.restart(),
        fails: &["mail"],
        says: "Unavailable: connection refused",
        four: Same,
        three: Same,
    },
    Breakage {
        what: "the mail server hangs (SIGSTOP)",
        breaks: |shop| shop.mail.pause(),
        repairs: |shop| shop.mail.resume(),
        fails: &["mail"],
        says: "Unavailable: no answer within 2s",
        four: Same,
        three: Same,
    },
    Breakage {
        what: "the upload folder is a file",
        breaks: |shop| {
            fs::remove_dir_all(&shop.media).expect("a folder");
            fs::write(&shop.media, "").expect("a file");
        },
        repairs: |shop| {
            fs::remove_file(&shop.media).expect("a file");
            fs::create_dir(&shop.media).expect("a folder");
        },
        fails: &["storage"],
        says: "Unavailable: the path is not a directory",
        four: Same,
        three: Same,
    },
    Breakage {
        what: "the upload disk is read-only",
        breaks: |shop| shop.disk.as_ref().expect("a disk").make_read_only(),
        repairs: |shop| shop.disk.as_ref().expect("a disk").make_writable(),
        fails: &["storage"],
        says: "Unavailable: the file system is read-only",
        four: Same,
        three: Same,
    },
    Breakage {
        what: "the upload folder is missing",
        breaks: |shop| fs::remove_dir_all(&shop.media).expect("a folder"),
        // The package has created the folder again: Django's storage creates missing folders.
        repairs: |shop| assert!(shop.media.exists()),
        fails: &["storage"],
        says: "Unavailable: there is no such directory",
        four: Fails(&[]),
        three: Fails(&[]),
    },
];

#[test]
fn the_migration_page_agrees_with_the_table_of_breakages() {
    let names = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let render = |original: Original| match original {
        Same => "same".to_owned(),
        Fails([]) => "200, healthy".to_owned(),
        Fails(others) => format!("500: {}", names(others)),
        May(surely, perhaps) => format!("500: {}, and {} when it needs a new connection", names(surely), names(&[perhaps])),
        Hangs => "no response".to_owned(),
    };
    let line = |row: &Breakage| {
        let says = row.says.trim_start_matches("Unavailable: ");
        format!("| {} | {}: {says} | {} | {} |", row.what, names(row.fails), render(row.four), render(row.three))
    };
    let page = page("README.md");
    let printed: Vec<&str> =
        page.lines().skip_while(|line| !line.starts_with("| what breaks ")).skip(2).take_while(|line| !line.is_empty()).collect();
    let lines: Vec<String> = ROWS.iter().map(line).collect();
    assert!(printed == lines, "docs/migration/README.md must contain\n{}", lines.join("\n"));
}
