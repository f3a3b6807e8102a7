//! Warns about the content of files: invisible characters in values, and files without content.

use crate::config::{
    locate::{ConfigFile, Places},
    place::Place,
    problem::Problem,
    syntax::invisible_name,
};
use std::path::Path;

/// Keys of texts for people, in which invisible characters do no harm.
const FOR_PEOPLE: &[&str] = &["description", "name", "version", "instance"];

/// A warning for each value of a file with an invisible character, and for each empty file.
pub(in crate::config) fn warnings(documents: &[ConfigFile], places: &Places<'_>) -> Vec<Problem> {
    let mut found: Vec<Problem> = documents.iter().filter(|document| is_empty_by_mistake(document)).map(empty).collect();
    for (path, text) in documents.iter().flat_map(ConfigFile::texts) {
        let hidden = text.chars().find_map(|c| Some((c, invisible_name(c)?)));
        if let Some((c, name)) = hidden
            && !path.last().is_some_and(|key| FOR_PEOPLE.contains(&key.as_str()))
        {
            let message = format!("the value contains the invisible character U+{:04X} ({name}): type the value again", u32::from(c));
            found.push(Problem { place: places.place_of(&path), path, message, hint: None });
        }
    }
    found
}

/// `--config /dev/null` is how scripts ask for no file at all.
fn is_empty_by_mistake(document: &ConfigFile) -> bool {
    document.text().trim().is_empty() && document.path != Path::new("/dev/null")
}

fn empty(document: &ConfigFile) -> Problem {
    let place = Place::File { path: document.path.clone(), at: None };
    Problem { place, path: Vec::new(), message: "the file is empty, so it configures nothing".to_owned(), hint: None }
}
