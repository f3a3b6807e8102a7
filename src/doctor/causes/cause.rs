//! All families of causes, and the order in which they are tried.

use super::{
    client_rule::ClientRule,
    connection::Connection,
    explanation::{Context, Explanation},
    host::HostRejection,
    proxy_header::ProxyHeader,
    redirect::Redirect,
    refusal::RefusedRequest,
    self_reported::SelfReported,
    server_error::ServerError,
    tls::TlsProblem,
};
use crate::doctor::{result::ClientResult, trials::TrialPolls};

/// Why a client reports unhealthy. Findings are printed in the order of the variants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::doctor) enum Cause {
    ProxyHeader(ProxyHeader),
    Connection(Connection),
    Tls(TlsProblem),
    Redirect(Redirect),
    Host(HostRejection),
    Refusal(RefusedRequest),
    ClientRule(ClientRule),
    SelfReported(SelfReported),
    ServerError(ServerError),
}

/// The cause of an unhealthy result. Each row relies on the rows above it: they did not recognise a cause.
pub(in crate::doctor) async fn diagnose(result: &ClientResult, trials: &mut TrialPolls<'_>) -> Cause {
    if let Some(cause) = ClientRule::diagnose(result) {
        return Cause::ClientRule(cause);
    }
    if let Some(cause) = ProxyHeader::diagnose(result, trials).await {
        return Cause::ProxyHeader(cause);
    }
    if let Some(redirect) = Redirect::diagnose(result, trials).await {
        // Some servers redirect every request with an unknown Host header.
        return match HostRejection::diagnose_redirect(&redirect, result, trials).await {
            Some(cause) => Cause::Host(cause),
            None => Cause::Redirect(redirect),
        };
    }
    if let Some(cause) = TlsProblem::diagnose(result, trials).await {
        return Cause::Tls(cause);
    }
    if let Some(cause) = Connection::diagnose(result, trials).await {
        return Cause::Connection(cause);
    }
    if let Some(cause) = SelfReported::diagnose(result) {
        return Cause::SelfReported(cause);
    }
    if let Some(cause) = HostRejection::diagnose(result, trials).await {
        return Cause::Host(cause);
    }
    if let Some(cause) = RefusedRequest::diagnose(result, trials).await {
        return Cause::Refusal(cause);
    }
    if let Some(cause) = ServerError::diagnose(result, trials).await {
        return Cause::ServerError(cause);
    }
    if let Some(cause) = Redirect::diagnose_not_found(result, trials).await {
        return Cause::Redirect(cause);
    }
    match result.outcome.complete_response() {
        Some(response) => Cause::Refusal(RefusedRequest::from_response(response)),
        None => Cause::Connection(Connection::without_response(result)),
    }
}

impl Cause {
    pub(in crate::doctor) fn explain(&self, context: &Context<'_>) -> Explanation {
        match self {
            Self::ProxyHeader(cause) => cause.explain(context),
            Self::Connection(cause) => cause.explain(context),
            Self::Tls(cause) => cause.explain(context),
            Self::Redirect(cause) => cause.explain(context),
            Self::Host(cause) => cause.explain(context),
            Self::Refusal(cause) => cause.explain(context),
            Self::ClientRule(cause) => cause.explain(context),
            Self::SelfReported(cause) => cause.explain(context),
            Self::ServerError(cause) => cause.explain(context),
        }
    }
}
