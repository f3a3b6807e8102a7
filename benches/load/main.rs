//! The comparison of whole processes: allswell as it is released beside a control, with real backends, in turn. `cargo xtask bench` builds both
//! and runs it; it prints a table and writes what it found to the file that `ALLSWELL_BENCH_PAGE` names. Words after `--` choose parts.

mod crowd;
mod figures;
#[path = "../../tests/it/helpers.rs"]
#[expect(dead_code, reason = "it is the tests', who need more of it")]
mod helpers;
mod names;
mod polls;
mod probes;
mod scene;
#[path = "../../tests/it/servers/mod.rs"]
#[expect(dead_code, unused_imports, reason = "they are the tests', who need more of them")]
mod servers;
mod service;
mod start;
mod table;
mod wrk;

use scene::Scene;
use std::{env, fs};
use table::{Row, tell};

/// A part of the comparison.
type Part = fn(&Scene) -> Vec<Row>;

fn main() {
    let chosen: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let wants = |part: &str| chosen.is_empty() || chosen.iter().any(|word| word == part);
    let scene = Scene::start();
    let parts: [(&str, Part); 6] = [
        ("control", polls::beside_the_control),
        ("hang", polls::while_backends_hang),
        ("probes", probes::per_interval),
        ("fresh", probes::fresh),
        ("start", start::to_the_first_answer),
        ("memory", start::memory),
    ];
    let mut rows: Vec<Row> = parts.into_iter().filter(|(part, _)| wants(part)).flat_map(|(_, measure)| measure(&scene)).collect();
    // From here on the machine belongs to the crowd.
    drop(scene);
    let mut histogram = String::new();
    if wants("crowd") {
        let (more, shown) = crowd::ten_thousand();
        rows.extend(more);
        histogram = shown;
    }
    let growth = if wants("growth") { crowd::growth() } else { String::new() };
    let names = if wants("names") { names::growth() } else { String::new() };
    let lines: Vec<String> = rows.iter().map(Row::shown).collect();
    let table = format!("| figure | must reach | reached | |\n| --- | --- | --- | --- |\n{}\n", lines.join("\n"));
    let found = format!(
        "{table}\n## How cost grows\n\n{growth}\n### By name\n\n`List` and `Watch` are those of gRPC's health service, for everything, on a connection of their own.\n\n{names}\n## When ten thousand probes come\n\n{histogram}"
    );
    match env::var_os("ALLSWELL_BENCH_PAGE") {
        Some(page) => fs::write(page, found).expect("the page"),
        None => tell(&found),
    }
}
