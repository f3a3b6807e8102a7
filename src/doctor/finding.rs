//! A finding: what is wrong, the evidence for it, and what to change.

use serde::Serialize;

/// Something to fix, or to be aware of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable identifier for scripts.
    pub code: &'static str,
    /// `true`: a client reports unhealthy because of it, or settings contradict each other. `false`, a warning: a client reports healthy
    /// although it should not, or may soon report unhealthy.
    pub failing: bool,
    /// The labels of the affected clients or of the target group.
    pub clients: Vec<String>,
    /// What is wrong, in a sentence.
    pub title: String,
    /// What the doctor observed.
    pub evidence: String,
    /// What to change. Each item is sufficient by itself; the best comes first.
    pub fix: Vec<String>,
}
