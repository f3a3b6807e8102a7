//! `/metrics`: what the report knows, and who asked us how often.

use super::{
    answer::{Answers, answer},
    negotiate::best,
    polls::Polls,
};
use crate::{
    dialect::{
        Detail,
        metrics::{Format, Page, Sort, write},
    },
    report::Report,
};
use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header::ACCEPT, request::Parts},
};

/// Always 200: a collector would throw away the numbers of any other answer. Nothing of it is kept: the next scrape has other counts.
pub(super) fn metrics(report: &Report, polls: &Polls, answers: &Answers, request: &Parts) -> Response<Body> {
    let detail = answers.detail(&request.headers);
    let format = wished(request);
    let mut page = Page::new(format);
    write(&mut page, report, detail);
    if detail > Detail::Status {
        page.family("allswell_polls", Sort::Counter, "Answers by path and status code.");
        for ((path, code), count) in polls.counts() {
            page.sample(&[("path", path), ("code", &code.to_string())], count);
        }
    }
    answer(StatusCode::OK, report.status, format.content_type(), page.end().into())
}

/// By `?format=`, else by `Accept`, else the older one, which every collector reads.
fn wished(request: &Parts) -> Format {
    let query = request.uri.query().unwrap_or_default();
    let format = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "format").last();
    match format.as_ref().map(|(_, value)| &**value) {
        Some("openmetrics") => Format::OpenMetrics,
        Some(_) => Format::Prometheus,
        None => {
            let offered = Format::ALL.map(|format| (format, format.media_type()));
            best(request.headers.get_all(ACCEPT).iter().map(HeaderValue::as_bytes), &offered).unwrap_or(Format::Prometheus)
        }
    }
}
