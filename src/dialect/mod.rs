//! Dialects: one wire format of a report per file, each a pure function of the report.
//!
//! [`Dialect::render`] renders a report, and [`Dialect::media_type`] is the name of the format in HTTP. The list of all dialects is the table in
//! `table`: a new dialect is a file with a function `render`, a variant of [`Dialect`] and a row of that table. Negotiation, headers,
//! `?format=` and the tests over all dialects follow from the row.
//!
//! * `json`, `text`, `html`: our own formats, for programs and people. `html` is a folder: the status page.
//! * `health_json`: the Internet-Draft. `atom`, `rss`: feeds of the changes, with `feed` in common. `metrics`: OpenMetrics and Prometheus.
//! * `django`, `spring`, `microprofile`, `aspnet`, `nagios`: the formats of other products, as their consumers parse them.
//! * `haproxy_agent`: a line for `HAProxy`, which is not sent over HTTP and so is not in the table.
//! * `words`: sentences and texts that several dialects share.

mod aspnet;
mod atom;
mod django;
mod feed;
#[cfg(feature = "server")]
pub(crate) mod haproxy_agent;
mod health_json;
pub(crate) mod html;
mod json;
mod metrics;
mod microprofile;
mod nagios;
mod options;
mod rss;
mod spring;
mod table;
mod text;
mod words;

pub(crate) use metrics::{MetricsFormat, metrics_text};
pub use options::Detail;
pub(crate) use options::{PagePlace, RenderOptions};
pub use table::Dialect;
#[cfg(feature = "cli")]
pub(crate) use text::line;

#[cfg(test)]
mod tests;
