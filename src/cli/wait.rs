//! `allswell wait`: delays the start of a program until the backends that it needs are there.

use super::{
    duration::duration,
    error::CommandError,
    exit::Exit,
    probing::{prepare, runtime},
    terminal::{print_error, print_warning},
};
use crate::{
    component::{CheckName, Component},
    config::Sources,
    engine::Aggregator,
    kinds::Registry,
    report::ComponentReport,
    service::aggregator_builder,
};
use allswell_checks::contract::TimeSpan;
use clap::Args;
use std::{collections::BTreeMap, ffi::OsString, io, os::unix::process::CommandExt, process::Command, time::Duration};
use tokio::time::{sleep, timeout};

/// The arguments of `wait`.
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// Components to wait for [default: every critical one]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Give up after this time, such as 30s or 5m
    #[arg(long = "for", value_name = "D", default_value = "1m", value_parser = duration)]
    limit: Duration,
    /// Command to run in place of this process as soon as the components pass
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// The minimum time between two looks at the report: with very many checks, results arrive all the time.
const MIN_REPORT_INTERVAL: Duration = Duration::from_millis(20);

/// The longest interval between probes during a wait.
const MAX_PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// The exit codes of shells for a program that does not exist, and for one that cannot be executed.
const NOT_FOUND: Exit = Exit::Code(127);
const NOT_EXECUTABLE: Exit = Exit::Code(126);

impl Wait {
    pub(super) fn run(self, sources: &Sources, registry: &Registry) -> Result<Exit, CommandError> {
        let (mut configured, log) = prepare(sources, registry, &self.names)?;
        let is_named = |component: &Component| self.names.iter().any(|name| name == component.name.as_str());
        if let Some(muted) = configured.components.iter().find(|component| !component.policy.enabled && is_named(component)) {
            let message = format!("`{}` would never pass: it is not probed, since `enabled` is false", muted.name);
            return Err(CommandError::Usage(message));
        }
        configured.components.retain(|component| component.policy.enabled && (component.policy.critical || !self.names.is_empty()));
        configured.components.iter_mut().for_each(react_at_once);
        if configured.components.is_empty() {
            print_warning("no critical check is configured, so there is nothing to wait for");
        }
        // Groups may name components that were left out above.
        configured.groups.clear();
        let runtime = runtime()?;
        let aggregator = aggregator_builder(&configured).start_on(runtime.handle());
        let all_pass = runtime.block_on(async { timeout(self.limit, wait_until_all_pass(&aggregator)).await.is_ok() });
        let missing: Vec<String> = not_passing(&aggregator).into_keys().map(|name| name.to_string()).collect();
        drop(aggregator);
        runtime.shutdown_background();
        drop(log);
        if !all_pass {
            return Err(CommandError::NotWell(format!("not well within {}: {}", TimeSpan(self.limit), missing.join(", "))));
        }
        Ok(match self.command.split_first() {
            Some((program, arguments)) => become_command(program, arguments),
            None => Exit::Done,
        })
    }
}

/// Makes a component probe often and report every result as it is: only the present counts here.
fn react_at_once(component: &mut Component) {
    let policy = &mut component.policy;
    policy.interval = policy.interval.min(MAX_PROBE_INTERVAL);
    (policy.fall, policy.rise, policy.hold) = (1, 1, Duration::ZERO);
}

/// The components that do not pass yet.
fn not_passing(aggregator: &Aggregator) -> BTreeMap<CheckName, ComponentReport> {
    let report = aggregator.report();
    report.components.iter().filter(|(_, one)| !one.status.is_good()).map(|(name, one)| (name.clone(), one.clone())).collect()
}

/// Returns as soon as every component passes. Until then, prints each component that does not and why, whenever that changes.
async fn wait_until_all_pass(aggregator: &Aggregator) {
    let mut changes = aggregator.changes();
    let mut printed = BTreeMap::new();
    loop {
        let missing = not_passing(aggregator);
        if missing.is_empty() {
            return;
        }
        for (name, report) in missing {
            // A component whose first probe is still running is not worth a line.
            let Some(failure) = report.failure.as_ref().filter(|_| !report.is_awaited()) else { continue };
            let reason = (failure.class, failure.message.clone());
            if printed.get(&name) != Some(&reason) {
                let cause = failure.cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
                print_error(&format!("waiting for {name}: {}: {}{cause}", failure.class, failure.message));
                printed.insert(name, reason);
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
        sleep(MIN_REPORT_INTERVAL).await;
    }
}

/// Replaces this process with the command, which thereby receives the signals and sets the exit code. Returns only if that fails.
fn become_command(program: &OsString, arguments: &[OsString]) -> Exit {
    let error = Command::new(program).args(arguments).exec();
    print_error(&format!("error: cannot run {}: {error}", program.to_string_lossy()));
    if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE }
}
