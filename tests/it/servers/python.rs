//! Programs in Python that read what we wrote, with the libraries that others read it with.

use super::in_venv;
use serde_json::Value;
use std::{
    io::Write,
    process::{Command, Stdio},
};

/// What a script, with the packages of a virtual environment, prints as JSON when it is given a text.
pub(crate) fn reading(venv: &str, script: &str, text: &str) -> Value {
    let mut command = Command::new(in_venv(venv, "python"));
    let mut child =
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("Python starts");
    // It may end before it has read all; then it says why.
    let _ = child.stdin.take().expect("a pipe").write_all(text.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}\n{said}\nof\n{text}"))
}
