//! What breaks, what allswell says of it, and what both versions of django-health-check do: the table that `README.md` prints.

use super::{
    page,
    project::{PASSWORD, Shop, VERSIONS},
};
use std::fs;

/// What the package makes of it, beside what we make of it.
#[derive(Clone, Copy)]
pub(super) enum Original {
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
pub(super) struct Row {
    pub(super) what: &'static str,
    pub(super) breaks: fn(&mut Shop),
    pub(super) mends: fn(&mut Shop),
    /// Which of our components fail, and what each says.
    pub(super) fails: &'static [&'static str],
    pub(super) says: &'static str,
    pub(super) four: Original,
    pub(super) three: Original,
}

pub(super) const ROWS: &[Row] = &[
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
        what: "Memcached is killed",
        breaks: |shop| shop.memcached.kill(),
        mends: |shop| shop.memcached.restart(),
        fails: &["sessions"],
        says: "Unavailable: connection refused",
        four: Same,
        three: Same,
    },
    Row {
        what: "Memcached stops in its tracks",
        breaks: |shop| shop.memcached.pause(),
        mends: |shop| shop.memcached.resume(),
        fails: &["sessions"],
        says: "Unavailable: no answer within 2s",
        four: Hangs,
        three: Hangs,
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
        says: "Unavailable: no worker replied: none is connected",
        four: Same,
        three: Same,
    },
    Row {
        what: "the worker stops in its tracks",
        breaks: |shop| shop.worker.pause(),
        mends: |shop| shop.worker.resume(),
        fails: &["celery"],
        says: "Unavailable: no worker replied",
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
        says: "Unavailable: the path is not a directory",
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
    let printed: Vec<&str> =
        page.lines().skip_while(|line| !line.starts_with("| what breaks ")).skip(2).take_while(|line| !line.is_empty()).collect();
    let lines: Vec<String> = ROWS.iter().map(line).collect();
    assert!(printed == lines, "docs/migration/README.md has to say\n{}", lines.join("\n"));
}
