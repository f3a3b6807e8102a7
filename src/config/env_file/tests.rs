//! Tests of env files: the table of lines, and what other readers make of them.

use super::*;

/// The number of a line, and what is wrong with it.
type Found = (usize, &'static str);

fn read(content: impl AsRef<[u8]>) -> (Vec<(String, String)>, Vec<Found>) {
    let EnvFile { variables, remarks, .. } = parse(content.as_ref());
    (variables, remarks.into_iter().map(|remark| (remark.line, remark.message)).collect())
}

/// The value of `A` in a file without remarks.
fn value_of_a(content: &str) -> String {
    let (variables, remarks) = read(content);
    assert_eq!(remarks, [], "{content:?}");
    variables.into_iter().rfind(|(name, _)| name == "A").expect("A is set").1
}

/// Lines, and the value of `A` that they set.
const VALUES: &[(&str, &str)] = &[
    ("A=1", "1"),
    ("A = 1 ", "1"),
    ("export A=1", "1"),
    ("export\tA=1", "1"),
    ("A: 1", "1"),
    ("A=1\r\n", "1"),
    ("A=", ""),
    ("A=\"\"", ""),
    ("A=first\nA=last", "last"),
    ("# comment\n; comment\n\n  \nA=1 # comment", "1"),
    ("A=1\t# comment", "1"),
    ("A= # comment", ""),
    ("A=#1", "#1"),
    ("A=pa$ecret#1", "pa$ecret#1"),
    ("A=\"x # y\" # comment", "x # y"),
    ("A='x # y'# comment", "x # y"),
    ("A=${B}$C", "${B}$C"),
    ("A=\"${B}\\$C\"", "${B}$C"),
    ("A='pa$$\\n\"'", "pa$$\\n\""),
    ("A=\"a\\nb\\tc\\\\d\\\"e\\q\"", "a\nb\tc\\d\"e\\q"),
    ("A=back\\slash\\", "back\\slash\\"),
    ("A=pa\\$s\\", "pa\\$s\\"),
    ("A='it's'", "it's"),
    ("A=\"pa\"ss\"", "pa\"ss"),
    ("A={\"k\": \"v\"}", "{\"k\": \"v\"}"),
    ("A=a=b==", "a=b=="),
    ("A=\"-----BEGIN KEY-----\r\nMII=\r\n-----END KEY-----\"\r\nB=2", "-----BEGIN KEY-----\nMII=\n-----END KEY-----"),
    ("A='one\ntwo' # comment", "one\ntwo"),
    ("A=äöü€", "äöü€"),
];

#[test]
fn each_form_of_a_line_has_its_value() {
    for (content, expected) in VALUES {
        assert_eq!(value_of_a(content), *expected, "{content:?}");
    }
}

#[test]
fn marks_of_encoding_are_removed_and_utf_16_is_read() {
    assert_eq!(value_of_a("\u{feff}A=1"), "1");
    assert_eq!(value_of_a("B=1\n\u{feff}A=1"), "1", "two files, one after the other");
    let utf_16 = |content: &str, order: fn(u16) -> [u8; 2]| content.encode_utf16().flat_map(order).collect::<Vec<_>>();
    for content in ["\u{feff}A=ä1\r\nB=2\r\n", "A=ä1\r\nB=2\r\n"] {
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            let (variables, remarks) = read(utf_16(content, order));
            assert_eq!(variables, [("A".to_owned(), "ä1".to_owned()), ("B".to_owned(), "2".to_owned())]);
            assert_eq!(remarks, []);
        }
    }
}

#[test]
fn names_of_other_programs_and_names_alone_are_skipped_silently() {
    let content = "spring.datasource.url=x\nmy-var=1\nHOME\nexport HOME PATH\nmy.key='two\nlines'\nA=1\n";
    assert_eq!(value_of_a(content), "1");
    assert_eq!(read(content).0.len(), 1);
}

#[test]
fn a_line_that_no_reader_accepts_has_a_remark_and_the_others_count() {
    let (variables, remarks) = read("=x\ntwo words\nset -a; B=1\nA=1\n");
    assert_eq!(variables, [("A".to_owned(), "1".to_owned())]);
    assert_eq!(remarks, [1, 2, 3].map(|line| (line, NOT_A_PAIR)));
    for line in ["A:1", "$env:A = \"1\"", "set A=1", "%A%=1", "\"A\"=1", "export A:1", "@{A=1}"] {
        assert_eq!(read(line), (Vec::new(), vec![(1, NOT_A_PAIR)]), "{line}");
    }
}

#[test]
fn an_open_quotation_mark_does_not_swallow_other_lines() {
    for content in ["A='open\nB=2", "A=\"open\nB=\"2\"", "A='open\nB='2'"] {
        let (variables, remarks) = read(content);
        assert_eq!(variables.len(), 2, "{content:?}");
        assert_eq!(variables[0].1, &content[2..7], "{content:?}");
        assert_eq!(variables[1].1, "2", "{content:?}");
        assert_eq!(remarks, [(1, NOT_CLOSED)], "{content:?}");
    }
    assert_eq!(read("A=\"x\"y").0[0].1, "\"x\"y");
    assert_eq!(read("A=\"x\"y").1, [(1, AFTER_QUOTE)]);
}

#[test]
fn a_line_that_is_not_utf_8_is_named_and_skipped() {
    let file = parse(b"A=1\nexport PASSWORD=p\xe4ss\nB=2\n");
    assert_eq!(file.variables.len(), 2);
    assert_eq!(file.not_text, [("PASSWORD".to_owned(), 2)]);
    assert_eq!(file.remarks, [Remark { line: 2, message: NOT_UTF_8 }]);
}

#[test]
fn a_file_of_open_quotation_marks_is_read_in_a_moment() {
    let content = "A=\"\\\"\n".repeat(10_000);
    assert_eq!(read(content).0.len(), 10_000);
}
