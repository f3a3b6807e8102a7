//! A check that discovery found in the environment or on the host, before it becomes a component.

use crate::component::CheckName;
use figment::value::Dict;
use std::collections::BTreeMap;

/// A check that no configuration names.
#[derive(Debug)]
pub(crate) struct Discovered {
    pub(crate) name: CheckName,
    pub(crate) kind: &'static str,
    /// The kind's own keys.
    pub(crate) table: Dict,
    /// The variable that holds exactly the value of a key, by key: `url`, or in an inner table `tls.ca_file`.
    pub(crate) variables: BTreeMap<&'static str, String>,
    /// The variable, or `this host`.
    pub(crate) origin: String,
    /// The check examines only this machine and is never critical.
    pub(crate) is_host: bool,
}
