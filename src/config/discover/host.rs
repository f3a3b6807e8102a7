//! The checks of the host itself.

use crate::{
    config::{discovered::Discovered, environment::Environment},
    kinds::Registry,
};
use allswell_checks::contract::HostCheck;
use figment::value::Value;
use std::collections::BTreeMap;

/// The directory for temporary files where `TMPDIR` is not set.
const DEFAULT_TEMP_DIR: &str = "/tmp";

/// The checks of the host itself.
pub(super) fn on_host(environment: &Environment, registry: &Registry) -> Vec<Discovered> {
    let mut found = Vec::new();
    for kind in registry.kinds() {
        let path = match kind.host_check {
            None => continue,
            Some(HostCheck::Defaults) => None,
            Some(HostCheck::Path(path)) => Some(path),
            Some(HostCheck::TempDir) => Some(environment.get("TMPDIR").unwrap_or(DEFAULT_TEMP_DIR)),
        };
        let Ok(name) = kind.name.parse() else { continue };
        let table = path.map(|path| ("path".to_owned(), Value::from(path))).into_iter().collect();
        found.push(Discovered { name, kind: kind.name, table, variables: BTreeMap::new(), origin: "this host".to_owned(), is_host: true });
    }
    found
}
