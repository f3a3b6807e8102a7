//! Rogue servers: each requests the password by the most revealing method of its protocol, and records what clients send. They show, for every
//! kind with a login and every transport to its server, how much of the password leaves.

mod amqp;
mod case;
mod certificates;
mod elsewhere;
mod http;
mod identity;
mod lab;
mod mysql;
mod peer;
mod postgres;
mod redis;
mod warnings;

use allswell::kinds::{Kind, Registry};
use case::{COLUMNS, LeakCase, Left, Outcome};
use lab::Lab;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    thread,
};

/// The number of cases that run at the same time: they mostly wait.
const WORKERS: usize = 4;

fn cases(lab: &Lab) -> Vec<LeakCase> {
    [mysql::cases(lab), postgres::cases(lab), redis::cases(lab), amqp::cases(lab), http::cases(lab)].into_iter().flatten().collect()
}

/// The keys of each kind that hold secrets.
fn secret_keys() -> BTreeSet<(&'static str, String)> {
    let registry = Registry::builtin();
    let keys = |kind: &Kind| {
        let properties = kind.schema["properties"].as_object().cloned().unwrap_or_default();
        let name = kind.name;
        properties.into_iter().filter(|(_, schema)| holds_secret(schema)).map(move |(key, _)| (name, key)).collect::<Vec<_>>()
    };
    registry.kinds().flat_map(keys).collect()
}

fn holds_secret(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => schema["format"] == "password" || members.values().any(holds_secret),
        Value::Array(items) => items.iter().any(holds_secret),
        _ => false,
    }
}

#[test]
fn a_rogue_server_gets_a_password_only_over_a_connection_that_permits_it() {
    let lab = Lab::new();
    let cases = cases(&lab);
    let tried: BTreeSet<_> = cases.iter().map(|case| (case.kind, case.key.to_owned())).collect();
    let untried: Vec<_> = secret_keys().difference(&tried).cloned().collect();
    assert!(untried.is_empty(), "no rogue server asks for the secrets of these kinds and keys: {untried:?}");

    let queue = Mutex::new(cases.into_iter());
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = { queue.lock().expect("a lock").next() } {
                    let outcome = case.run();
                    results.lock().expect("a lock").push(outcome);
                }
            });
        }
    });
    let results = results.into_inner().expect("a lock");
    let wrong: BTreeSet<&str> = results.iter().filter_map(|result| result.wrong.as_deref()).collect();
    let found = table(&results, |result| result.left);
    let policy = table(&results, |result| result.expected);
    assert!(
        wrong.is_empty(),
        "{} of {} cases are wrong:\n{}\n\nfound\n{found}\nand not\n{policy}",
        wrong.len(),
        results.len(),
        wrong.into_iter().collect::<Vec<_>>().join("\n")
    );
    insta::assert_snapshot!("what_leaves", found);
}

/// The table of `docs/security.md`: a row per request, a column per kind of transport. Allowed means by `allow_cleartext_password`.
fn table(results: &[Outcome], left: impl Fn(&Outcome) -> Left) -> String {
    let mut rows: BTreeMap<_, BTreeMap<&str, BTreeSet<Left>>> = BTreeMap::new();
    for result in results {
        rows.entry((result.kind, result.asked)).or_default().entry(result.column).or_default().insert(left(result));
    }
    let head = format!("| kind | what is asked for | {} |\n|{}\n", COLUMNS.join(" | "), " --- |".repeat(COLUMNS.len() + 2));
    let rows = rows.iter().map(|((kind, asked), cells)| {
        let cell = |column: &&str| {
            let texts = cells.get(column).into_iter().flatten().map(ToString::to_string).collect::<Vec<_>>();
            if texts.is_empty() { "–".to_owned() } else { texts.join(" or ") }
        };
        format!("| {kind} | {asked} | {} |\n", COLUMNS.iter().map(cell).collect::<Vec<_>>().join(" | "))
    });
    [head].into_iter().chain(rows).collect()
}
