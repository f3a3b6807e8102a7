//! What allswell says about mistakes in configurations: one snapshot of all messages, to be read from top to bottom.

mod corpus;
mod pem;

use allswell::{
    config::{Sources, load},
    kinds::Registry,
};
use std::fs;

/// Every line about a configuration, errors and then warnings, without the name of the folder.
fn lines(text: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.toml");
    crate::helpers::write_private(&file, text);
    let sources = Sources { files: vec![file], ..Sources::default() };
    let lines = match load(&sources, &Registry::builtin()) {
        Ok(configured) => configured.warnings.iter().map(|warning| format!("warning: {warning}")).collect::<Vec<_>>().join("\n"),
        Err(error) => error.to_string(),
    };
    lines.replace(&format!("{}/", folder.path().display()), "")
}

/// The titles and messages of mistakes.
fn report(mistakes: Vec<(&str, String)>) -> String {
    let mut report = String::new();
    for (title, text) in mistakes {
        let lines = lines(&text);
        assert!(!lines.is_empty(), "{title}: no message");
        assert!(!lines.contains("hunter2"), "{title}: {lines}");
        let messages = lines.lines().filter(|line| !line.ends_with("nothing was started")).collect::<Vec<_>>().join("\n");
        report += &format!("# {title}\n{messages}\n\n");
    }
    report
}

#[test]
fn mistakes_in_the_syntax_are_explained() {
    insta::assert_snapshot!(report(corpus::syntax()));
}

#[test]
fn mistakes_in_keys_and_values_are_explained() {
    insta::assert_snapshot!(report(corpus::keys()));
}

#[test]
fn compressed_and_binary_files_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.toml");
    for (bytes, expected) in [
        (&b"\x1f\x8b\x08\0\0"[..], "a.toml: the file is compressed with gzip: unpack it"),
        (b"\xff\xfe[\0s\0", "a.toml: the file is UTF-16, as PowerShell writes it: save it as UTF-8"),
        (b"\x7fELF\x02\0\0\xff", "a.toml: the file is binary, not text"),
        (b"[service]\nname = \"M\xfcller\"\n", "a.toml: the file is not UTF-8: line 2 has a character in another encoding"),
    ] {
        fs::write(&file, bytes).expect("a file");
        let error =
            load(&Sources { files: vec![file.clone()], ..Sources::default() }, &Registry::builtin()).expect_err("no text").to_string();
        assert!(error.contains(expected), "{error}");
    }
}
