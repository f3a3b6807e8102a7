//! What allswell itself is set to, and what each of its paths means to who polls it.

use crate::{
    component::{CheckName, Policy},
    http::paths::{self, Endpoint, HealthCall},
    report::View,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What allswell itself is set to.
#[derive(Clone, Debug)]
pub struct Own {
    /// `server.listen`'s port.
    pub port: Option<u16>,
    /// `server.deadline`.
    pub deadline: Duration,
    /// `server.drain`.
    pub drain: Duration,
    /// `server.fail_status`.
    pub fail_status: u16,
    /// `server.warn_status`.
    pub warn_status: u16,
    /// Every component that is probed, and how.
    pub components: BTreeMap<CheckName, Policy>,
    /// The groups: whom each judges, and its own status for `fail`, where it has one.
    pub groups: BTreeMap<CheckName, (BTreeSet<String>, Option<u16>)>,
}

/// What a path of ours is.
pub(super) enum Meant<'a> {
    /// A verdict: its status for `fail`, and the components that can bring it about.
    Verdict(u16, Vec<(&'a CheckName, &'a Policy)>),
    /// Something that never fails as a balancer would want it to.
    Never(&'static str),
    /// Nothing.
    Unknown,
}

impl Own {
    /// The components that can make a path fail.
    pub(super) fn judged_at(&self, path: &str) -> Vec<(&CheckName, &Policy)> {
        match self.meant(path) {
            Meant::Verdict(_, judged) => judged,
            Meant::Never(_) | Meant::Unknown => Vec::new(),
        }
    }

    fn critical(&self, is_member: impl Fn(&CheckName) -> bool) -> Vec<(&CheckName, &Policy)> {
        self.components.iter().filter(|(name, policy)| policy.critical && policy.enabled && is_member(name)).collect()
    }

    pub(super) fn meant(&self, path: &str) -> Meant<'_> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if ["format=openmetrics", "format=atom", "format=rss"].iter().any(|format| query.split('&').any(|pair| pair == *format)) {
            return Meant::Never("in this format it is always answered with 200");
        }
        let name = match paths::endpoint(path).map(|(_, endpoint)| endpoint) {
            Some(Endpoint::Report(View::Whole) | Endpoint::Alb | Endpoint::Grpc(HealthCall::Check)) => {
                return Meant::Verdict(self.fail_status, self.critical(|_| true));
            }
            Some(Endpoint::Report(View::Ready)) => "ready",
            Some(Endpoint::Report(View::Live)) => "live",
            Some(Endpoint::Report(View::Startup)) => "startup",
            Some(Endpoint::Metrics) => return Meant::Never("it is always answered with 200"),
            _ => match paths::name(path) {
                Some(name) => name,
                None => return Meant::Unknown,
            },
        };
        let component = self.components.iter().find(|(component, _)| component.as_str() == name);
        let group = self.groups.iter().find(|(group, _)| group.as_str() == name);
        match (component, group, name) {
            (Some(one), ..) => Meant::Verdict(self.fail_status, vec![one]),
            (None, Some((_, (members, status))), _) => {
                Meant::Verdict(status.unwrap_or(self.fail_status), self.critical(|name| members.contains(name.as_str())))
            }
            (None, None, "ready") => Meant::Verdict(self.fail_status, self.critical(|_| true)),
            (None, None, "live") => Meant::Never("it fails only when allswell itself does, and is never drained"),
            (None, None, "startup") => Meant::Never("it is well for ever once all was well, and is never drained"),
            (None, None, _) => Meant::Unknown,
        }
    }
}
