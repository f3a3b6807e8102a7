//! The paths that need the token: `POST /admin/drain`, `/admin/undrain` and `/admin/reload`.

use super::{
    paths::AdminCommand,
    peer::PEER,
    respond::{not_allowed, pretty, problem, respond},
    state::HttpState,
};
use crate::report::Reload;
use axum::{
    body::Body,
    http::{HeaderValue, Method, Response, StatusCode, header::WWW_AUTHENTICATE, request::Parts},
};
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

/// The longest time until the response to a reload, even if the file system hangs.
const MAX_RELOAD_TIME: Duration = Duration::from_secs(10);

impl Control {
    /// A control, and the receiver of its requests.
    pub(crate) fn new() -> (Self, ReloadRequests) {
        // Requests that arrive during a reload wait for the next one, which serves them all.
        let (requests, receiver) = mpsc::channel(16);
        (Self(requests), receiver)
    }

    /// Requests a reload and waits for its outcome.
    pub(crate) async fn reload(&self) -> Result<Reload, ReloadError> {
        let (sender, receiver) = oneshot::channel();
        let reload = async {
            self.0.send(sender).await.ok()?;
            receiver.await.ok()
        };
        match timeout(MAX_RELOAD_TIME, reload).await {
            Ok(Some(reload)) => Ok(reload),
            Ok(None) => Err(ReloadError::ShuttingDown),
            Err(_) => Err(ReloadError::Timeout),
        }
    }
}

/// The state after `drain` or `undrain`. It is still `true` after `undrain` while the drain file exists or the service shuts down.
#[derive(Serialize)]
struct DrainState {
    draining: bool,
}

#[derive(Serialize)]
struct ReloadOutcome<'a> {
    outcome: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    needs_restart: &'a [String],
}

/// Executes a command, if the request carries the token.
pub(super) async fn execute(command: AdminCommand, state: &HttpState, control: &Control, request: &Parts) -> Response<Body> {
    let (aggregator, answers) = (&state.aggregator, state.answers.load_full());
    let whole = || aggregator.status();
    if answers.token.is_none() {
        return problem(StatusCode::NOT_FOUND, "this path needs a token, and none is configured: set `server.token`", whole());
    }
    if request.method != Method::POST {
        return not_allowed("POST", "this path supports only POST", whole());
    }
    if !answers.has_token(&request.headers) {
        let mut response = problem(StatusCode::UNAUTHORIZED, "the token is missing or wrong: send `Authorization: Bearer …`", whole());
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    let from = PEER.try_with(ToString::to_string).unwrap_or_else(|_| "unknown".to_owned());
    tracing::info!(from, "{} requested", command.as_str());
    let (code, body) = match command {
        AdminCommand::Drain => {
            aggregator.drain();
            (StatusCode::OK, pretty(&DrainState { draining: aggregator.is_draining() }))
        }
        AdminCommand::Undrain => {
            aggregator.undrain();
            (StatusCode::OK, pretty(&DrainState { draining: aggregator.is_draining() }))
        }
        AdminCommand::Reload => match control.reload().await {
            Ok(reload) => {
                let code = if reload.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
                let Reload { problems, needs_restart, .. } = &reload;
                (code, pretty(&ReloadOutcome { outcome: reload.outcome(), problems, needs_restart }))
            }
            Err(error) => return problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string(), whole()),
        },
    };
    respond(code, whole(), "application/json", body)
}
