//! `allswell check`: probes every component once, without a server, and prints the report.

use super::{
    duration::duration,
    error::CommandError,
    exit::Exit,
    probing::{prepare, runtime},
    terminal::{print, stdout_is_terminal},
};
use crate::{
    component::CheckName,
    config::Sources,
    dialect::{Detail, Dialect, line},
    engine::{Aggregator, OnDemand},
    kinds::Registry,
    report::{ComponentReport, Report, Status},
    service::aggregator_builder,
};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct CheckOnce {
    /// Components to probe [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Format of the report
    #[arg(long, value_name = "F", default_value = "text", value_parser = dialects())]
    format: Dialect,
    /// Timeout of every probe, such as 500ms or 5s [default: the timeout of each component]
    #[arg(long, value_name = "D", value_parser = duration)]
    timeout: Option<Duration>,
    /// Exit with 1 if a component warns, too, not only if one fails
    #[arg(long)]
    warnings_as_errors: bool,
}

/// Parses the name of a dialect.
pub(super) fn dialects() -> impl TypedValueParser<Value = Dialect> {
    let named = |name: &str| Dialect::ALL.into_iter().find(|dialect| dialect.name() == name);
    PossibleValuesParser::new(Dialect::ALL.map(Dialect::name)).map(move |name| named(&name).unwrap_or(Dialect::Text))
}

impl CheckOnce {
    pub(super) fn run(self, sources: &Sources, registry: &Registry) -> Result<Exit, CommandError> {
        let (mut configured, log) = prepare(sources, registry, &self.names)?;
        for component in &mut configured.components {
            component.policy.timeout = self.timeout.unwrap_or(component.policy.timeout);
        }
        let runtime = runtime()?;
        let mut checks = aggregator_builder(&configured).build();
        let report = runtime.block_on(self.probe_and_print(&mut checks));
        runtime.shutdown_background();
        drop(log);
        Ok(match report.status {
            Status::Fail => Exit::NotWell,
            Status::Warn if self.warnings_as_errors => Exit::NotWell,
            Status::Warn | Status::Pass => Exit::Done,
        })
    }

    /// Prints `text` line by line as results arrive, and the other dialects at the end, as they are served.
    async fn probe_and_print(&self, checks: &mut OnDemand) -> Arc<Report> {
        if self.format != Dialect::Text {
            let report = checks.probe_all(|_, _| {}).await;
            print(&String::from_utf8_lossy(&self.format.render(&report, Detail::Causes)));
            return report;
        }
        let width = checks.aggregator().components().iter().map(|component| component.name.as_str().len()).max().unwrap_or_default();
        let text = |name: &CheckName, report: &ComponentReport| format!("{name:<width$}  {}", line(report, Detail::Causes));
        let report = if stdout_is_terminal() {
            let table = ProgressTable::new(checks.aggregator(), width);
            checks.probe_all(|name, report| table.finish(name, report.status, text(name, report))).await
        } else {
            checks
                .probe_all(|name, report| print(&format!("{}\n", format!("{:<4}  {}", report.status, text(name, report)).trim_end())))
                .await
        };
        print(&format!("{:<4}  {}\n", report.status, report.summary));
        report
    }
}

/// A live table: every component has a line from the start, and its result as soon as there is one.
struct ProgressTable(BTreeMap<CheckName, ProgressBar>);

impl ProgressTable {
    fn new(aggregator: &Aggregator, width: usize) -> Self {
        let table = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let waiting = ProgressStyle::with_template("{spinner:4}  {msg}  {elapsed}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let lines = aggregator.components().into_iter().filter(|component| component.policy.enabled).map(|component| {
            let line =
                table.add(ProgressBar::new_spinner().with_style(waiting.clone()).with_message(format!("{:<width$}", component.name)));
            line.enable_steady_tick(Duration::from_millis(100));
            (component.name.clone(), line)
        });
        Self(lines.collect())
    }

    fn finish(&self, name: &CheckName, status: Status, text: String) {
        let template = match status {
            Status::Pass => "{prefix:4.green}  {msg}",
            Status::Warn => "{prefix:4.yellow}  {msg}",
            Status::Fail => "{prefix:4.red.bold}  {msg}",
        };
        if let Some(line) = self.0.get(name) {
            line.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()));
            line.set_prefix(status.as_str());
            line.finish_with_message(text);
        }
    }
}
