//! The fault matrix, in full, and the page that tells what came of it.

use crate::run::{cargo_with, output, root, say};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The parts of the page, in order: the file that a test leaves, its heading, what it is about, and the head of its table.
const PARTS: [(&str, &str, &str, &str); 11] = [
    (
        "1-network",
        "The network",
        "Every kind with a network, on a real server behind a cable that is cut in one way after the other.",
        FAULTS,
    ),
    (
        "2-processes",
        "Processes",
        "The servers themselves. Those of object storage live in the tests' own process and cannot be killed; for them the cable is cut, above.",
        FAULTS,
    ),
    (
        "3-minds",
        "Changes of mind",
        "What only a new connection can see is noticed with it: `max_connection_age`, 1 s here, is part of the bound.",
        FAULTS,
    ),
    ("4-names", "Names", "In a mount namespace with a file of hosts of its own.", FAULTS),
    ("5-disks", "Disks", "On file systems of the tests' own.", FAULTS),
    ("6-clock", "The clock", "By libfaketime, which moves the wall clock and leaves the monotonic one alone.", FAULTS),
    (
        "7-stopped",
        "A service that was stopped",
        "What was known before is never reported as if it were new. Detection is how long an answer takes after it.",
        FAULTS,
    ),
    (
        "7-reloads",
        "Reloads",
        "While the configuration is reloaded, a client polls without a pause, and no answer may differ from the one before.",
        FAULTS,
    ),
    (
        "8-load",
        "Load",
        "A poll every 50 ms by a client that connects anew each time, while a crowd does its worst. The backend saw not one probe more.",
        "| crowd | how often | polls answered | the slowest | resident memory |\n| --- | --- | --- | --- | --- |\n",
    ),
    (
        "9-attacks",
        "Attacks",
        "Clients misbehave, all from 127.0.0.1 where nothing else is said, and a load balancer at the same address sends a poll on a new connection \
         every 100 ms. Each poll has to be answered within a second, no verdict may change, and memory has to stay within bounds and to be given \
         back. Behind the resident memory is what it was before, subtracted. The memory limits are those of control groups, set to what \
         `deploy/kubernetes/sidecar.yaml` and `deploy/allswell.service` have.",
        "| attack | setting | polls sent | answered | slowest | peak memory | five seconds later |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    ),
    (
        "9-soak",
        "Soak",
        "Components break and are mended by chance; what was done to each is compared with what state, verdict and metrics tell of it.",
        "| what | faults | probes | held after a quarter of the time | held at the end |\n| --- | --- | --- | --- | --- |\n",
    ),
];

const FAULTS: &str = "| fault | kind | class | noticed | recovery noticed | rounds |\n| --- | --- | --- | --- | --- | --- |\n";

const HEAD: &str = "\
# Reliability

What allswell survives, as measured by `cargo xtask chaos`, which wrote this page. Its short form, every fault once, is part of the tests.

A component is probed every 200 ms (with a jitter of a tenth) and has 1.5 s to answer, a Celery worker 3 s. A fault has to be noticed within an
interval and a time limit, and so has its end: the worst of all rounds stands beside that bound, as in `1.69 s of 1.72 s`. What goes beyond it by
hundredths is the measuring poll, every 15 ms, and the probe that saw it, which takes its time, too; the tests allow four seconds for what else the
machine does. In each round every other component went on passing, and after the last one sockets, files, threads and memory were back where they
had been before the first.
";

const TAIL: &str = "\
## What is not in these tables, and why

* Object storage (`s3`, `gcs`, `azure_blob`) has servers within the tests' process, which cannot be stopped alone: only its network is broken.
  Credentials, rights, quota and read-only buckets are tested probe by probe, as every class of failure of every kind is.
* `memcached` has no credentials and no roles, and `http` and `tcp` have none of their own; rights of `celery` are its broker's. Slots of `redis` and
  `memcached` are tested probe by probe, as a client that restores them needs one itself.
* Disks break under `storage`. `sqlite` and `disk` are tested probe by probe.
* A hundred rounds are met of what is noticed; of what must not be noticed twenty; and of servers that take seconds to start, and of frozen mounts,
  ten.
";

/// Meets every fault, and writes the page.
pub(crate) fn chaos() -> Result<(), String> {
    let folder = folder();
    let _ = fs::remove_dir_all(&folder);
    let path = folder.to_str().ok_or("the path of this checkout is no text")?;
    let test = ["test", "--release", "--package", "allswell", "--test", "it", "--"];
    let meet = |more: &[&str]| cargo_with(&[&test[..], more].concat(), &[("ALLSWELL_CHAOS", path)]);
    // Who waits for time limits leaves the machine to others; who loads it has it alone.
    let ended = meet(&["chaos::network", "chaos::processes", "chaos::names", "chaos::machine", "chaos::reloads", "--test-threads=4"])
        .and(meet(&["chaos::load", "chaos::soak", "attacks::every_attack", "--test-threads=1"]));
    write()?;
    ended
}

/// Writes the page of what was measured last.
pub(crate) fn write() -> Result<(), String> {
    let page = root().join("docs/reliability.md");
    fs::write(&page, written(&folder())?).map_err(|error| format!("{}: {error}", page.display()))?;
    say(&format!("look at {}", page.display()));
    Ok(())
}

fn folder() -> PathBuf {
    root().join("target/chaos")
}

fn written(folder: &Path) -> Result<String, String> {
    let mut page = HEAD.to_owned();
    for (file, heading, about, head) in PARTS {
        let lines = fs::read_to_string(folder.join(file)).unwrap_or_else(|_| "not measured on this machine\n".to_owned());
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {heading}\n\n{about}\n\n{head}{lines}");
    }
    let _ = write!(page, "\n{TAIL}");
    let version = output(Command::new("rustc").arg("--version"))?;
    let kernel = output(Command::new("uname").args(["-sr"]))?;
    let processors = output(&mut Command::new("nproc"))?;
    let _ =
        write!(page, "\nMeasured on {} with {} processors, {}, in a release build.\n", kernel.trim(), processors.trim(), version.trim());
    Ok(page)
}
