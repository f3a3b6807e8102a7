//! What the token unlocks: `POST /admin/drain`, `/admin/undrain` and `/admin/reload`.

use super::{
    answer::{answer, not_allowed, problem},
    paths::Order,
    polls::PEER,
    state::HttpState,
};
use crate::report::Reload;
use axum::{
    body::Body,
    http::{HeaderValue, Method, Response, StatusCode, header::WWW_AUTHENTICATE, request::Parts},
};
use bytes::Bytes;
use serde::Serialize;
use std::time::Duration;
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// Requests reloads. Clones send to the same receiver.
#[derive(Clone, Debug)]
pub(crate) struct Control(mpsc::Sender<oneshot::Sender<Reload>>);

/// Receives the requests of a [`Control`]; each is answered with the reload.
pub(crate) type ReloadRequests = mpsc::Receiver<oneshot::Sender<Reload>>;

/// Why the outcome of a reload is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The service ends or has ended.
    #[error("the service is shutting down")]
    ShuttingDown,
    /// The files could not be read in time.
    #[error("the reload did not finish within 10s: the files may be on a file system that hangs; it continues in the background")]
    Timeout,
}

/// A request for a reload is answered by then, whatever the files' mount does.
const RELOAD_DEADLINE: Duration = Duration::from_secs(10);

impl Control {
    /// And the receiver of the requests.
    pub(crate) fn new() -> (Self, ReloadRequests) {
        // Requests that come during a reload wait for the next one, which answers them all.
        let (requests, receiver) = mpsc::channel(16);
        (Self(requests), receiver)
    }

    /// Requests a reload and waits for its outcome.
    pub(crate) async fn reload(&self) -> Result<Reload, ReloadError> {
        let (answers, answer) = oneshot::channel();
        let reload = async {
            self.0.send(answers).await.ok()?;
            answer.await.ok()
        };
        match timeout(RELOAD_DEADLINE, reload).await {
            Ok(Some(reload)) => Ok(reload),
            Ok(None) => Err(ReloadError::ShuttingDown),
            Err(_) => Err(ReloadError::Timeout),
        }
    }
}

/// `true` also when somebody else wants it: an end that was begun, or a file.
#[derive(Serialize)]
struct Draining {
    draining: bool,
}

#[derive(Serialize)]
struct Reloaded<'a> {
    outcome: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    needs_restart: &'a [String],
}

/// Carries out an order, if the request shows the token.
pub(super) async fn obey(order: Order, state: &HttpState, control: &Control, request: &Parts) -> Response<Body> {
    let (aggregator, answers) = (&state.aggregator, state.answers.load_full());
    let whole = || aggregator.status();
    if answers.token.is_none() {
        return problem(StatusCode::NOT_FOUND, "there is nothing here without `server.token`", whole());
    }
    if request.method != Method::POST {
        return not_allowed("POST", "this path takes POST alone", whole());
    }
    if !answers.shows_token(&request.headers) {
        let mut response = problem(StatusCode::UNAUTHORIZED, "show the token: `Authorization: Bearer …`", whole());
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    let from = PEER.try_with(|peer| peer.ip().to_canonical().to_string()).unwrap_or_else(|_| "unknown".to_owned());
    tracing::info!(from, "{} requested", order.as_str());
    let (code, body) = match order {
        Order::Drain => {
            aggregator.drain();
            (StatusCode::OK, pretty(&Draining { draining: aggregator.is_draining() }))
        }
        Order::Undrain => {
            aggregator.undrain();
            (StatusCode::OK, pretty(&Draining { draining: aggregator.is_draining() }))
        }
        Order::Reload => match control.reload().await {
            Ok(reload) => {
                let code = if reload.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
                let Reload { problems, needs_restart, .. } = &reload;
                (code, pretty(&Reloaded { outcome: reload.outcome(), problems, needs_restart }))
            }
            Err(error) => return problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string(), whole()),
        },
    };
    answer(code, whole(), "application/json", body)
}

fn pretty(value: &impl Serialize) -> Bytes {
    // Plain texts always serialise.
    let mut body = serde_json::to_vec_pretty(value).unwrap_or_default();
    body.push(b'\n');
    body.into()
}
