//! `allswell check`: one round, here and now.

use super::{DONE, NOT_WELL, begun, builder, by_hand, duration, print};
use crate::{
    component::CheckName,
    config::Sources,
    dialect::{Detail, Dialect, line},
    engine::{Aggregator, OnDemand},
    kinds::Registry,
    report::{ComponentReport, Report, Status},
};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    sync::Arc,
    time::Duration,
};
use tokio::runtime;

/// The arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct CheckOnce {
    /// Only these components
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// How to print the report
    #[arg(long, value_name = "F", default_value = "text", value_parser = dialects())]
    format: Dialect,
    /// Drop every probe after this time, such as 500ms or 5s
    #[arg(long, value_name = "D", value_parser = duration)]
    timeout: Option<Duration>,
    /// Exit with 1 on a warning, too
    #[arg(long)]
    warnings_as_errors: bool,
}

/// The dialects by name; `text` is printed line by line, the others as they are served.
fn dialects() -> impl TypedValueParser<Value = Dialect> {
    let named = |name: &str| Dialect::ALL.into_iter().find(|dialect| dialect.name() == name);
    PossibleValuesParser::new(Dialect::ALL.map(Dialect::name)).map(move |name| named(&name).unwrap_or(Dialect::Text))
}

impl CheckOnce {
    pub(super) fn run(self, sources: &Sources, registry: &Registry) -> u8 {
        let (mut configured, log) = match by_hand(sources, registry, &self.names) {
            Ok(begun) => begun,
            Err(code) => return code,
        };
        for component in &mut configured.components {
            component.policy.timeout = self.timeout.unwrap_or(component.policy.timeout);
        }
        let runtime = match begun(runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()) {
            Ok(runtime) => runtime,
            Err(code) => return code,
        };
        let mut checks = builder(&configured).build();
        let report = runtime.block_on(self.show(&mut checks));
        runtime.shutdown_background();
        drop(log);
        match report.status {
            Status::Fail => NOT_WELL,
            Status::Warn if self.warnings_as_errors => NOT_WELL,
            Status::Warn | Status::Pass => DONE,
        }
    }

    async fn show(&self, checks: &mut OnDemand) -> Arc<Report> {
        if self.format != Dialect::Text {
            let report = checks.probe_all(|_, _| {}).await;
            print(&String::from_utf8_lossy(&self.format.render(&report, Detail::Causes)));
            return report;
        }
        let width = checks.aggregator().components().iter().map(|component| component.name.as_str().len()).max().unwrap_or_default();
        let text = |name: &CheckName, report: &ComponentReport| format!("{name:<width$}  {}", line(report, Detail::Causes));
        let report = if io::stdout().is_terminal() {
            let table = Table::new(checks.aggregator(), width);
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

/// A live table: every component has its line from the beginning, and its result as soon as there is one.
struct Table(BTreeMap<CheckName, ProgressBar>);

impl Table {
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
