//! Transcripts: lines that begin with `$ ` are commands, `> ` goes on with one; what follows is what they print.
//!
//! Numbers and dates are compared by their shape alone. A line `…` stands for any number of lines, one that ends so for the rest of it.

/// The commands of a transcript.
pub(super) fn commands(text: &str) -> Vec<String> {
    steps(text).into_iter().map(|(command, _)| command).collect()
}

/// Each command, and the lines that are shown of what it prints.
pub(super) fn steps(text: &str) -> Vec<(String, Vec<&str>)> {
    let mut steps: Vec<(String, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), line.strip_prefix("> "), steps.last_mut()) {
            (Some(command), ..) => steps.push((command.to_owned(), Vec::new())),
            (None, Some(more), Some((command, shown))) if shown.is_empty() => {
                command.push('\n');
                command.push_str(more);
            }
            (.., Some((_, shown))) => shown.push(line),
            (.., None) => panic!("a transcript begins with a command: {line}"),
        }
    }
    steps
}

/// Whether the lines shown are what was printed.
pub(super) fn tells(shown: &[&str], printed: &[&str]) -> bool {
    let blank = |line: &&&str| line.trim().is_empty();
    let end = |lines: &[&str]| lines.len() - lines.iter().rev().take_while(blank).count();
    matches(&shown[..end(shown)], &printed[..end(printed)])
}

fn matches(shown: &[&str], printed: &[&str]) -> bool {
    match (shown, printed) {
        ([], []) => true,
        ([first, rest @ ..], _) if first.trim() == "…" => {
            matches(rest, printed) || printed.split_first().is_some_and(|(_, printed)| matches(shown, printed))
        }
        ([first, rest @ ..], [line, printed @ ..]) => {
            let alike = match first.strip_suffix('…') {
                // An exit code is no measurement.
                _ if first.parse::<u8>().is_ok() => first == line,
                Some(begin) => shape(line).starts_with(shape(begin).trim_end()),
                None => shape(first) == shape(line),
            };
            alike && matches(rest, printed)
        }
        _ => false,
    }
}

const NAMES: [&str; 19] =
    ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A line with one digit for every number, one blank for any, and no name of a day or a month.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for c in line.trim_end().chars() {
        match c {
            '0'..='9' if shape.ends_with('0') => {}
            '0'..='9' => shape.push('0'),
            c if c.is_whitespace() && shape.ends_with(' ') => {}
            c if c.is_whitespace() => shape.push(' '),
            c => shape.push(c),
        }
    }
    // With decimals or without.
    let shape = shape.replace("0.0", "0");
    let words = shape.split(' ').map(|word| if NAMES.contains(&word.trim_end_matches(',')) { "NAME" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_transcript_is_compared_without_its_varying_numbers() {
    let printed = ["pass  all 4 components pass", "pass  disk    0.2 ms", "at Fri, 20 Nov 2026 18:00:55 GMT", ""];
    assert!(tells(&["pass  all 5 components pass", "pass  disk   12 ms", "at Sat, 2 Jan 2027 1:00:55 GMT"], &printed));
    assert!(tells(&["pass  all…", "…"], &printed));
    assert!(tells(&["…", "at Fri,…"], &printed));
    assert!(!tells(&["pass  all 4 components pass"], &printed), "what is left out is marked");
    assert!(!tells(&["fail  all 4 components pass", "…"], &printed));
    assert!(!tells(&["1"], &["0"]), "an exit code is told as it is");
    assert!(!tells(&["…", "pass  memory  0.2 ms", "…"], &printed));
    let steps = steps("$ cat <<END\n> a\n> END\na\n$ true\n");
    assert_eq!(steps, [("cat <<END\na\nEND".to_owned(), vec!["a"]), ("true".to_owned(), vec![])]);
}
