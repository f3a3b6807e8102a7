//! `allswell validate`: prints every problem of a configuration, or what it would check. Starts nothing.

use super::{
    error::CommandError,
    exit::Exit,
    terminal::{print, print_warning},
};
use crate::{
    config::{Configured, Sources, load},
    kinds::Registry,
};
use allswell_checks::contract::TimeSpan;
use clap::Args;

/// The arguments of `validate`.
#[derive(Debug, Args)]
pub(super) struct Validate {
    /// Print every value and its origin
    #[arg(long)]
    explain: bool,
}

impl Validate {
    pub(super) fn run(&self, mut sources: Sources, registry: &Registry) -> Result<Exit, CommandError> {
        sources.explain = self.explain;
        let configured = load(&sources, registry)?;
        configured.warnings.iter().for_each(print_warning);
        let (checks, groups) = (configured.components.len(), configured.groups.len());
        print(&format!("the configuration is valid: {}, {}\n\n", with_number(checks, "check"), with_number(groups, "group")));
        print(&table(&plan(&configured)));
        if self.explain {
            let rows = configured.explained.iter().map(|one| vec![one.key.clone(), one.value.clone(), one.origin.clone()]);
            let title = ["key", "value", "from"].map(str::to_owned).to_vec();
            print(&format!("\n{}", table(&[title].into_iter().chain(rows).collect::<Vec<_>>())));
        }
        Ok(Exit::Done)
    }
}

/// The table of the checks: how each counts, and when it would be noticed.
fn plan(configured: &Configured) -> Vec<Vec<String>> {
    let mut rows = vec![["check", "kind", "counts", "interval", "timeout", "noticed within", "from"].map(str::to_owned).to_vec()];
    for component in &configured.components {
        let policy = &component.policy;
        let counts = match (policy.enabled, policy.critical) {
            (false, _) => "muted",
            (true, true) => "critical",
            (true, false) => "warning",
        };
        rows.push(vec![
            component.name.to_string(),
            component.kind.to_owned(),
            counts.to_owned(),
            TimeSpan(policy.interval).to_string(),
            TimeSpan(policy.timeout).to_string(),
            if policy.enabled { TimeSpan(policy.worst_detection()).whole_millis().to_string() } else { "never".to_owned() },
            configured.origins.get(&component.name).cloned().unwrap_or_default(),
        ]);
    }
    rows
}

fn with_number(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Columns, each as wide as its widest value.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!([0, 1, 2].map(|number| with_number(number, "check")), ["0 checks", "1 check", "2 checks"]);
    }
}
