//! The verdict: which status several components have together. The only place that decides it.

use super::{ComponentReport, Grace, Status, View};

/// The properties of one component on which the verdict depends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VerdictInput {
    /// The status by its own results.
    pub(crate) status: Status,
    pub(crate) critical: bool,
    /// It is switched off, and never probed.
    pub(crate) muted: bool,
    /// It is in its grace period: new after a reload, and without a result.
    pub(crate) grace: Option<Grace>,
    /// It has passed at least once.
    pub(crate) passed_once: bool,
}

impl From<&ComponentReport> for VerdictInput {
    fn from(report: &ComponentReport) -> Self {
        let ComponentReport { status, critical, muted, grace, passed_once, .. } = *report;
        Self { status, critical, muted, grace, passed_once }
    }
}

impl VerdictInput {
    /// The status that counts; `None` if it does not count.
    pub(crate) fn counts_as(self) -> Option<Status> {
        match self.grace {
            _ if self.muted => None,
            Some(grace) => grace.previous,
            None => Some(self.status),
        }
    }
}

/// The status of a view of these components.
///
/// `previous` is the status of the view before the last reload. It remains valid while every component is new and does not count yet.
pub(crate) fn verdict(view: &View, parts: impl Iterator<Item = VerdictInput>, alive: bool, previous: Option<Status>) -> Status {
    match view {
        View::Live => passes_if(alive),
        View::Startup => together(parts.map(|part| (part, part.counts_as().map(|_| passes_if(part.passed_once)))), previous),
        // By itself a component counts, critical or not. A muted one has a status, too.
        View::Component(_) => parts.map(|part| part.counts_as().unwrap_or(part.status)).max().unwrap_or_default(),
        View::Whole | View::Ready | View::Group(_) => together(parts.map(|part| (part, part.counts_as())), previous),
    }
}

fn passes_if(well: bool) -> Status {
    if well { Status::Pass } else { Status::Fail }
}

/// The worst status that counts. A component that is not critical at most warns.
fn together(parts: impl Iterator<Item = (VerdictInput, Option<Status>)>, previous: Option<Status>) -> Status {
    let (mut worst, mut nothing_counts_yet) = (None, false);
    for (part, counts_as) in parts {
        let counts_as = counts_as.map(|status| if part.critical { status } else { status.min(Status::Warn) });
        nothing_counts_yet |= part.grace.is_some();
        worst = worst.max(counts_as);
    }
    match worst {
        Some(worst) => worst,
        None if nothing_counts_yet => previous.unwrap_or(Status::Fail),
        None => Status::Pass,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Status::{Fail, Pass, Warn};

    const WELL: VerdictInput = VerdictInput { status: Pass, critical: true, muted: false, grace: None, passed_once: true };
    const FAILING: VerdictInput = VerdictInput { status: Fail, ..WELL };

    /// In its grace period after a reload.
    fn new(previous: Option<Status>) -> VerdictInput {
        VerdictInput { grace: Some(Grace { previous }), passed_once: false, ..FAILING }
    }

    fn whole(parts: &[VerdictInput], previous: Option<Status>) -> Status {
        verdict(&View::Whole, parts.iter().copied(), true, previous)
    }

    #[test]
    fn the_worst_critical_component_decides() {
        assert_eq!(whole(&[], None), Pass);
        assert_eq!(whole(&[WELL, FAILING], None), Fail);
        assert_eq!(whole(&[WELL, VerdictInput { critical: false, ..FAILING }], None), Warn);
        assert_eq!(whole(&[WELL, VerdictInput { muted: true, ..FAILING }], None), Pass);
    }

    #[test]
    fn a_check_that_is_new_after_a_reload_does_not_count_before_its_first_result() {
        assert_eq!(whole(&[WELL, new(None)], None), Pass);
        assert_eq!(whole(&[VerdictInput { status: Warn, ..WELL }, new(None)], None), Warn);
        assert_eq!(whole(&[FAILING, new(None)], Some(Pass)), Fail);
    }

    #[test]
    fn its_previous_status_counts_meanwhile() {
        assert_eq!(whole(&[WELL, new(Some(Fail))], None), Fail, "a new URL does not make a failing check pass");
        assert_eq!(whole(&[new(Some(Pass))], None), Pass);
        let by_itself = View::Component("a".parse().expect("a name"));
        assert_eq!(verdict(&by_itself, [new(Some(Pass))].into_iter(), true, None), Pass);
        assert_eq!(verdict(&by_itself, [new(None)].into_iter(), true, None), Fail, "it has no status to report");
    }

    #[test]
    fn the_verdict_before_the_reload_remains_while_nothing_counts() {
        for previous in [Pass, Warn, Fail] {
            assert_eq!(whole(&[new(None)], Some(previous)), previous);
        }
        assert_eq!(whole(&[new(None)], None), Fail, "a group that is new, too");
    }

    #[test]
    fn startup_waits_for_the_first_pass_of_each() {
        let startup = |parts: &[VerdictInput], previous| verdict(&View::Startup, parts.iter().copied(), true, previous);
        assert_eq!(startup(&[WELL, FAILING], None), Pass, "it has passed once");
        assert_eq!(startup(&[WELL, VerdictInput { passed_once: false, ..WELL }], None), Fail);
        assert_eq!(startup(&[WELL, new(None)], None), Pass, "a reload does not undo a start-up");
        assert_eq!(startup(&[new(None)], Some(Pass)), Pass);
    }
}
