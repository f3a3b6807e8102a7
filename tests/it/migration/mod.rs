//! Migration from django-health-check: the pages name all its parts, and the same backends get the same verdicts.

mod breakages;
mod by_hand;
mod names;
mod project;
mod side_by_side;

use std::{fs, path::Path};

/// A page below `docs/migration`.
fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migration").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The block of a page whose first line is `# TITLE`.
fn block(page: &str, title: &str) -> String {
    let mut fences = page.split("\n```");
    let found = fences.find_map(|fence| fence.split_once('\n').filter(|(_, text)| text.starts_with(&format!("# {title}\n"))));
    found.unwrap_or_else(|| panic!("the page has no block `# {title}`")).1.to_owned()
}
