//! `allswell validate`: every problem of a configuration, and nothing started.

use super::{DONE, complain, configured, print};
use crate::{config::Sources, registry::Registry};

pub(super) fn run(sources: &Sources, registry: &Registry) -> u8 {
    match configured(sources, registry) {
        Ok(configured) => {
            for warning in &configured.warnings {
                complain(&format!("warning: {warning}"));
            }
            let (checks, groups) = (configured.components.len(), configured.groups.len());
            print(&format!("the configuration is valid: {checks} checks, {groups} groups\n"));
            for component in &configured.components {
                let from = configured.origins.get(&component.name).map_or("", String::as_str);
                print(&format!("  {}  {}  from {from}\n", component.name, component.kind));
            }
            DONE
        }
        Err(code) => code,
    }
}
