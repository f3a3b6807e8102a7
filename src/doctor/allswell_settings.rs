//! The settings of the allswell that target groups poll, and what each of its paths reports.

use crate::{
    component::{CheckName, Policy},
    http::paths::{self, Endpoint, HealthCall},
    report::View,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The settings of allswell that have to fit those of a target group.
#[derive(Clone, Debug)]
pub struct AllswellSettings {
    /// The port of `server.listen`.
    pub port: Option<u16>,
    /// `server.deadline`.
    pub deadline: Duration,
    /// `server.drain`.
    pub drain: Duration,
    /// `server.fail_status`.
    pub fail_status: u16,
    /// `server.warn_status`.
    pub warn_status: u16,
    /// Whether `server.proxy_protocol` is "accept".
    pub accepts_proxy_header: bool,
    /// Every component and its policy.
    pub components: BTreeMap<CheckName, Policy>,
    /// Every group: its members, and its own `fail_status` if it has one.
    pub groups: BTreeMap<CheckName, (BTreeSet<String>, Option<u16>)>,
}

/// What a path of allswell reports.
pub(super) enum PathReport<'a> {
    /// A verdict.
    Verdict {
        /// The status code of `fail`.
        fail_status: u16,
        /// The components that can make it fail.
        components: Vec<(&'a CheckName, &'a Policy)>,
    },
    /// Nothing that a failing component can make fail: why.
    NeverFails(&'static str),
    /// The path does not exist.
    Unknown,
}

impl AllswellSettings {
    /// The components that can make a path fail.
    pub(super) fn components_of(&self, path: &str) -> Vec<(&CheckName, &Policy)> {
        match self.path_report(path) {
            PathReport::Verdict { components, .. } => components,
            PathReport::NeverFails(_) | PathReport::Unknown => Vec::new(),
        }
    }

    pub(super) fn path_report(&self, path: &str) -> PathReport<'_> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if ["format=openmetrics", "format=atom", "format=rss"].iter().any(|format| query.split('&').any(|pair| pair == *format)) {
            return PathReport::NeverFails("responses in this format always have status 200");
        }
        let whole = || self.verdict(self.fail_status, |_| true);
        let name = match paths::endpoint(path).map(|(_, endpoint)| endpoint) {
            Some(Endpoint::Report(View::Whole) | Endpoint::Alb | Endpoint::Grpc(HealthCall::Check)) => return whole(),
            Some(Endpoint::Report(View::Ready)) => "ready",
            Some(Endpoint::Report(View::Live)) => "live",
            Some(Endpoint::Report(View::Startup)) => "startup",
            Some(Endpoint::Metrics) => return PathReport::NeverFails("responses always have status 200"),
            _ => match paths::name(path) {
                Some(name) => name,
                None => return PathReport::Unknown,
            },
        };
        // Components and groups may have the names of the other views.
        if let Some(component) = self.components.iter().find(|(component, _)| component.as_str() == name) {
            return PathReport::Verdict { fail_status: self.fail_status, components: vec![component] };
        }
        if let Some((_, (members, status))) = self.groups.iter().find(|(group, _)| group.as_str() == name) {
            return self.verdict(status.unwrap_or(self.fail_status), |name| members.contains(name.as_str()));
        }
        match name {
            "ready" => whole(),
            "live" => PathReport::NeverFails("it only fails if allswell itself does, and ignores a drain"),
            "startup" => PathReport::NeverFails("it stays healthy once all checks have passed, and ignores a drain"),
            _ => PathReport::Unknown,
        }
    }

    fn verdict(&self, fail_status: u16, is_member: impl Fn(&CheckName) -> bool) -> PathReport<'_> {
        let can_fail = |(name, policy): &(&CheckName, &Policy)| policy.critical && policy.enabled && is_member(name);
        PathReport::Verdict { fail_status, components: self.components.iter().filter(can_fail).collect() }
    }
}
