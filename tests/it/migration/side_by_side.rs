//! Both versions of django-health-check and allswell check the same servers, working and broken. The table of breakages lists every difference.

use super::{
    breakages::{
        Breakage,
        Original::{Fails, Hangs, May, Same},
        ROWS,
    },
    by_hand::{commands, left_in_django, scripts, subsets, thresholds},
    project::{Shop, VERSIONS, Version, asked},
};
use crate::helpers::{PATIENCE, Response, eventually};
use serde_json::Value;
use std::{collections::BTreeSet, thread, time::Duration};

/// Longer than the timeout of a check in version 4, six seconds.
const SILENCE: Duration = Duration::from_secs(8);

/// Our components, and the beginnings of their names in the package.
const NAMES: &[(&str, &[&str])] = &[
    ("cache", &["Cache(alias='default')", "Cache backend: default"]),
    ("celery", &["Ping(", "CeleryPingHealthCheck", "CeleryHealthCheckCelery"]),
    ("database", &["Database(", "DatabaseBackend", "DatabaseHeartBeatCheck"]),
    ("disk", &["Disk(", "DiskUsage"]),
    ("mail", &["Mail(", "MailHealthCheck"]),
    ("memory", &["Memory(", "MemoryUsage"]),
    ("migrations", &["MigrationsHealthCheck"]),
    ("rabbitmq", &["RabbitMQ(", "RabbitMQHealthCheck"]),
    ("redis", &["Redis(", "RedisHealthCheck"]),
    ("sessions", &["Cache(alias='sessions')", "Cache backend: sessions"]),
    ("storage", &["Storage(", "DefaultFileStorageHealthCheck"]),
];

#[test]
fn django_health_check_and_allswell_agree_on_every_breakage() {
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
        // A dying server may cause another failure first, such as a reset connection or a silent worker.
        shop.ours.await_report("/health?format=django", row.what, |report| {
            failing(report, VERSIONS[0]) == set(row.fails) && report.status == 500 && says(report, row)
        });
        // Before the package does, which creates a missing folder.
        for version in VERSIONS {
            let ours = shop.ours.get(&format!("/health?format={}", version.dialect));
            if (ours.status, failing(&ours, version)) != (500, set(row.fails)) || !says(&ours, row) {
                wrong.push(format!("{}: our report is {}", row.what, ours.text));
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
                wrong.push(format!("{}: version {} was expected to report {expected:?}, and reported {found:?}", row.what, version.number));
            }
        }
        if row.what == "the mail server is killed" {
            assert_eq!(commands(&shop), [Some(1); 3]);
            assert_eq!(left_in_django(&shop), [Some(1); 2]);
            assert!(scripts(&shop).iter().zip(&well).all(|(ill, well)| ill != well), "no script takes ill for well");
        }
        (row.repairs)(&mut shop);
        await_all_well(&shop);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn await_all_well(shop: &Shop) {
    shop.ours.await_report("/health", "all is well here", |report| report.header("x-health-status") == Some("pass"));
    for (server, version) in shop.originals.iter().zip(VERSIONS) {
        eventually(&format!("all is well by version {}", version.number), || {
            asked(server, "/ht/?format=json", PATIENCE).filter(|answer| answer.status == 200 && failing(answer, version).is_empty())
        });
    }
}

pub(super) fn set(names: &[&'static str]) -> BTreeSet<&'static str> {
    names.iter().copied().collect()
}

/// Our name for a name of the package.
pub(super) fn ours(name: &str) -> &'static str {
    let is = |(ours, theirs): &&(&str, &[&str])| *ours == name || theirs.iter().any(|theirs| name.starts_with(theirs));
    NAMES.iter().find(is).unwrap_or_else(|| panic!("the table has no {name}")).0
}

/// The failed components, by our names.
fn failing(report: &Response, version: Version) -> BTreeSet<&'static str> {
    let Value::Object(checks) = report.json() else { panic!("no object: {}", report.text) };
    assert!(checks.len() >= 8, "{}", report.text);
    checks.iter().filter(|(_, status)| *status != version.well).map(|(name, _)| ours(name)).collect()
}

/// Whether each failed component has the expected message.
fn says(report: &Response, row: &Breakage) -> bool {
    let json = report.json();
    row.fails.iter().all(|name| json[name].as_str().is_some_and(|message| message.to_lowercase().starts_with(&row.says.to_lowercase())))
}
