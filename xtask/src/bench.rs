//! The comparison of whole processes, and the page that tells what came of it.

use crate::{
    run::{cargo_with, output, root, say},
    servers, venvs,
};
use std::{fs, path::PathBuf, process::Command};

const HEAD: &str = include_str!("bench/head.md");
const TAIL: &str = include_str!("bench/tail.md");

/// Who tells how long others take to start, served as its documentation has it.
const REFERENCE: &[&str] =
    &["django==5.2.*", "django-health-check[rabbitmq,redis]==4.*", "gunicorn==23.*", "psycopg[binary]==3.*", "pymemcache==4.*"];

/// Builds what is compared, compares it, and writes the page. With names of parts it measures only these, and writes nothing.
pub(crate) fn bench(parts: &[&str]) -> Result<(), String> {
    servers::install_for_benchmarks()?;
    venvs::python("bench", REFERENCE)?;
    let text = |path: PathBuf| path.to_str().map(str::to_owned).ok_or("the path of this checkout is no text");
    // Beside `target/dist`, which is where releases are put together.
    let target = root().join("target/bench");
    let folder = text(target.clone())?;
    // As it is published. Each by itself: built together, they would share the features of what both use.
    let build = |package: &str, more: &[&str]| {
        let build = ["build", "--profile", "dist", "--locked", "--package", package, "--bins"];
        cargo_with(&[&build[..], more].concat(), &[("CARGO_TARGET_DIR", &folder)])
    };
    build("allswell", &[])?;
    // For speed alone, whatever is saved in ours.
    build("control", &["--config", "profile.release.package.'*'.opt-level=3"])?;
    let (product, control, page) = (text(target.join("dist/allswell"))?, text(target.join("dist/control"))?, text(found())?);
    let mut variables = vec![("ALLSWELL_BENCH_PRODUCT", &*product), ("ALLSWELL_BENCH_CONTROL", &*control)];
    if parts.is_empty() {
        variables.push(("ALLSWELL_BENCH_PAGE", &*page));
    }
    // What does the measuring needs no optimisation, and is built for the tests anyway.
    let run = ["bench", "--profile", "dev", "--locked", "--package", "allswell", "--bench", "load", "--"];
    cargo_with(&[&run[..], parts].concat(), &variables)?;
    if parts.is_empty() { write() } else { Ok(()) }
}

/// What was measured last.
fn found() -> PathBuf {
    root().join("target/bench.md")
}

/// Writes the page of what was measured last.
pub(crate) fn write() -> Result<(), String> {
    let found = found();
    let table = fs::read_to_string(&found).map_err(|error| format!("{}: {error}; `cargo xtask bench` measures", found.display()))?;
    let page = root().join("docs/performance.md");
    fs::write(&page, format!("{HEAD}\n{table}\n{TAIL}\n{}", machine()?)).map_err(|error| format!("{}: {error}", page.display()))?;
    say(&format!("look at {}", page.display()));
    Ok(())
}

/// What was measured with what, and on what.
fn machine() -> Result<String, String> {
    let of = |program: &str, arguments: &[&str]| output(Command::new(program).args(arguments)).map(|said| said.trim().to_owned());
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("unknown").to_owned();
    let rows = [
        ("processor", format!("{model}, {} of them", of("nproc", &[])?)),
        ("kernel", of("uname", &["-sr"])?),
        ("compiler", of("rustc", &["--version"])?),
        (
            "packages",
            of(
                "dpkg-query",
                &["--show", "--showformat", "${Package} ${Version}, ", "wrk", "redis-server", "postgresql", "rabbitmq-server", "memcached"],
            )?,
        ),
    ];
    let lines = rows.map(|(what, value)| format!("| {what} | {} |\n", value.trim_end_matches([',', ' '])));
    Ok(format!("## The machine\n\n| | |\n| --- | --- |\n{}", lines.concat()))
}
