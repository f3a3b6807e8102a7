//! Python scripts that parse our output with the libraries that our users use.

use super::in_venv;
use serde_json::Value;
use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Runs a script in a virtual environment with a text as its input, and returns the JSON that it prints.
pub(crate) fn reading(venv: &str, script: &str, text: &str) -> Value {
    let mut command = Command::new(in_venv(venv, "python"));
    let mut child =
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("Python starts");
    // The script may fail before it has read everything; its output is printed below.
    let _ = child.stdin.take().expect("a pipe").write_all(text.as_bytes());
    let output = child.wait_with_output().expect("the process ends");
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}\n{errors}\nof\n{text}"))
}
