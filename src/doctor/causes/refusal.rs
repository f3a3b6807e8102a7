//! The server responds, and refuses the request.

use super::explanation::{Context, Explanation, explanation};
use crate::doctor::{
    poll::authority,
    response::PollResponse,
    result::ClientResult,
    software::{Remedy, Software},
    text::excerpt,
    trials::TrialPolls,
};
use allswell_checks::wire::http_symptoms::protects_from_csrf;
use hyper::{Method, StatusCode, header::ALLOW};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::doctor) enum RefusedRequest {
    /// CSRF protection.
    Csrf,
    /// The path requires credentials.
    Credentials,
    /// Forbidden, for another reason.
    Forbidden,
    /// The method is not accepted.
    Method,
    /// The path does not exist.
    NotFound,
    /// HTTP/1.0 is rejected, HTTP/1.1 is not.
    Http10,
    /// Another status that is not a success code.
    Unexpected(u16),
}

impl RefusedRequest {
    /// The refusals that a trial with another method or version of HTTP recognises.
    pub(super) async fn diagnose(result: &ClientResult, trials: &mut TrialPolls<'_>) -> Option<Self> {
        let profile = &result.client.profile;
        if profile.method != Method::GET && trials.succeeds_with_get(result).await {
            return Some(Self::Method);
        }
        // These status codes reject the version, whatever else is wrong.
        let status = result.outcome.status();
        let rejects_version = matches!(status, Some(StatusCode::UPGRADE_REQUIRED | StatusCode::HTTP_VERSION_NOT_SUPPORTED));
        if profile.http_1_0 && (rejects_version || trials.succeeds_with_http_1_1(result).await) {
            return Some(Self::Http10);
        }
        None
    }

    /// The refusal that a status stands for.
    pub(super) fn from_response(response: &PollResponse) -> Self {
        match response.status {
            StatusCode::FORBIDDEN if protects_from_csrf(&response.body) => Self::Csrf,
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => Self::Credentials,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Self::Method,
            StatusCode::NOT_FOUND => Self::NotFound,
            status => Self::Unexpected(status.as_u16()),
        }
    }

    pub(super) fn explain(&self, context: &Context<'_>) -> Explanation {
        let first = context.first();
        let path = context.path();
        match self {
            Self::Csrf => explanation(
                "csrf",
                "CSRF protection rejects the health check",
                first.received(),
                [format!(
                    "Exempt `{path}` from CSRF protection (Django: `@csrf_exempt` on its view), and respond to GET: clients send no CSRF \
                     token."
                )],
            ),
            Self::Credentials => {
                let mut fix = context.settings(Remedy::AllowAnonymous, &[Software::Nginx, Software::Apache]);
                fix.insert(0, format!("Exempt `{path}` from authentication."));
                explanation(
                    "credentials",
                    "The path requires authentication, but health checks send no credentials",
                    first.received_with_body(),
                    fix,
                )
            }
            Self::Forbidden => forbidden(context),
            Self::Method => method(context),
            Self::NotFound => explanation(
                "not_found",
                format!("The path `{path}` does not exist"),
                first.received(),
                ["Set the health check path to a path that exists."],
            ),
            Self::Http10 => explanation(
                "http_1_0",
                "The server rejects HTTP/1.0 without a Host header",
                first.received_with_body(),
                [format!(
                    "HAProxy: add `http-check send meth GET uri {} ver HTTP/1.1 hdr Host {}` below `option httpchk`.",
                    first.path_and_query(),
                    authority(&context.target.url)
                )],
            ),
            Self::Unexpected(status) => {
                // An error must not become a success code.
                let also = (200..300)
                    .contains(status)
                    .then(|| format!("Or add {status} to the client's success codes, if they can be configured."));
                explanation(
                    "unexpected_status",
                    format!("{status} is not a success code"),
                    format!("{}; {} accepts {}", first.received_with_body(), first.client.label, first.client.profile.success),
                    ["Respond with 200; the server's log may show why it does not.".to_owned()].into_iter().chain(also),
                )
            }
        }
    }
}

fn forbidden(context: &Context<'_>) -> Explanation {
    let first = context.first();
    // Rails sends nothing else that would identify it.
    let is_empty = first.outcome.response.as_ref().is_some_and(|response| response.body.is_empty());
    let usual: &[Software] = if is_empty { &[Software::Rails] } else { &[] };
    let mut fix = context.settings(Remedy::AllowAccess, usual);
    fix.extend([
        format!(
            "Allow access to `{}`: IP allow lists, permissions of the app, and directories without an index file return this status.",
            context.path()
        ),
        "A web application firewall returns it as well: allow the client's user agent.".to_owned(),
    ]);
    explanation("forbidden", "The server forbids the health check", first.received_with_body(), fix)
}

fn method(context: &Context<'_>) -> Explanation {
    let (first, path) = (context.first(), context.path());
    let method = first.client.profile.method;
    let allowed = first.outcome.response.as_ref().and_then(|response| response.header(ALLOW));
    let allowed = allowed.map_or_else(String::new, |allowed| format!("; Allow: {}", excerpt(allowed)));
    let fix = if method == "GET" {
        vec![format!("Respond to GET at `{path}`: the client sends no other method.")]
    } else {
        vec![
            format!("HAProxy: `option httpchk GET {}`.", first.path_and_query()),
            format!("Respond to {method} at `{path}` with 200, as to GET."),
        ]
    };
    explanation("method", format!("The path does not accept {method}"), format!("{}{allowed}", first.received()), fix)
}
