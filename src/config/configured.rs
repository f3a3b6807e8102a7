//! A configuration that can be run.

use super::{
    error::Problem,
    explain::Explained,
    settings::{GroupSettings, Settings},
};
use crate::component::{CheckName, Component};
use allswell_checks::contract::Redactor;
use std::{collections::BTreeMap, path::PathBuf};

/// A configuration that can be run.
#[derive(Debug)]
pub struct Configured {
    /// Everything but the checks and the groups.
    pub settings: Settings,
    /// The components, by name.
    pub components: Vec<Component>,
    /// Where each component was asked for.
    pub origins: BTreeMap<CheckName, String>,
    /// The groups.
    pub groups: BTreeMap<CheckName, GroupSettings>,
    /// The checks were asked for, and not discovered.
    pub asked: bool,
    /// The files that were read: of the configuration, and of the secrets that it names.
    pub files: Vec<PathBuf>,
    /// Nothing but the host is checked.
    pub only_host: bool,
    /// Where every value comes from.
    pub explained: Vec<Explained>,
    /// What deserves a look and stops nothing.
    pub warnings: Vec<Problem>,
    /// Knows every secret in it.
    pub redactor: Redactor,
}
