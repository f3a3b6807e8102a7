//! A service with two components: `subject` meets the faults, and `witness` must go on passing.

use super::{INTERVAL, NOISE, TIMEOUT, rounds, table::Measurement};
use crate::helpers::{Allswell, eventually};
use serde_json::Value;
use std::{
    fmt, fs, thread,
    time::{Duration, Instant},
};

pub(super) struct Trial {
    pub(super) service: Allswell,
    subject: String,
    timeout: Duration,
    before: Option<Resources>,
    /// How often a fault is tried.
    pub(super) rounds: u32,
}

/// The expected effect of a fault.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    /// The component fails with one of these classes.
    Fails(&'static [&'static str]),
    /// The component goes on passing.
    Passes,
}

/// The resources of a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resources {
    descriptors: usize,
    threads: usize,
    resident_kib: usize,
}

impl Resources {
    pub(super) fn by(pid: u32) -> Self {
        let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok());
        Self { descriptors: count("fd"), threads: count("task"), resident_kib: resident.unwrap_or_default() }
    }

    pub(super) const fn mebibytes(self) -> usize {
        self.resident_kib / 1024
    }

    /// Whether descriptors and threads are back at a level. Memory is ignored: the allocator keeps some.
    pub(super) fn gave_back(self, level: Self) -> bool {
        self.descriptors <= level.descriptors + 4 && self.threads <= level.threads + 3
    }

    /// Whether all resources are back at a level, except those of a running probe and what the allocator keeps.
    pub(super) fn is_back_at(self, level: Self) -> bool {
        self.gave_back(level) && self.resident_kib <= level.resident_kib + 12 * 1024
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} descriptors, {} threads, {} MiB", self.descriptors, self.threads, self.mebibytes())
    }
}

impl Trial {
    /// Starts a service with a component of this table.
    pub(super) fn new(subject: &str, table: &str, timeout: Option<Duration>) -> Self {
        Self::of(Allswell::start(&Self::configuration(table, timeout)), subject, timeout)
    }

    pub(super) fn configuration(table: &str, timeout: Option<Duration>) -> String {
        format!(
            "[server]\ntoken = \"sesame\"\n[defaults]\ninterval = \"{INTERVAL:?}\"\ntimeout = \"{:?}\"\n[checks.subject]\n{table}\n[checks.witness]\nkind = \"memory\"\n",
            timeout.unwrap_or(TIMEOUT)
        )
    }

    pub(super) fn of(service: Allswell, subject: &str, timeout: Option<Duration>) -> Self {
        Self { service, subject: subject.to_owned(), timeout: timeout.unwrap_or(TIMEOUT), before: None, rounds: rounds() }
    }

    /// Causes and removes a fault `rounds` times, and returns the measured times. Each must be within its bound plus [`NOISE`], since the machine
    /// has other work.
    pub(super) fn meets(
        &mut self,
        fault: &'static str,
        expected: Expected,
        mut break_it: impl FnMut(),
        mut repair: impl FnMut(),
    ) -> Measurement {
        self.meets_within(fault, expected, Duration::ZERO, &mut break_it, &mut repair)
    }

    /// The same for a fault that only a new connection can see: the maximum age of a connection is added to the bounds.
    pub(super) fn meets_within(
        &mut self,
        fault: &'static str,
        expected: Expected,
        longer: Duration,
        break_it: &mut dyn FnMut(),
        repair: &mut dyn FnMut(),
    ) -> Measurement {
        let bound = INTERVAL.mul_f64(1.1) + self.timeout;
        let mut row = Measurement {
            fault,
            subject: self.subject.clone(),
            class: None,
            detected: Duration::ZERO,
            detection_bound: bound + longer,
            recovered: Duration::ZERO,
            recovery_bound: bound,
            rounds: self.rounds,
        };
        if matches!(expected, Expected::Passes) {
            // No effect is expected, so that one round is enough.
            row.rounds = row.rounds.min(20);
        }
        self.await_subject(fault, |subject| subject["status"] == "pass");
        let before = *self.before.get_or_insert_with(|| Resources::by(self.service.pid()));
        for _ in 0..row.rounds {
            let broken = Instant::now();
            break_it();
            // The order to the server may return after the effect was detected, on a busy machine.
            let ordering = broken.elapsed();
            match expected {
                Expected::Fails(classes) => {
                    let failing = self.await_subject(fault, |subject| subject["status"] == "fail");
                    let detected = broken.elapsed();
                    row.detected = row.detected.max(detected);
                    let bound = row.detection_bound + ordering + NOISE;
                    assert!(detected < bound, "{fault}: {}: noticed too late: {row:?}", self.subject);
                    let class = failing["failure"]["class"].as_str().unwrap_or_default().to_owned();
                    assert!(classes.contains(&class.as_str()), "{fault}: {}: {failing}", self.subject);
                    row.class = Some(class);
                }
                Expected::Passes => {
                    while broken.elapsed() < bound * 2 {
                        let subject = self.subject();
                        assert_eq!(subject["status"], "pass", "{fault}: {}: {subject}", self.subject);
                        thread::sleep(INTERVAL / 4);
                    }
                }
            }
            repair();
            let repaired = Instant::now();
            self.await_subject(fault, |subject| subject["status"] == "pass");
            row.recovered = row.recovered.max(repaired.elapsed());
        }
        assert!(row.recovered < row.recovery_bound + NOISE, "{fault}: {}: recovery is noticed too late: {row:?}", self.subject);
        let after = eventually(&format!("{fault}: {}: all is given back, from {before:?}", self.subject), || {
            let now = Resources::by(self.service.pid());
            now.is_back_at(before).then_some(now)
        });
        assert!(after.descriptors > 0, "the service runs");
        row
    }

    fn subject(&self) -> Value {
        let report = self.service.get("/health").json();
        assert_eq!(report["components"]["witness"]["status"], "pass", "the witness passes: {report}");
        report["components"]["subject"].clone()
    }

    fn await_subject(&self, fault: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            last = self.subject();
            if is(&last) {
                return last;
            }
            thread::sleep(Duration::from_millis(15));
        }
        panic!("{fault}: {}: timed out; the last status was {last}, and the log\n{}", self.subject, self.service.log());
    }
}
