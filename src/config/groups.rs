//! Reads `[groups.NAME]`: components that are judged together.

use super::{
    diagnostics::Diagnostics,
    settings::{FAIL_STATUS, GroupSettings, status_issue},
    unknown_keys::add_hints,
};
use crate::{
    component::CheckName,
    kinds::{
        Registry,
        issue::{ConfigIssue, Issue},
        read::{read, suggestion_or_all},
    },
};
use figment::value::Dict;
use schemars::schema_for;
use std::collections::BTreeMap;

/// Groups that are always there and that no configuration can change; `ready` is built in, too, but can be configured.
const RESERVED_GROUPS: [&str; 2] = ["live", "startup"];

/// Reads all groups; `checks` are the names of all checks.
pub(super) fn read_groups(
    tables: BTreeMap<String, Dict>,
    checks: &[String],
    diagnostics: &mut Diagnostics<'_>,
    registry: &Registry,
) -> BTreeMap<CheckName, GroupSettings> {
    let schema = schema_for!(GroupSettings).to_value();
    let mut groups = BTreeMap::new();
    for (name, mut table) in tables {
        let path = ["groups".to_owned(), name.clone()];
        diagnostics.prepare(&mut table, &schema, &path);
        let mut issues = Vec::new();
        let group: Option<GroupSettings> = read(&table, &schema, &mut issues);
        add_hints(&mut issues, registry, &|| schema.clone(), &table);
        if let Some(group) = &group {
            issues.extend(group.fail_status.and_then(|code| status_issue("fail_status", code, FAIL_STATUS)));
            for (index, check) in group.checks.iter().enumerate().filter(|(_, check)| !checks.contains(check)) {
                let hint = suggestion_or_all(check, "checks", checks.iter().map(String::as_str));
                issues.push(ConfigIssue::new(["checks".to_owned(), index.to_string()], Issue::UnknownCheck).with_hint(Some(hint)));
            }
        }
        if checks.contains(&name) {
            issues.push(ConfigIssue::of_table("a check has the same name, and /health/NAME can show only one of them: rename one"));
        }
        if RESERVED_GROUPS.contains(&name.as_str()) {
            issues.push(ConfigIssue::of_table("this group is built in and cannot be changed: choose another name"));
        }
        match (name.parse::<CheckName>(), group) {
            (Ok(name), Some(group)) => {
                groups.insert(name, group);
            }
            (Err(invalid), _) => issues.push(ConfigIssue::of_table(invalid.to_string())),
            (Ok(_), None) => {}
        }
        diagnostics.report(&path, issues);
    }
    groups
}
