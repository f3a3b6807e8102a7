//! Components that are probed when the caller says so, and not in the background: `allswell check`, and tests.

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

/// Components without an engine. Nothing else can probe them: it cannot be cloned, and a round takes the whole of it.
#[derive(Debug)]
pub struct OnDemand(Aggregator);

impl Builder {
    /// Builds it without probing anything, and without an engine.
    #[must_use]
    pub fn build(self) -> OnDemand {
        let (board, redactor) = self.into_board(None);
        OnDemand(Aggregator::new(board, redactor))
    }
}

impl OnDemand {
    /// What is known, to be read and served like that of an engine.
    #[must_use]
    pub fn aggregator(&self) -> &Aggregator {
        &self.0
    }

    /// Probes every component once, here and now, and calls `seen` for each as it answers.
    pub async fn probe_all(&mut self, mut seen: impl FnMut(&CheckName, &ComponentReport)) -> Arc<Report> {
        let (board, pulse) = self.0.parts();
        let mut probes: FuturesUnordered<_> =
            board.entries().iter().filter(|entry| entry.component().policy.enabled).map(|entry| probe(entry, pulse)).collect();
        let mut components = Vec::new();
        while let Some(entry) = probes.next().await {
            // As it was when it answered: while the slowest is waited for, the others do not grow old.
            let (report, _) = entry.report(now());
            seen(&entry.name, &report);
            components.push((entry.name.clone(), report));
        }
        let muted = board.entries().iter().filter(|entry| !entry.component().policy.enabled);
        components.extend(muted.map(|entry| (entry.name.clone(), entry.report(now()).0)));
        Arc::new(self.0.report_of(&board, components.into_iter().collect()))
    }
}

/// A probe that was interrupted, as by Ctrl-Z, is tried once more. What comes then is the answer.
async fn probe<'a>(entry: &'a Entry, pulse: &Pulse) -> &'a Entry {
    if !probe_and_record(entry, pulse, Interrupted::IsDropped).await {
        probe_and_record(entry, pulse, Interrupted::Counts).await;
    }
    entry
}
