//! Compares whole processes: the released binary of allswell and a control, loaded in turn, with real backends. `cargo xtask bench` builds both and
//! runs this. It prints a table, and writes the results to the file that `ALLSWELL_BENCH_PAGE` names. Arguments after `--` choose parts.

mod backends;
mod crowd;
mod figures;
#[path = "../../tests/it/helpers.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod helpers;
mod names;
mod polls;
mod probes;
#[path = "../../tests/it/servers/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
mod servers;
mod service;
mod start;
mod table;
mod wrk;

use backends::Backends;
use std::{env, fs};
use table::{Row, print_line};

/// Measures a part of the comparison.
type Part = fn(&Backends) -> Vec<Row>;

fn main() {
    let chosen: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let is_chosen = |part: &str| chosen.is_empty() || chosen.iter().any(|word| word == part);
    let backends = Backends::start();
    let parts: [(&str, Part); 6] = [
        ("control", polls::compare_with_control),
        ("hang", polls::latency_while_backends_hang),
        ("probes", probes::probes_per_interval),
        ("fresh", probes::fresh),
        ("start", start::start_up),
        ("memory", start::memory),
    ];
    let mut rows: Vec<Row> = parts.into_iter().filter(|(part, _)| is_chosen(part)).flat_map(|(_, measure)| measure(&backends)).collect();
    // The remaining parts have the machine for themselves.
    drop(backends);
    let mut histogram = String::new();
    if is_chosen("crowd") {
        let (more, text) = crowd::measure_ten_thousand();
        rows.extend(more);
        histogram = text;
    }
    let growth = if is_chosen("growth") { crowd::growth() } else { String::new() };
    let names = if is_chosen("names") { names::growth() } else { String::new() };
    let lines: Vec<String> = rows.iter().map(Row::to_markdown).collect();
    let table = format!("| figure | requirement | measured | met |\n| --- | --- | --- | --- |\n{}\n", lines.join("\n"));
    let results = format!(
        "{table}\n## How cost grows\n\n{growth}\n### By name\n\n`List` and `Watch` are calls of gRPC's health service for all components, each on its own connection. If a figure of `List` is\nmuch larger than the smallest one, the client delayed a TCP acknowledgement.\n\n{names}\n## How ten thousand probes are spread\n\n{histogram}"
    );
    match env::var_os("ALLSWELL_BENCH_PAGE") {
        Some(page) => fs::write(page, results).expect("the page"),
        None => print_line(&results),
    }
}
