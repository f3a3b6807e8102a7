//! The server fails (5xx) without a report of its own.

use super::explanation::{Context, Explanation, explanation};
use crate::doctor::{result::ClientResult, software::Software, trials::TrialPolls};
use allswell_checks::wire::http_symptoms::has_no_upstream;
use hyper::StatusCode;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::doctor) enum ServerError {
    /// A proxy gets no response from the app.
    Gateway(u16),
    /// The same request succeeds a moment later.
    Flapping(u16),
    /// Another server error.
    Other(u16),
}

impl ServerError {
    pub(super) async fn diagnose(result: &ClientResult, trials: &mut TrialPolls<'_>) -> Option<Self> {
        let status = result.outcome.status().filter(StatusCode::is_server_error)?;
        if trials.succeeds(result, &result.request).await {
            return Some(Self::Flapping(status.as_u16()));
        }
        match status {
            // The method is refused.
            StatusCode::NOT_IMPLEMENTED => None,
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Some(Self::Gateway(status.as_u16())),
            _ if result.outcome.response.as_ref().is_some_and(|response| has_no_upstream(&response.body)) => {
                Some(Self::Gateway(status.as_u16()))
            }
            _ => Some(Self::Other(status.as_u16())),
        }
    }

    pub(super) fn explain(&self, context: &Context<'_>) -> Explanation {
        let first = context.first();
        match self {
            Self::Gateway(_) => explanation(
                "bad_gateway",
                "A proxy responds, but gets no response from the app",
                first.received_with_body(),
                ["Check that the app is running and that the proxy's upstream address is correct. The proxy's log shows what it tried."],
            ),
            Self::Flapping(_) => explanation(
                "flapping",
                "The same request succeeds a moment later",
                first.received_with_body(),
                ["Behind a proxy, one of several servers may be unhealthy; or the server limits the request rate (nginx: \
                  `limit_req`). Poll again, and read the server's log."],
            ),
            Self::Other(status) => {
                let mut fix = vec!["Read the server's log for this moment: no other form of the request succeeded."];
                if *status == 503 && context.software() == Some(Software::Apache) {
                    fix.insert(0, "Apache returns 503 if the app behind `ProxyPass` accepts no connection: check that it is running.");
                }
                explanation("server_error", "The server returns a server error (5xx)", first.received_with_body(), fix)
            }
        }
    }
}
