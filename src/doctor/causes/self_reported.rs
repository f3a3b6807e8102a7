//! The endpoint works, and reports that it is unhealthy or overloaded.

use super::explanation::{Context, Explanation, explanation};
use crate::doctor::{result::ClientResult, text::excerpt};
use hyper::StatusCode;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::doctor) enum SelfReported {
    /// A rate limit.
    RateLimited,
    /// A report of a failure, by allswell or another health endpoint.
    Fail,
    /// A warning of allswell's, with a status that is not a success code.
    Warn(u16),
}

impl SelfReported {
    pub(super) fn diagnose(result: &ClientResult) -> Option<Self> {
        let response = result.outcome.complete_response()?;
        let reported = response.headers.get("x-health-status");
        match response.status {
            status if status.is_server_error() && (reported.is_some() || is_report(&response.body)) => Some(Self::Fail),
            status if reported.is_some_and(|reported| reported == "warn") => Some(Self::Warn(status.as_u16())),
            StatusCode::TOO_MANY_REQUESTS => Some(Self::RateLimited),
            _ => None,
        }
    }

    pub(super) fn explain(&self, context: &Context<'_>) -> Explanation {
        let first = context.first();
        let path = context.path();
        let summary = || context.affected.iter().find_map(|result| summary(result)).unwrap_or_else(|| first.received());
        match self {
            Self::RateLimited => explanation(
                "rate_limited",
                "The server rate-limits the health check",
                first.received(),
                [format!("Exempt `{path}` from the rate limit: every node of a load balancer polls independently.")],
            ),
            Self::Fail => explanation(
                "says_fail",
                "The endpoint reports that it is unhealthy",
                summary(),
                ["Fix the components it lists; `curl -v` on the endpoint, or `allswell check` on its machine, shows details."],
            ),
            Self::Warn(status) => explanation(
                "warning_status",
                format!("The endpoint reports a warning with status {status}, which is not a success code"),
                summary(),
                [
                    &*format!("Add {status} to the client's success codes, if they can be configured."),
                    "Or leave allswell's `server.warn_status` at 200.",
                ],
            ),
        }
    }
}

/// Whether a body is a health report, by the members that the usual formats have in common.
fn is_report(body: &[u8]) -> bool {
    let report: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    ["status", "checks", "components", "entries"].iter().any(|member| report.get(member).is_some())
}

/// The summary in a report of allswell's.
fn summary(result: &ClientResult) -> Option<String> {
    let report: serde_json::Value = serde_json::from_slice(&result.outcome.response.as_ref()?.body).ok()?;
    report["summary"].as_str().map(excerpt)
}
