//! What the token unlocks: `POST /admin/drain`, `/admin/undrain` and `/admin/reload`.

use super::answer::{Answers, answer, not_allowed, problem};
use crate::{engine::Aggregator, report::Reload};
use axum::{
    body::Body,
    http::{HeaderValue, Method, Response, StatusCode, header::WWW_AUTHENTICATE, request::Parts},
};
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

/// Asks whoever reloads to do so. Clones ask the same one.
#[derive(Clone, Debug)]
pub(crate) struct Control(mpsc::Sender<oneshot::Sender<Reload>>);

impl Control {
    /// And the end at which the questions arrive.
    pub(crate) fn new() -> (Self, mpsc::Receiver<oneshot::Sender<Reload>>) {
        // Who asks while somebody else waits shall wait, too.
        let (asks, asked) = mpsc::channel(1);
        (Self(asks), asked)
    }

    async fn reload(&self) -> Option<Reload> {
        let (answers, answer) = oneshot::channel();
        self.0.send(answers).await.ok()?;
        answer.await.ok()
    }
}

/// What may be ordered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Drain,
    Undrain,
    Reload,
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

/// Carries out an order, if whoever gives it shows the token.
pub(super) async fn obey(order: Order, answers: &Answers, control: &Control, aggregator: &Aggregator, request: &Parts) -> Response<Body> {
    let whole = || aggregator.report().status;
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
            Some(reload) => {
                let code = if reload.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
                let Reload { problems, needs_restart, .. } = &reload;
                (code, pretty(&Reloaded { outcome: reload.outcome(), problems, needs_restart }))
            }
            None => return problem(StatusCode::SERVICE_UNAVAILABLE, "the service is about to end", whole()),
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
