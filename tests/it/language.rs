//! The words of this project: plain English, everywhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Words that made readers work, in prose and in names; the guide for contributors says what to write instead.
const AVOIDED_WORDS: [&str; 14] =
    ["told", "tell", "tells", "telling", "mend", "mends", "mended", "whom", "whoever", "wish", "wishes", "wants", "lest", "beside"];

/// The same for more than one word.
const AVOIDED_PHRASES: [&str; 7] = [" for ever ", " so many ", " is none of ", " be it ", " in vain ", " sort of ", " sorts of "];

/// Lines with words of others: a directive of systemd, and a server in a test that is rude.
const EXCEPTIONS: [&str; 2] = ["Wants=", "Please tell me your password"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn texts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "vendor", ".git"].contains(&name.as_str()) {
                texts(&path, found);
            }
        } else if path.extension().is_some_and(|extension| {
            ["rs", "md", "toml", "yml", "yaml", "snap", "service", "sh", "json", "cfg", "conf", "tf"].iter().any(|text| extension == *text)
        }) {
            found.push(path);
        }
    }
}

#[test]
fn the_project_is_written_in_plain_english() {
    let mut files = Vec::new();
    texts(root(), &mut files);
    assert!(files.len() > 300, "{} files", files.len());
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
        if path == "tests/it/language.rs" || path == "CONTRIBUTING.md" {
            continue;
        }
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !EXCEPTIONS.iter().any(|exception| line.contains(exception))) {
            let words: Vec<String> =
                line.split(|c: char| !c.is_alphabetic()).map(str::to_lowercase).filter(|word| !word.is_empty()).collect();
            let sentence = format!(" {} ", words.join(" "));
            let avoided = AVOIDED_WORDS.iter().filter(|avoided| words.iter().any(|word| word == *avoided));
            for avoided in avoided.chain(AVOIDED_PHRASES.iter().filter(|phrase| sentence.contains(**phrase))) {
                found.push(format!("{path}:{}: {}", number + 1, avoided.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
}
