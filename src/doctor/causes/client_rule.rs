//! The response breaks a rule that only this client has.

use super::explanation::{Context, Explanation, explanation};
use crate::doctor::{
    http2,
    result::{ClientResult, ENVOY_FAIL_HEADER},
};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::doctor) enum ClientRule {
    /// A header makes Envoy fail the health check.
    EnvoyFailHeader,
    /// The body has neither a Content-Length nor chunks.
    NoContentLength,
    /// The status of a gRPC call is not a success code.
    GrpcStatus(u16),
    /// An informational response (1xx) precedes the final one, and `HAProxy` takes it for the final one.
    Informational(u16),
}

impl ClientRule {
    pub(super) fn diagnose(result: &ClientResult) -> Option<Self> {
        let response = result.outcome.complete_response()?;
        if result.envoy_must_fail() {
            return Some(Self::EnvoyFailHeader);
        }
        if let Some(code) = response.grpc_status {
            return Some(Self::GrpcStatus(code));
        }
        if let Some(status) = result.unexpected_informational() {
            return Some(Self::Informational(status));
        }
        // The status is a success code, and yet the client is unhealthy.
        result.client.profile.success.contains(response.status.as_u16()).then_some(Self::NoContentLength)
    }

    pub(super) fn explain(&self, context: &Context<'_>) -> Explanation {
        let first = context.first();
        match self {
            Self::EnvoyFailHeader => explanation(
                "envoy_immediate_fail",
                "A response header makes Envoy fail the health check",
                format!("the response has the header {ENVOY_FAIL_HEADER}"),
                ["If an Envoy in front of the app is draining, end the drain (POST /healthcheck/ok to its admin port). Otherwise \
                  remove the header."],
            ),
            Self::NoContentLength => explanation(
                "no_content_length",
                "The response body has no length: it ends only when the connection closes",
                "neither Content-Length nor Transfer-Encoding is set",
                ["Set Content-Length (0 for an empty body), or use chunked encoding."],
            ),
            Self::Informational(status) => explanation(
                "announced",
                format!("HAProxy takes the informational response {status} for the final response"),
                first.received(),
                ["Send no 1xx response to an HTTP/1.0 client: HTTP/1.0 does not define them (RFC 9110, section 15.2)."],
            ),
            Self::GrpcStatus(code) => explanation(
                "grpc_status",
                format!("The gRPC call returns {code} {}, which is not a success code", http2::status_name(*code)),
                format!("{} accepts {}", first.client.label, first.client.profile.success),
                [if *code == 12 {
                    "Check that the method exists: set HealthCheckPath to one that the server implements, and GrpcCode to the status \
                     that it returns."
                } else {
                    "Read the server's log. allswell returns 12 at the default path, /AWS.ALB/healthcheck, if it is healthy, and 14 if not."
                }],
            ),
        }
    }
}
