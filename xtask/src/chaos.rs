//! Runs the fault matrix in full, and writes `docs/reliability.md` from its results.

use crate::run::{cargo_with, output, root, say};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The parts of the page, in order: the file that a test writes, the heading, the introduction, and the head of the table.
const PARTS: [(&str, &str, &str, &str); 11] = [
    (
        "1-network",
        "The network",
        "Every kind with a network probes a real server through a proxy, which breaks the connection in different ways, one after the other.",
        FAULTS,
    ),
    (
        "2-processes",
        "Processes",
        "The servers themselves are stopped. Those of object storage live in the process of the tests and cannot be killed; for them, only the network \
         is broken, above.",
        FAULTS,
    ),
    (
        "3-minds",
        "Changes on the server",
        "Some changes are visible only to a new connection, so `max_connection_age`, 1 s here, is part of the bound.",
        FAULTS,
    ),
    ("4-names", "Names", "allswell runs in a mount namespace with its own `/etc/hosts`.", FAULTS),
    ("5-disks", "Disks", "The tests mount their own file systems.", FAULTS),
    ("6-clock", "The clock", "libfaketime moves the wall clock and leaves the monotonic clock alone.", FAULTS),
    (
        "7-stopped",
        "A stopped service",
        "allswell itself is stopped and continued. It must not report older results as current. The column *noticed* is the time from its continuation \
         to the first response.",
        FAULTS,
    ),
    (
        "7-reloads",
        "Reloads",
        "A client polls without a pause while the configuration is reloaded. No response may differ from the one before.",
        FAULTS,
    ),
    (
        "8-load",
        "Load",
        "A client opens a new connection every 50 ms and polls, while a crowd of other clients misbehaves. The backend received no additional probe.",
        "| crowd | operations | polls answered | slowest | resident memory |\n| --- | --- | --- | --- | --- |\n",
    ),
    (
        "9-attacks",
        "Attacks",
        "Clients misbehave, from 127.0.0.1 unless the table names other addresses, and a load balancer at the same address sends a poll on a new \
         connection every 100 ms. Each poll must be answered within a second, no verdict may change, and memory must stay within bounds and be \
         returned. The value in parentheses is the increase over the resident memory before the attack. The memory limits are limits of control \
         groups, with the values from `deploy/kubernetes/sidecar.yaml` and `deploy/allswell.service`.",
        "| attack | setting | polls sent | answered | slowest | peak memory | five seconds later |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    ),
    (
        "9-soak",
        "Soak",
        "Components break and recover at random. The test compares the state into which it put each component with the reported status, the verdict \
         and the metrics.",
        "| run | faults | probes | resources after a quarter of the time | resources at the end |\n| --- | --- | --- | --- | --- |\n",
    ),
];

const FAULTS: &str = "| fault | kind | class | noticed | recovery noticed | rounds |\n| --- | --- | --- | --- | --- | --- |\n";

const HEAD: &str = "\
# Reliability

This page shows which faults allswell survives. `cargo xtask chaos` measured them and wrote the page. `cargo xtask test` runs a short form, every
fault once.

A component is probed every 200 ms (jitter 10 %), with a timeout of 1.5 s; for a Celery worker the timeout is 3 s. A fault and its end must each be
noticed within an interval and a timeout. The tables show the worst of all rounds and that bound, as in `1.69 s of 1.72 s`. Measured times can exceed
the bound by some hundredths of a second, because they include the measuring poll, every 15 ms, and the duration of the probe that noticed the change.
The tests allow four more seconds, because other programs may load the machine. In each round, every other component kept passing. After the last
round, the numbers of sockets, files and threads and the memory were back at the values from before the first.
";

const TAIL: &str = "\
## What is not in these tables, and why

* The servers of object storage (`s3`, `gcs`, `azure_blob`) run in the process of the tests and cannot be stopped alone, so only their network is
  broken. Tests of single probes cover credentials, rights, quota and read-only buckets, as they cover every class of failure of every kind.
* `memcached` has no credentials and no roles, `http` and `tcp` have none of their own, and the rights of `celery` are those of its broker. Tests of
  single probes cover the connection slots of `redis` and `memcached`, because a client that restores them needs a slot itself.
* Disk faults are tested with `storage`. Tests of single probes cover `sqlite` and `disk`.
* Few files, threads or processors, one address family, missing folders and PID 1 are no faults that come and go: [Small machines and
  containers](operating.md#small-machines-and-containers) lists them.
* Faults that must be noticed run a hundred rounds, faults that must not be noticed twenty. Servers that take seconds to start, and frozen mounts, run
  ten.
";

/// Causes every fault, and writes the page, even if a test failed.
pub(crate) fn chaos() -> Result<(), String> {
    let folder = folder();
    let _ = fs::remove_dir_all(&folder);
    let path = folder.to_str().ok_or("the path of this checkout is not valid UTF-8: move the checkout")?;
    let test = ["test", "--release", "--package", "allswell", "--test", "it", "--"];
    let run = |more: &[&str]| cargo_with(&[&test[..], more].concat(), &[("ALLSWELL_CHAOS", path)]);
    // Tests that mostly wait for timeouts run in parallel; tests that load the machine run alone.
    let result = run(&["chaos::network", "chaos::processes", "chaos::names", "chaos::machine", "chaos::reloads", "--test-threads=4"])
        .and(run(&["chaos::load", "chaos::soak", "attacks::every_attack", "--test-threads=1"]));
    write()?;
    result
}

/// Writes the page from the last measurement.
pub(crate) fn write() -> Result<(), String> {
    let page = root().join("docs/reliability.md");
    fs::write(&page, page_text(&folder())?).map_err(|error| format!("{}: {error}", page.display()))?;
    say(&format!("wrote {}", page.display()));
    Ok(())
}

fn folder() -> PathBuf {
    root().join("target/chaos")
}

/// The text of the page, from the files that the tests wrote.
fn page_text(folder: &Path) -> Result<String, String> {
    let mut page = HEAD.to_owned();
    for (file, heading, introduction, head) in PARTS {
        let lines = fs::read_to_string(folder.join(file)).unwrap_or_else(|_| "not measured on this machine\n".to_owned());
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {heading}\n\n{introduction}\n\n{head}{lines}");
    }
    let _ = write!(page, "\n{TAIL}");
    let version = output(Command::new("rustc").arg("--version"))?;
    let kernel = output(Command::new("uname").args(["-sr"]))?;
    let processors = output(&mut Command::new("nproc"))?;
    let _ =
        write!(page, "\nMeasured on {} with {} processors, {}, in a release build.\n", kernel.trim(), processors.trim(), version.trim());
    Ok(page)
}
