//! Transcripts: a line with `$ ` is a command, `> ` continues it, and the lines after it are its output.
//!
//! Only the shape of numbers and dates is compared. A line `…` stands for any number of lines; at the end of a line it stands for the rest.

/// The commands of a transcript.
pub(super) fn commands(text: &str) -> Vec<String> {
    steps(text).into_iter().map(|(command, _)| command).collect()
}

/// Each command, and the lines of its output that are shown.
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

/// Whether the shown lines match the printed ones.
pub(super) fn matches_shown(shown: &[&str], printed: &[&str]) -> bool {
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
                // An exit code must match exactly.
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

/// A line with one digit for every number, one space for several, and without names of days and months.
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
    // With or without decimals.
    let shape = shape.replace("0.0", "0");
    let words = shape.split(' ').map(|word| if NAMES.contains(&word.trim_end_matches(',')) { "NAME" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_transcript_is_compared_without_its_varying_numbers() {
    let printed = ["pass  all 4 components pass", "pass  disk    0.2 ms", "at Fri, 20 Nov 2026 18:00:55 GMT", ""];
    assert!(matches_shown(&["pass  all 5 components pass", "pass  disk   12 ms", "at Sat, 2 Jan 2027 1:00:55 GMT"], &printed));
    assert!(matches_shown(&["pass  all…", "…"], &printed));
    assert!(matches_shown(&["…", "at Fri,…"], &printed));
    assert!(!matches_shown(&["pass  all 4 components pass"], &printed), "what is left out is marked");
    assert!(!matches_shown(&["fail  all 4 components pass", "…"], &printed));
    assert!(!matches_shown(&["1"], &["0"]), "an exit code must match");
    assert!(!matches_shown(&["…", "pass  memory  0.2 ms", "…"], &printed));
    let steps = steps("$ cat <<END\n> a\n> END\na\n$ true\n");
    assert_eq!(steps, [("cat <<END\na\nEND".to_owned(), vec!["a"]), ("true".to_owned(), vec![])]);
}
