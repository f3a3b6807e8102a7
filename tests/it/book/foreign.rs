//! Validates blocks: by cargo, which has compiled the same text; by the shell; by our command line; and by a file of the repository.

use super::root;
use std::{fs, path::Path, process::Command};

/// The sources that cargo compiles with the tests, including documentation tests, without the lines that rustdoc hides.
pub(super) fn compiled() -> Vec<String> {
    let mut sources = Vec::new();
    for folder in ["examples", "checks", "src", "tests/it"] {
        for source in texts(&root().join(folder), &|path| path.extension().is_some_and(|extension| extension == "rs")) {
            let shown = source.lines().filter_map(|line| line.strip_prefix("//!")).map(|line| line.strip_prefix(' ').unwrap_or(line));
            let shown: Vec<&str> = shown.filter(|line| !line.starts_with("# ")).collect();
            sources.extend([shown.join("\n"), source]);
        }
    }
    sources
}

/// Whether these lines are in a file that is used and validated elsewhere.
pub(super) fn stands_in_the_repository(text: &str) -> bool {
    let text = text.trim_end();
    let folders = ["deploy", "config", "examples", "checks", "tests"].map(|folder| root().join(folder));
    let compose = fs::read_to_string(root().join("docker-compose.yml")).expect("a file");
    compose.contains(text) || folders.iter().any(|folder| texts(folder, &|_| true).iter().any(|file| file.contains(text)))
}

fn texts(folder: &Path, is_wanted: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(texts(&path, is_wanted));
        } else if is_wanted(&path) {
            // A file that is no text has no excerpt.
            found.extend(fs::read_to_string(path));
        }
    }
    found
}

/// Fails if the shell cannot parse a script, or with the problems that `ShellCheck` finds, if it is installed.
pub(super) fn read_by_shell(script: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("script");
    fs::write(&file, script).expect("a file");
    let problems_of = |command: &mut Command| match command.arg(&file).output() {
        Ok(output) if !output.status.success() => {
            Err(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
        }
        Ok(_) | Err(_) => Ok(()),
    };
    problems_of(Command::new("bash").arg("-n"))?;
    problems_of(Command::new("shellcheck").args(["--shell=bash", "--severity=warning"]))
}

/// Fails if Python cannot parse a module.
pub(super) fn read_by_python(module: &str) -> Result<(), String> {
    let read = Command::new("/usr/bin/python3").args(["-c", "import ast, sys; ast.parse(sys.argv[1])", module]).output();
    let read = read.map_err(|error| format!("python3: {error}"))?;
    if read.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&read.stderr).into_owned()) }
}

/// The words of each call of `allswell` in a line of shell. Supports as much of `$(…)`, quotes and redirections as the examples use.
pub(super) fn commands_of_ours(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" #").next().unwrap_or(line);
    let mut calls = Vec::new();
    for command in line.split(['|', ';', '&', '(', ')', '{', '}']) {
        let words: Vec<String> = command.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect();
        let begin = words.iter().position(|word| word == "allswell" || word.ends_with("/allswell"));
        // After another word, `allswell` is an argument of another program, unless that word is an assignment.
        let Some(begin) = begin.filter(|begin| words[..*begin].iter().all(|word| word.contains('=') || word == "exec")) else { continue };
        let is_redirection = |word: &&String| !word.contains('>') && !word.contains('<');
        calls.push(words[begin..].iter().take_while(is_redirection).cloned().collect());
    }
    calls
}
