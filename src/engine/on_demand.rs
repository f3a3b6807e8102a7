//! An engine without background probes, for `allswell check` and for tests: components are probed only when the caller asks for it.

use super::{
    Aggregator, Builder,
    entry::Entry,
    moment::now,
    pulse::Pulse,
    sampler::{Interrupted, probe_and_record},
};
use crate::{
    component::CheckName,
    report::{ComponentReport, Report},
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::sync::Arc;

/// Components that are probed on demand. It cannot be cloned and a round borrows it mutably, so probes never overlap.
#[derive(Debug)]
pub struct OnDemand(Aggregator);

impl Builder {
    /// Builds the components without starting background probes.
    #[must_use]
    pub fn build(self) -> OnDemand {
        let (board, redactor) = self.into_board(None);
        OnDemand(Aggregator::new(board, redactor))
    }
}

impl OnDemand {
    /// A handle for reading and serving the results so far.
    #[must_use]
    pub fn aggregator(&self) -> &Aggregator {
        &self.0
    }

    /// Probes every enabled component once, concurrently, and calls `on_result` for each as its result arrives. Returns the report on all.
    pub async fn probe_all(&mut self, mut on_result: impl FnMut(&CheckName, &ComponentReport)) -> Arc<Report> {
        let (board, pulse) = self.0.parts();
        let mut probes: FuturesUnordered<_> =
            board.entries().iter().filter(|entry| entry.component().policy.enabled).map(|entry| probe(entry, pulse)).collect();
        let mut components = Vec::new();
        while let Some(entry) = probes.next().await {
            // Reported as of now: results must not become stale while slower probes are still running.
            let (report, _) = entry.report(now());
            on_result(&entry.name, &report);
            components.push((entry.name.clone(), report));
        }
        let muted = board.entries().iter().filter(|entry| !entry.component().policy.enabled);
        components.extend(muted.map(|entry| (entry.name.clone(), entry.report(now()).0)));
        Arc::new(self.0.report_of(&board, components.into_iter().collect()))
    }
}

/// Probes once, and once more if the probe was interrupted (by Ctrl-Z, for example). The second result counts in any case.
async fn probe<'a>(entry: &'a Entry, pulse: &Pulse) -> &'a Entry {
    if !probe_and_record(entry, pulse, Interrupted::IsDropped).await {
        probe_and_record(entry, pulse, Interrupted::Counts).await;
    }
    entry
}
