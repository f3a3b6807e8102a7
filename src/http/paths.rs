//! The one list of paths. Routes, the labels of counters, the fast path and the doctor derive from it.

use crate::{dialect::html, report::View};

/// What is served at a path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Endpoint {
    /// The report on a view.
    Report(View),
    /// The metrics.
    Metrics,
    /// A call of `grpc.health.v1.Health`.
    Grpc(HealthCall),
    /// The default health check path of gRPC target groups of an Application Load Balancer.
    Alb,
    /// The live events of the status page.
    Events,
    /// A file that the status page loads: its media type and content.
    Asset(&'static str, &'static str),
    /// A command that needs the token; only the binary serves these.
    Admin(AdminCommand),
}

/// The calls of the gRPC service `grpc.health.v1.Health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HealthCall {
    /// The status of one service.
    Check,
    /// The status of one service, now and after every change.
    Watch,
    /// The status of every service.
    List,
}

/// The commands that a client with the token may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminCommand {
    /// Fail readiness.
    Drain,
    /// Accept traffic again.
    Undrain,
    /// Read the configuration again.
    Reload,
}

/// Every path but `/health/NAME`. Each is also served with a trailing slash. The page's own paths begin with an underscore, which no component's or
/// group's name does.
pub(crate) const PATHS: &[(&str, Endpoint)] = &[
    (WHOLE, Endpoint::Report(View::Whole)),
    (ROOT, Endpoint::Report(View::Whole)),
    ("/readyz", Endpoint::Report(View::Ready)),
    ("/livez", Endpoint::Report(View::Live)),
    ("/startupz", Endpoint::Report(View::Startup)),
    ("/healthz", Endpoint::Report(View::Whole)),
    ("/metrics", Endpoint::Metrics),
    ("/grpc.health.v1.Health/Check", Endpoint::Grpc(HealthCall::Check)),
    ("/grpc.health.v1.Health/Watch", Endpoint::Grpc(HealthCall::Watch)),
    ("/grpc.health.v1.Health/List", Endpoint::Grpc(HealthCall::List)),
    ("/AWS.ALB/healthcheck", Endpoint::Alb),
    ("/admin/drain", Endpoint::Admin(AdminCommand::Drain)),
    ("/admin/undrain", Endpoint::Admin(AdminCommand::Undrain)),
    ("/admin/reload", Endpoint::Admin(AdminCommand::Reload)),
    ("/health/_events", Endpoint::Events),
    ("/health/_assets/allswell.css", Endpoint::Asset("text/css; charset=utf-8", html::STYLE)),
    ("/health/_assets/allswell.js", Endpoint::Asset("text/javascript; charset=utf-8", html::SCRIPT)),
];

/// The path of the status page. An application that embeds the routes serves its own page there.
pub(crate) const ROOT: &str = "/";

/// The path of the whole report.
pub(super) const WHOLE: &str = "/health";

/// The path of `OPTIONS *`, which asks about the server as a whole: RFC 9110, section 9.3.7.
#[cfg(feature = "server")]
pub(super) const ASTERISK: &str = "*";

/// The prefix of the paths of components and groups.
pub(super) const NAMED_PREFIX: &str = "/health/";

/// The label of a counter for all components and groups. Like [`OTHER_LABEL`] it is fixed, so that clients cannot add labels.
pub(super) const NAMED_LABEL: &str = "/health/NAME";
/// The label of a counter for all unknown paths.
const OTHER_LABEL: &str = "other";

/// The endpoint of a request's path, and the path as it is listed.
pub(crate) fn endpoint(path: &str) -> Option<(&'static str, &'static Endpoint)> {
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    PATHS.iter().find(|(listed, _)| *listed == path).map(|(listed, endpoint)| (*listed, endpoint))
}

/// Whether it is the path of the status page.
pub(super) fn is_root(path: &str) -> bool {
    endpoint(path).is_some_and(|(listed, _)| listed == ROOT)
}

/// The name of a component or group in a path.
#[cfg(feature = "cli")]
pub(crate) fn name(path: &str) -> Option<&str> {
    path.strip_prefix(NAMED_PREFIX).map(|name| name.strip_suffix('/').unwrap_or(name))
}

/// The label under which responses at a path are counted.
pub(super) fn label(path: &str) -> &'static str {
    match endpoint(path) {
        Some((listed, endpoint)) if !endpoint.is_part_of_page() => listed,
        _ if path.starts_with(NAMED_PREFIX) => NAMED_LABEL,
        _ => OTHER_LABEL,
    }
}

/// Whether a client that requests the path polls for a verdict.
pub(super) fn is_verdict(path: &str) -> bool {
    match endpoint(path) {
        Some((_, endpoint)) => matches!(endpoint, Endpoint::Report(_) | Endpoint::Grpc(_) | Endpoint::Alb),
        None => path.starts_with(NAMED_PREFIX) && !path.starts_with("/health/_"),
    }
}

#[cfg(feature = "server")]
impl AdminCommand {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Undrain => "undrain",
            Self::Reload => "reload",
        }
    }
}

impl Endpoint {
    const fn is_part_of_page(&self) -> bool {
        matches!(self, Self::Events | Self::Asset(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_share_a_label_and_unknown_paths_another() {
        for (path, expected) in [
            ("/", "/"),
            ("/health", "/health"),
            ("/health/", "/health"),
            ("/health/db", "/health/NAME"),
            ("/health/a/b/c", "/health/NAME"),
            ("/health/_events", "/health/NAME"),
            ("/wp-login.php", "other"),
            ("/livez//", "other"),
            ("//", "/"),
            ("*", "other"),
            ("", "other"),
        ] {
            assert_eq!(label(path), expected, "{path}");
        }
    }

    #[test]
    fn only_requests_for_a_verdict_are_polls() {
        for (path, expected) in [
            ("/health/", true),
            ("/health/db", true),
            ("/AWS.ALB/healthcheck", true),
            ("/health/_events", false),
            ("/health/_unknown", false),
            ("/metrics", false),
            ("/admin/drain", false),
            ("/favicon.ico", false),
        ] {
            assert_eq!(is_verdict(path), expected, "{path}");
        }
    }

    #[test]
    fn no_path_is_listed_twice() {
        let paths: std::collections::BTreeSet<_> = PATHS.iter().map(|(path, _)| path).collect();
        assert_eq!(paths.len(), PATHS.len());
    }
}
