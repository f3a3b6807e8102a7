//! The files of the status page, and how deep below the root the page is read.

use super::respond::{guarded, options, read_only, respond};
use crate::report::Status;
use axum::{
    body::Body,
    http::{Method, Response, StatusCode},
};
use bytes::Bytes;

/// How many folders below the root a path is: as many `../` lead from there to the page's files.
pub(super) fn depth(path: &str) -> usize {
    path.matches('/').count().saturating_sub(1)
}

/// The style or the script.
pub(super) fn asset(method: &Method, content_type: &'static str, content: &'static str, whole: Status) -> Response<Body> {
    match *method {
        Method::GET | Method::HEAD => guarded(respond(StatusCode::OK, whole, content_type, Bytes::from_static(content.as_bytes()))),
        Method::OPTIONS => options(StatusCode::OK, whole),
        _ => read_only(whole),
    }
}
