//! The client sends the header of the PROXY protocol to a server that does not expect it, or the other way round.

use super::explanation::{Context, Explanation, explanation};
use crate::doctor::{poll::PollStep, result::ClientResult, trials::TrialPolls};
use allswell_checks::contract::FailureClass;
use hyper::StatusCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::doctor) enum ProxyHeader {
    /// The client sends it, and the server responds only without it.
    Unexpected,
    /// The server responds only with it, and the client does not send it.
    Missing,
}

impl ProxyHeader {
    pub(super) async fn diagnose(result: &ClientResult, trials: &mut TrialPolls<'_>) -> Option<Self> {
        // The server closes the connection or responds with 400, to a header that it does not expect as well as without one that it expects.
        let is_rejected = match (result.outcome.status(), &result.outcome.failure) {
            (Some(status), _) => status == StatusCode::BAD_REQUEST,
            (None, Some(failure)) => {
                failure.class() != FailureClass::Timeout && matches!(result.outcome.step, PollStep::Handshake | PollStep::Headers)
            }
            (None, None) => false,
        };
        if !is_rejected {
            return None;
        }
        let mut other = result.request.clone();
        other.sends_proxy_header = !other.sends_proxy_header;
        trials.status(&other).await.filter(|status| *status != StatusCode::BAD_REQUEST)?;
        if result.request.sends_proxy_header {
            return Some(Self::Unexpected);
        }
        // A server that responds to another request without the header does not require it.
        (!trials.responds_to_http_1_1(result).await).then_some(Self::Missing)
    }

    pub(super) fn explain(self, context: &Context<'_>) -> Explanation {
        let received = context.first().received();
        match self {
            Self::Unexpected => explanation(
                "proxy_header",
                "The load balancer sends the PROXY protocol's header, and the server does not accept it",
                format!("{received}; the same poll without the header gets another response"),
                [
                    "allswell: set `server.proxy_protocol = \"accept\"`.",
                    "Another server: make it expect the header at this port (nginx: `listen … proxy_protocol`, Apache: `RemoteIPProxyProtocol On`, \
                     Envoy: the listener filter `envoy.filters.listener.proxy_protocol`).",
                    "Or set proxy_protocol_v2.enabled to false, if the targets do not need the addresses of clients.",
                ],
            ),
            Self::Missing => explanation(
                "proxy_header_missing",
                "The server requires the PROXY protocol's header, and the health check does not send it",
                format!("{received}; the same poll with the header gets another response"),
                [
                    "Point the health check at a port that does not require the header, such as allswell's.",
                    "Network Load Balancer: set proxy_protocol_v2.enabled to true. HAProxy: add `check-send-proxy` to the server.",
                ],
            ),
        }
    }
}
