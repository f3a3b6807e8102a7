//! Reads the parts of a configuration file that are TOML, although others are not.

use toml_edit::{ImDocument, Table};

/// The whole text, if it is TOML; otherwise each of its tables that is, and of the others each line that is.
pub(super) fn readable_parts(text: &str) -> Vec<Table> {
    let text = text.trim_start_matches('\u{feff}');
    if let Some(whole) = parse(text) {
        return vec![whole];
    }
    let mut tables = vec![String::new()];
    for line in text.lines() {
        if line.trim_start().starts_with('[') {
            tables.push(String::new());
        }
        if let Some(table) = tables.last_mut() {
            table.push_str(line);
            table.push('\n');
        }
    }
    let parts = tables.iter().flat_map(|table| parse(table).map_or_else(|| lines_of_table(table), |table| vec![table]));
    parts.collect()
}

/// Each line of a table that is TOML by itself, below the table's header.
fn lines_of_table(table: &str) -> Vec<Table> {
    let header = table.lines().next().filter(|line| line.trim_start().starts_with('[')).unwrap_or_default();
    table.lines().skip(usize::from(!header.is_empty())).filter_map(|line| parse(&format!("{header}\n{line}\n"))).collect()
}

fn parse(text: &str) -> Option<Table> {
    ImDocument::parse(text).ok().map(ImDocument::into_table)
}
