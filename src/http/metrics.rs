//! `/metrics`: the text format that a collector accepts, and the response.

use super::{accept::Accepted, respond::complete};
use crate::{
    dialect::{Detail, MetricsFormat, metrics_text},
    pollers::Polls,
    report::Report,
};
use axum::http::{Response, StatusCode, request::Parts};

/// The metrics of a report and of the polls. Always 200: a collector would discard the numbers of any other response.
pub(super) fn response(format: MetricsFormat, detail: Detail, report: &Report, polls: &Polls) -> Response<Vec<u8>> {
    complete(StatusCode::OK, report.status, format.content_type(), metrics_text(format, report, polls, detail))
}

/// The format that `?format=` or else `Accept` names. The default is the Prometheus format, which every collector reads.
pub(super) fn format(request: &Parts) -> MetricsFormat {
    let query = request.uri.query().unwrap_or_default();
    let format = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "format").last();
    match format.as_ref().map(|(_, value)| &**value) {
        Some("openmetrics") => MetricsFormat::OpenMetrics,
        Some(_) => MetricsFormat::Prometheus,
        None => {
            let offered = MetricsFormat::ALL.map(|format| (format, format.media_type()));
            Accepted::from_headers(&request.headers).best(offered).unwrap_or(MetricsFormat::Prometheus)
        }
    }
}
