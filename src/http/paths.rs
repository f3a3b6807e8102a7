//! The one list of paths. Routes, the labels of counters, the fast path and the doctor derive from it.

use crate::{dialect::html, report::View};

/// What a path answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Endpoint {
    /// The report on a view.
    Report(View),
    Metrics,
    Grpc(Call),
    /// The default health check path of gRPC target groups of an Application Load Balancer.
    Alb,
    /// The live events of the status page.
    Events,
    /// A file that the status page loads: its media type and content.
    Asset(&'static str, &'static str),
    /// What only the binary has, and only with the token.
    Admin(Order),
}

/// The calls of `grpc.health.v1.Health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Check,
    Watch,
    List,
}

/// The commands that an authorised client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Drain,
    Undrain,
    Reload,
}

/// Every path but `/health/NAME`. All of them are also served with a slash at the end. No component and no group has a name that begins with an
/// underscore.
pub(crate) const PATHS: &[(&str, Endpoint)] = &[
    ("/health", Endpoint::Report(View::Whole)),
    (ROOT, Endpoint::Report(View::Whole)),
    ("/readyz", Endpoint::Report(View::Ready)),
    ("/livez", Endpoint::Report(View::Live)),
    ("/startupz", Endpoint::Report(View::Startup)),
    ("/healthz", Endpoint::Report(View::Whole)),
    ("/metrics", Endpoint::Metrics),
    ("/grpc.health.v1.Health/Check", Endpoint::Grpc(Call::Check)),
    ("/grpc.health.v1.Health/Watch", Endpoint::Grpc(Call::Watch)),
    ("/grpc.health.v1.Health/List", Endpoint::Grpc(Call::List)),
    ("/AWS.ALB/healthcheck", Endpoint::Alb),
    ("/admin/drain", Endpoint::Admin(Order::Drain)),
    ("/admin/undrain", Endpoint::Admin(Order::Undrain)),
    ("/admin/reload", Endpoint::Admin(Order::Reload)),
    ("/health/_events", Endpoint::Events),
    ("/health/_assets/allswell.css", Endpoint::Asset("text/css; charset=utf-8", html::STYLE)),
    ("/health/_assets/allswell.js", Endpoint::Asset("text/javascript; charset=utf-8", html::SCRIPT)),
];

/// The status page's path; an application that embeds the routes has its own.
pub(crate) const ROOT: &str = "/";

/// The prefix of the paths of components and groups.
const NAMED: &str = "/health/";

/// The label of a counter: names of components and groups share one, and so do unknown paths, so that clients cannot add labels.
pub(super) const NAMED_LABEL: &str = "/health/NAME";
const OTHER_LABEL: &str = "other";

/// The listed path and its endpoint.
pub(crate) fn endpoint(path: &str) -> Option<(&'static str, &'static Endpoint)> {
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    PATHS.iter().find(|(listed, _)| *listed == path).map(|(listed, endpoint)| (*listed, endpoint))
}

/// The name of a component or group in a path.
#[cfg(feature = "cli")]
pub(crate) fn name(path: &str) -> Option<&str> {
    path.strip_prefix(NAMED).map(|name| name.strip_suffix('/').unwrap_or(name))
}

/// The label under which answers at a path are counted.
pub(super) fn label(path: &str) -> &'static str {
    match endpoint(path) {
        Some((listed, endpoint)) if !endpoint.is_part_of_page() => listed,
        _ if path.starts_with(NAMED) => NAMED_LABEL,
        _ => OTHER_LABEL,
    }
}

/// Whether a client that requests the path polls for a verdict.
pub(super) fn is_verdict(path: &str) -> bool {
    match endpoint(path) {
        Some((_, endpoint)) => matches!(endpoint, Endpoint::Report(_) | Endpoint::Grpc(_) | Endpoint::Alb),
        None => path.starts_with(NAMED) && !path.starts_with("/health/_"),
    }
}

#[cfg(feature = "server")]
impl Order {
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
    fn unknown_paths_share_a_label() {
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
    fn only_verdicts_are_polled() {
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
