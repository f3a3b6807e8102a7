//! `allswell wait`: a gate before a start, for what needs its databases to be there first.

use super::{DONE, NOT_WELL, USAGE, begun, builder, by_hand, complain, duration};
use crate::{
    component::{CheckName, Component},
    config::Sources,
    engine::Aggregator,
    kinds::Registry,
    report::ComponentReport,
};
use allswell_checks::contract::TimeSpan;
use clap::Args;
use std::{collections::BTreeMap, ffi::OsString, io, os::unix::process::CommandExt, process::Command, time::Duration};
use tokio::{
    runtime,
    time::{sleep, timeout},
};

/// The arguments of `wait`.
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// These components [default: every critical one]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// How long to wait, such as 30s or 5m
    #[arg(long = "for", value_name = "D", default_value = "1m", value_parser = duration)]
    limit: Duration,
    /// What to run when all is well, in place of this process
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Reports are looked at no more often than this.
const PACE: Duration = Duration::from_millis(20);

/// During a wait, nothing is probed more seldom than this.
const INTERVAL: Duration = Duration::from_secs(1);

/// What shells answer for a program that is not there, and for one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;

impl Wait {
    pub(super) fn run(self, sources: &Sources, registry: &Registry) -> u8 {
        let (mut configured, log) = match by_hand(sources, registry, &self.names) {
            Ok(begun) => begun,
            Err(code) => return code,
        };
        if let Some(muted) =
            configured.components.iter().find(|one| !one.policy.enabled && self.names.iter().any(|name| name == one.name.as_str()))
        {
            complain(&format!(
                "error: `{}` is never probed, since `enabled` is false: nothing would ever tell that it is well",
                muted.name
            ));
            return USAGE;
        }
        configured.components.retain(|component| component.policy.enabled && (component.policy.critical || !self.names.is_empty()));
        configured.components.iter_mut().for_each(impatient);
        if configured.components.is_empty() {
            complain("warning: no critical check is configured, so there is nothing to wait for");
        }
        // Groups may name components that nobody waits for.
        configured.groups.clear();
        let runtime = match begun(runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()) {
            Ok(runtime) => runtime,
            Err(code) => return code,
        };
        let aggregator = builder(&configured).start_on(runtime.handle());
        let well = runtime.block_on(async { timeout(self.limit, all_well(&aggregator)).await.is_ok() });
        let missing: Vec<String> = awaited(&aggregator).into_keys().map(|name| name.to_string()).collect();
        drop(aggregator);
        runtime.shutdown_background();
        drop(log);
        if !well {
            complain(&format!("error: not well within {}: {}", TimeSpan(self.limit), missing.join(", ")));
            return NOT_WELL;
        }
        match self.command.split_first() {
            Some((program, arguments)) => become_command(program, arguments),
            None => DONE,
        }
    }
}

/// What counts now is the present alone.
fn impatient(component: &mut Component) {
    let policy = &mut component.policy;
    policy.interval = policy.interval.min(INTERVAL);
    (policy.fall, policy.rise, policy.hold) = (1, 1, Duration::ZERO);
}

/// Components that do not pass yet.
fn awaited(aggregator: &Aggregator) -> BTreeMap<CheckName, ComponentReport> {
    let report = aggregator.report();
    report.components.iter().filter(|(_, one)| !one.status.is_good()).map(|(name, one)| (name.clone(), one.clone())).collect()
}

/// Done when nothing is waited for any more; says for what, and why, whenever that changes.
async fn all_well(aggregator: &Aggregator) {
    let mut changes = aggregator.changes();
    let mut told = BTreeMap::new();
    loop {
        let awaited = awaited(aggregator);
        if awaited.is_empty() {
            return;
        }
        for (name, report) in awaited {
            // The first probe may be about to answer.
            let Some(failure) = report.failure.as_ref().filter(|_| !report.is_awaited()) else { continue };
            let why = (failure.class, failure.message.clone());
            if told.get(&name) != Some(&why) {
                let cause = failure.cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
                complain(&format!("waiting for {name}: {}: {}{cause}", failure.class, failure.message));
                told.insert(name, why);
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
        // With very many checks there is a result in every moment.
        sleep(PACE).await;
    }
}

/// Replaces this process: signals and the exit code are the command's own. Returns only when that fails.
fn become_command(program: &OsString, arguments: &[OsString]) -> u8 {
    let error = Command::new(program).args(arguments).exec();
    complain(&format!("error: cannot run {}: {error}", program.to_string_lossy()));
    if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE }
}
