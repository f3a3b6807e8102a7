//! Polls that nobody sends: each changes one thing, to find out whether that is the reason.

use super::{
    Target,
    poll::{Poll, Polled},
};
use crate::pollers::{PollerProfile, RedirectRule, ResponsePart};
use allswell_checks::wire::http_symptoms::wants_tls;
use hyper::StatusCode;
use std::time::Duration;
use url::Position;

/// Polls that change one thing. Each is sent once, and all of them are safe.
pub(super) struct Trials<'a> {
    pub(super) target: &'a Target,
    sent: Vec<(String, Option<Tried>)>,
}

/// What came of a trial.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    pub(super) wants_tls: bool,
}

/// How long a trial may take.
const PATIENCE: Duration = Duration::from_secs(3);

impl<'a> Trials<'a> {
    pub(super) const fn new(target: &'a Target) -> Self {
        Self { target, sent: Vec::new() }
    }

    /// What a poll brings that nobody sends.
    pub(super) async fn send(&mut self, poll: &Poll) -> Option<Tried> {
        let PollerProfile { method, http_1_0, http_2, grpc, tls13, server_name, .. } = poll.profile;
        let asked = &poll.url[Position::BeforePath..Position::AfterQuery];
        let version = (http_1_0, http_2, grpc, tls13, server_name);
        let key = format!("{method} {} {asked} {:?} {:?} {version:?}", poll.url.scheme(), poll.host, poll.more);
        if let Some((_, tried)) = self.sent.iter().find(|(sent, _)| *sent == key) {
            return tried.clone();
        }
        let polled = run(poll).await;
        let tried = polled.status().zip(polled.answer).map(|(status, answer)| Tried {
            status,
            location: answer.location().map(str::to_owned),
            wants_tls: wants_tls(&answer.body),
        });
        self.sent.push((key, tried.clone()));
        tried
    }

    pub(super) async fn status(&mut self, poll: &Poll) -> Option<StatusCode> {
        self.send(poll).await.map(|tried| tried.status)
    }
}

/// Sends a trial: no redirect is followed, and the head is enough.
async fn run(poll: &Poll) -> Polled {
    let mut poll = poll.clone();
    poll.profile.redirects = RedirectRule::Judged;
    poll.profile.awaited = ResponsePart::Head;
    poll.profile.verifies = false;
    (poll.profile.timeout, poll.profile.timeout_tls) = (PATIENCE, PATIENCE);
    poll.run().await
}
