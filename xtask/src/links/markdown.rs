//! Links and headings of a page of Markdown, outside of its code.

use super::{Link, Page};
use std::collections::BTreeSet;

pub(super) fn page(text: &str) -> Page {
    let (mut links, mut anchors) = (Vec::new(), BTreeSet::new());
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        if line.starts_with('#') {
            let anchor = slug(line.trim_start_matches('#').trim());
            // A second heading of the same words has a number.
            let repeated = (1..100).map(|count| format!("{anchor}-{count}")).find(|name| !anchors.contains(name));
            if !anchors.insert(anchor) {
                anchors.extend(repeated);
            }
        }
        let line = without_code(line);
        links.extend(targets(&line).map(|target| Link { line: number + 1, target: target.to_owned(), part: false }));
    }
    Page { links, anchors }
}

/// What stands in `](…)`, or behind `[…]:` at a line's beginning.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let definition = line.strip_prefix('[').and_then(|line| line.split_once("]: ")).map(|(_, target)| target.trim());
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    definition.into_iter().chain(inline)
}

/// A line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// A heading's anchor, as forges and mdBook make it.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_headings_are_found_outside_of_code() {
        let text = "# How long, then?\n\n[a](b.md#c) and `[no](link)` and ![d](e.png)\n\n```sh\n# [no](link)\n```\n\n[f]: ../g.md\n\n# How long, then?\n";
        let Page { links, anchors } = page(text);
        let found: Vec<_> = links.iter().map(|link| (link.line, link.target.as_str())).collect();
        assert_eq!(found, [(3, "b.md#c"), (3, "e.png"), (9, "../g.md")]);
        assert_eq!(anchors.into_iter().collect::<Vec<_>>(), ["how-long-then", "how-long-then-1"]);
    }
}
