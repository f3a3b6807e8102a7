//! A question whose answer only adds observed values, such as `INFO` of Redis, asked so that it never spoils the decisive one.
//!
//! A proxy, or a managed service, may close the connection at such a question, answer it with an error, or never answer it. The question
//! travels with the decisive one until it has failed once. It is then left out for a while, and asked again behind the decisive answer.

use crate::contract::RecentRefusal;
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

/// Maximum time that a probe waits for the answer when the decisive one has arrived: the server sends both in a row.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

/// What is known of an optional question of one check.
#[derive(Debug, Default)]
pub(crate) struct OptionalQuestion {
    /// Whether the last probe that asked it has not read its answer yet.
    is_open: AtomicBool,
    refused: RecentRefusal<Refusal>,
}

/// How a question was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The user lacks the right.
    #[cfg(feature = "redis")]
    Right,
    /// An error, silence, or the end of the connection.
    Unanswered,
}

/// How to ask now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// In the same round trip as the decisive question.
    Together,
    /// After the decisive answer.
    Separately,
    /// Not at all.
    LeftOut(Refusal),
}

impl OptionalQuestion {
    /// How to ask it in this probe.
    pub(crate) fn plan(&self) -> Asking {
        match self.refused.recent() {
            Some(refusal) => Asking::LeftOut(refusal),
            // The last probe may have been dropped, or may have failed, because of the question.
            None if self.is_open.swap(true, Relaxed) => Asking::Separately,
            None => Asking::Together,
        }
    }

    /// Records that it was answered.
    pub(crate) fn answered(&self) {
        self.refused.forget();
        self.is_open.store(false, Relaxed);
    }

    /// Records that it was not answered. Also call it before the wait for the answer: the probe may be dropped then.
    pub(crate) fn failed(&self, refusal: Refusal) {
        self.refused.record(refusal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "redis")]
    use tokio::time::advance;

    #[cfg(feature = "redis")]
    #[tokio::test(start_paused = true)]
    async fn a_question_that_failed_is_left_out_for_a_while_and_then_asked_separately() {
        let question = OptionalQuestion::default();
        assert_eq!(question.plan(), Asking::Together);
        question.failed(Refusal::Right);
        assert_eq!(question.plan(), Asking::LeftOut(Refusal::Right));
        advance(Duration::from_secs(10 * 60)).await;
        assert_eq!(question.plan(), Asking::Separately);
        question.failed(Refusal::Unanswered);
        assert_eq!(question.plan(), Asking::LeftOut(Refusal::Unanswered));
        advance(Duration::from_secs(10 * 60)).await;
        assert_eq!(question.plan(), Asking::Separately);
        question.answered();
        assert_eq!(question.plan(), Asking::Together);
    }

    #[test]
    fn a_probe_that_read_no_answer_at_all_only_raises_suspicion() {
        let question = OptionalQuestion::default();
        assert_eq!((question.plan(), question.plan(), question.plan()), (Asking::Together, Asking::Separately, Asking::Separately));
        question.answered();
        assert_eq!(question.plan(), Asking::Together);
    }
}
