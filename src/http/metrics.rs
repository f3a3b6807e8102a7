//! `/metrics`: what the report knows, and who asked us how often.

use super::{answer::complete, negotiate::best, polls::Polls};
use crate::{
    dialect::{
        Detail,
        metrics::{Format, Page, Sort, write},
    },
    report::{ProberReport, Report},
};
use axum::http::{HeaderValue, Response, StatusCode, header::ACCEPT, request::Parts};
use std::collections::BTreeMap;

/// The metrics of a report and of the polls. Always 200: a collector would throw away the numbers of any other answer.
pub(super) fn answer(format: Format, detail: Detail, report: &Report, polls: &Polls) -> Response<Vec<u8>> {
    let mut page = Page::new(format);
    write(&mut page, report, detail);
    if detail > Detail::Status {
        page.family("allswell_polls", Sort::Counter, "Answers by path and status code.");
        for ((path, code), count) in polls.counts() {
            page.sample(&[("path", path), ("code", &code.to_string())], count);
        }
        polled(&mut page, polls);
    }
    complete(StatusCode::OK, report.status, format.content_type(), page.end())
}

/// Who polls: a label for each sort of client, of which there are few, and not for each address, of which there may be any number.
fn polled(page: &mut Page, polls: &Polls) {
    page.family("allswell_prober_polls", Sort::Counter, "Polls by client and status code.");
    for ((client, code), count) in polls.ledger.counts() {
        page.sample(&[("client", client), ("code", &code.to_string())], count);
    }
    let mut clients: BTreeMap<&str, Vec<ProberReport>> = BTreeMap::new();
    for prober in polls.ledger.report().seen {
        clients.entry(prober.client).or_default().push(prober);
    }
    page.family("allswell_prober_last_poll_timestamp_seconds", Sort::Gauge, "When a client polled last.");
    for (client, probers) in &clients {
        if let Some(at) = probers.iter().map(|prober| prober.last_polled_at.as_millisecond()).max() {
            page.sample(&[("client", client)], format_args!("{}.{:03}", at / 1000, at % 1000));
        }
    }
    page.family("allswell_prober_interval_seconds", Sort::Gauge, "The time between two polls of one source, the longest of the client's.");
    for (client, probers) in &clients {
        if let Some(interval) = probers.iter().filter_map(|prober| prober.interval).max() {
            page.sample(&[("client", client)], interval.as_secs_f64());
        }
    }
    page.family("allswell_prober_healthy", Sort::Gauge, "Whether all of a client's sources hold us healthy, by its default thresholds.");
    for (client, probers) in &clients {
        let mut held = probers.iter().filter_map(|prober| prober.holds).peekable();
        if held.peek().is_some() {
            page.sample(&[("client", client)], u8::from(held.all(|(healthy, _)| healthy)));
        }
    }
}

/// The format that `?format=` or else `Accept` names; by default the older one, which every collector reads.
pub(super) fn format(request: &Parts) -> Format {
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
