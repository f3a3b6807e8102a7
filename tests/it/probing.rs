//! Tests of a single check: built from a table of the configuration, probed, and dropped at every await.

use crate::helpers::{PATIENCE, eventually};
use allswell::{
    Aggregator,
    component::Component,
    config::{Environment, Sources, load},
    engine::{Builder, OnDemand},
    kinds::Registry,
};
use allswell_checks::contract::{Check, Failure, Observation};
use serde_json::Value;
use std::{
    fs,
    future::poll_fn,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, time::timeout};

/// The time by which a failure may exceed its timeout on a busy machine.
const NOISE: Duration = Duration::from_secs(10);

/// A check, and a runtime to probe it on.
pub(crate) struct Probed {
    pub(crate) runtime: Runtime,
    pub(crate) check: Arc<dyn Check>,
}

impl Probed {
    /// Builds the check of a table without its header.
    pub(crate) fn new(table: &str) -> Self {
        let mut components = components(table);
        let check = components.pop().expect("a component").check;
        Self { runtime: Runtime::new().expect("a runtime"), check }
    }

    /// Probes once, without a timeout except [`PATIENCE`].
    pub(crate) fn probe(&self) -> Result<Observation, Failure> {
        self.runtime.block_on(async { timeout(PATIENCE, self.check.probe()).await.expect("a result") })
    }

    /// Probes once; it must pass.
    pub(crate) fn pass(&self) -> Observation {
        self.probe().unwrap_or_else(|failure| panic!("{failure}: {:?}", failure.cause()))
    }

    /// Probes once; it must fail.
    pub(crate) fn fail(&self) -> Failure {
        self.probe().expect_err("a failure")
    }

    /// An observed value of a probe that passes.
    pub(crate) fn observed(&self, name: &str) -> Value {
        self.pass().values().get(name).cloned().unwrap_or_default()
    }

    /// Probes a number of times; each probe must pass.
    pub(crate) fn passes(&self, times: usize) {
        for _ in 0..times {
            self.pass();
        }
    }

    /// Drops probes at their first await, at their second, and so on, until they end: without a kept connection, or with one if `warm`. After
    /// many awaits it leaves some out: a driver that derives a key yields hundreds of times.
    ///
    /// If the thread is preempted between sending and reading, the reply is there already: the probe does not wait, and ends early. So all is
    /// repeated until probes were dropped at `at_least` awaits.
    pub(crate) fn drop_at_every_await(&self, warm: bool, at_least: usize) {
        eventually("probes were dropped at each of their awaits", || (self.drop_until_they_end(warm) >= at_least).then_some(()));
    }

    /// Returns the number of awaits at which it dropped a probe.
    fn drop_until_they_end(&self, warm: bool) -> usize {
        let (mut dropped, mut polls, mut ended) = (0, 1, 0);
        while ended < 3 {
            if warm {
                self.pass();
            }
            if self.runtime.block_on(self.drop_after(polls)) {
                ended += 1;
            } else {
                (dropped, ended) = (dropped + 1, 0);
                polls += 1 + polls / 20;
            }
        }
        dropped
    }

    /// Polls a probe a number of times and drops it. Returns whether it ended before.
    async fn drop_after(&self, polls: usize) -> bool {
        let (mut probe, mut left) = (self.check.probe(), polls);
        poll_fn(|context| {
            left -= 1;
            match probe.as_mut().poll(context) {
                Poll::Ready(_) => Poll::Ready(true),
                Poll::Pending if left == 0 => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

fn components(table: &str) -> Vec<Component> {
    loaded(table).unwrap_or_else(|error| panic!("{error}\n{table}"))
}

/// The component of a table without its header, or the problems of the configuration.
pub(crate) fn loaded(table: &str) -> Result<Vec<Component>, String> {
    loaded_from(&format!("[checks.probed]\n{table}\n"))
}

/// The components of a configuration, or its problems.
pub(crate) fn loaded_from(configuration: &str) -> Result<Vec<Component>, String> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), configuration).expect("a configuration");
    let names = configuration.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    let environment = Environment::new(names.map(|name| (name.to_owned(), "x".to_owned())));
    let sources = Sources { files: vec![file.path().to_owned()], environment, ..Sources::default() };
    load(&sources, &Registry::builtin()).map(|loaded| loaded.components).map_err(|error| error.to_string())
}

/// An engine with one component, `probed`, of a table without its header.
pub(crate) fn on_demand(table: &str) -> OnDemand {
    components(table).into_iter().fold(Aggregator::builder(), Builder::component).build()
}

/// A check that must fail with a class and a message, within the `timeout` of its table or 20 s.
pub(crate) struct Case {
    pub(crate) what: &'static str,
    pub(crate) table: String,
    pub(crate) class: &'static str,
    pub(crate) message: &'static str,
}

impl Case {
    pub(crate) fn new(what: &'static str, table: impl Into<String>, class: &'static str, message: &'static str) -> Self {
        Self { what, table: table.into(), class, message }
    }
}

/// Probes all cases at the same time, each with its own engine, and compares class and message.
pub(crate) fn assert_failures(cases: &[Case]) {
    let runtime = Runtime::new().expect("a runtime");
    let probes: Vec<_> = cases
        .iter()
        .map(|case| {
            let own_limit = case.table.lines().any(|line| line.starts_with("timeout"));
            let mut probed = on_demand(&if own_limit { case.table.clone() } else { format!("timeout = \"20s\"\n{}", case.table) });
            let limit = if own_limit { NOISE } else { Duration::from_secs(20) };
            runtime.spawn(async move {
                let start = Instant::now();
                let report = probed.probe_all(|_, _| {}).await;
                let failure = report.components["probed"].failure.as_ref();
                (failure.map(|failure| (failure.class.to_string(), failure.message.to_string())), start.elapsed() < limit)
            })
        })
        .collect();
    let mut wrong = Vec::new();
    for (case, probe) in cases.iter().zip(probes) {
        let (found, in_time) = runtime.block_on(probe).expect("no panic");
        let expected = Some((case.class.to_owned(), case.message.to_owned()));
        if found != expected || !in_time {
            wrong.push(format!("{}: expected {expected:?}, found {found:?}, in time: {in_time}", case.what));
        }
    }
    runtime.shutdown_background();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
