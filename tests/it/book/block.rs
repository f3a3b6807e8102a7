//! Fenced blocks of a page.

use super::root;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A block. One in a comment prepares what the page shows.
pub(super) struct Block {
    page: PathBuf,
    line: usize,
    pub(super) language: String,
    /// The text after the language and a comma.
    pub(super) attribute: String,
    pub(super) text: String,
}

impl Block {
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.page.strip_prefix(root()).unwrap_or(&self.page).display(), self.line)
    }

    /// Whether a session runs it.
    pub(super) fn is_run(&self) -> bool {
        matches!(self.language.as_str(), "sh" | "console") && self.attribute.is_empty()
    }
}

/// All blocks of a page, in order.
pub(super) fn blocks(page: &Path) -> Vec<Block> {
    let text = fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    let mut lines = text.lines().enumerate();
    let mut found = Vec::new();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let (language, attribute) = info.split_once(',').unwrap_or((info, ""));
        let mut block =
            Block { page: page.to_owned(), line: number + 1, language: language.into(), attribute: attribute.into(), text: String::new() };
        for (_, line) in lines.by_ref().take_while(|(_, line)| !line.trim_start().starts_with("```")) {
            block.text.push_str(line.get(indent..).unwrap_or_default());
            block.text.push('\n');
        }
        found.push(block);
    }
    found
}
