//! What the token unlocks: `POST /admin/reload`.

use super::answer::{Answers, answer, not_allowed, problem};
use crate::report::{Reload, Status};
use axum::{
    body::Body,
    http::{HeaderValue, Method, Response, StatusCode, header::WWW_AUTHENTICATE, request::Parts},
};
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

#[derive(Serialize)]
struct Told<'a> {
    outcome: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    needs_restart: &'a [String],
}

pub(super) async fn reload(answers: &Answers, control: &Control, request: &Parts, whole: Status) -> Response<Body> {
    if answers.token.is_none() {
        return problem(StatusCode::NOT_FOUND, "there is nothing here without `server.token`", whole);
    }
    if request.method != Method::POST {
        return not_allowed("POST", "this path takes POST alone", whole);
    }
    if !answers.shows_token(&request.headers) {
        let mut response = problem(StatusCode::UNAUTHORIZED, "show the token: `Authorization: Bearer …`", whole);
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    let Some(reload) = control.reload().await else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the service is about to end", whole);
    };
    let code = if reload.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let outcome = Told { outcome: reload.outcome(), problems: &reload.problems, needs_restart: &reload.needs_restart };
    // Plain texts always serialise.
    let mut body = serde_json::to_vec_pretty(&outcome).unwrap_or_default();
    body.push(b'\n');
    answer(code, whole, "application/json", body.into())
}
