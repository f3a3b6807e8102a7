//! Builds and runs the comparison of whole processes (`benches/load`), and writes `docs/performance.md` from its results.

use crate::{
    run::{cargo_with, output, root, say},
    servers, venvs,
};
use std::{fs, path::PathBuf, process::Command};

const HEAD: &str = include_str!("bench/head.md");
const TAIL: &str = include_str!("bench/tail.md");

/// django-health-check and the packages to serve it as its documentation says: the start-up time is compared with it.
const REFERENCE: &[&str] =
    &["django==5.2.*", "django-health-check[rabbitmq,redis]==4.*", "gunicorn==23.*", "psycopg[binary]==3.*", "pymemcache==4.*"];

/// Builds allswell and the control, compares them, and writes the page. With names of parts it measures only these, and writes nothing.
pub(crate) fn bench(parts: &[&str]) -> Result<(), String> {
    servers::install_for_benchmarks()?;
    venvs::python("bench", REFERENCE)?;
    let text = |path: PathBuf| path.to_str().map(str::to_owned).ok_or("the path of this checkout is not valid UTF-8: move the checkout");
    // Not `target/dist`, which is the folder of releases.
    let target = root().join("target/bench");
    let folder = text(target.clone())?;
    // In the profile of published binaries. Each in a build of its own: one build would unify the features of shared dependencies.
    let build = |package: &str, more: &[&str]| {
        let build = ["build", "--profile", "dist", "--locked", "--package", package, "--bins"];
        cargo_with(&[&build[..], more].concat(), &[("CARGO_TARGET_DIR", &folder)])
    };
    build("allswell", &[])?;
    // The control is optimised for speed throughout, although parts of allswell are optimised for size.
    build("control", &["--config", "profile.release.package.'*'.opt-level=3"])?;
    let (product, control, page) = (text(target.join("dist/allswell"))?, text(target.join("dist/control"))?, text(results_file())?);
    let mut variables = vec![("ALLSWELL_BENCH_PRODUCT", &*product), ("ALLSWELL_BENCH_CONTROL", &*control)];
    if parts.is_empty() {
        variables.push(("ALLSWELL_BENCH_PAGE", &*page));
    }
    // The measuring program needs no optimisation, and the tests build it in this profile anyway.
    let run = ["bench", "--profile", "dev", "--locked", "--package", "allswell", "--bench", "load", "--"];
    cargo_with(&[&run[..], parts].concat(), &variables)?;
    if parts.is_empty() { write() } else { Ok(()) }
}

/// The results of the last measurement.
fn results_file() -> PathBuf {
    root().join("target/bench.md")
}

/// Writes the page from the last measurement.
pub(crate) fn write() -> Result<(), String> {
    let results = results_file();
    let table = fs::read_to_string(&results).map_err(|error| format!("{}: {error}: run `cargo xtask bench` first", results.display()))?;
    let page = root().join("docs/performance.md");
    fs::write(&page, format!("{HEAD}\n{table}\n{TAIL}\n{}", machine()?)).map_err(|error| format!("{}: {error}", page.display()))?;
    say(&format!("wrote {}", page.display()));
    Ok(())
}

/// A section with the machine and the versions of the programs that took part in the measurement.
fn machine() -> Result<String, String> {
    let printed_by = |program: &str, arguments: &[&str]| output(Command::new(program).args(arguments)).map(|text| text.trim().to_owned());
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("unknown").to_owned();
    let rows = [
        ("processor", format!("{model}, {} of them", printed_by("nproc", &[])?)),
        ("kernel", printed_by("uname", &["-sr"])?),
        ("compiler", printed_by("rustc", &["--version"])?),
        (
            "packages",
            printed_by(
                "dpkg-query",
                &["--show", "--showformat", "${Package} ${Version}, ", "wrk", "redis-server", "postgresql", "rabbitmq-server", "memcached"],
            )?,
        ),
    ];
    let lines = rows.map(|(name, value)| format!("| {name} | {} |\n", value.trim_end_matches([',', ' '])));
    Ok(format!("## The machine\n\n| | |\n| --- | --- |\n{}", lines.concat()))
}
