//! The result of loading: a configuration without problems.

use super::{
    explain::Explained,
    problem::Problem,
    settings::{GroupSettings, Settings},
};
use crate::component::{CheckName, Component};
use allswell_checks::contract::Redactor;
use std::{collections::BTreeMap, path::PathBuf};

/// A configuration without problems.
#[derive(Debug)]
pub struct Configured {
    /// Everything except checks and groups.
    pub settings: Settings,
    /// The components, by name.
    pub components: Vec<Component>,
    /// The place, the variable or `this host` that each component comes from.
    pub origins: BTreeMap<CheckName, String>,
    /// The groups.
    pub groups: BTreeMap<CheckName, GroupSettings>,
    /// Whether the configuration has checks; otherwise they were discovered.
    pub has_configured_checks: bool,
    /// The files that were read: configuration files and the files of secrets.
    pub files: Vec<PathBuf>,
    /// Whether all checks examine only the host.
    pub only_host: bool,
    /// Every value and its place; empty unless [`Sources::explain`](super::Sources::explain) is set.
    pub explained: Vec<Explained>,
    /// Problems that do not prevent the start.
    pub warnings: Vec<Problem>,
    /// Removes every secret of this configuration from a text.
    pub redactor: Redactor,
}
