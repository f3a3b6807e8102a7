//! Reads target groups from the output of the AWS command-line interface.

use super::settings::{Attribute, TargetGroup};
use crate::doctor::text::excerpt;
use serde::Deserialize;
use std::{fs, path::Path};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AwsOutput {
    target_groups: Option<Vec<TargetGroup>>,
    attributes: Option<Vec<Attribute>>,
}

/// Reads the output of `aws elbv2 describe-target-groups`. For a single target group, the output of `describe-target-group-attributes` may
/// be among the files, in any order.
///
/// # Errors
///
/// The file and what is wrong with it, in a sentence.
pub fn read_target_groups(files: &[impl AsRef<Path>]) -> Result<Vec<TargetGroup>, String> {
    let (mut groups, mut attributes) = (Vec::new(), Vec::new());
    for path in files {
        let path = path.as_ref();
        let in_file = |error: String| format!("{}: {error}", path.display());
        let bytes = fs::read(path).map_err(|error| in_file(format!("cannot be read: {error}")))?;
        let text = decoded(&bytes).ok_or_else(|| in_file(format!("not text: {REMEDY}")))?;
        let output = parse(&text).map_err(in_file)?;
        for mut group in output.target_groups.into_iter().flatten() {
            group.name = excerpt(&group.name);
            group.validate().map_err(|error| in_file(format!("target group {}: {error}", group.name)))?;
            groups.push(group);
        }
        attributes.extend(output.attributes.into_iter().flatten());
    }
    match (groups.as_mut_slice(), attributes.is_empty()) {
        ([], _) => return Err("the files contain no target group".to_owned()),
        ([group], false) => group.add_attributes(attributes),
        (_, false) => {
            return Err("target group attributes do not name their group: pass them together with a file that contains only that group \
                        (`describe-target-groups --names NAME`)"
                .to_owned());
        }
        _ => {}
    }
    Ok(groups)
}

/// How to create a file of target groups.
const REMEDY: &str = "create it with `aws elbv2 describe-target-groups --output json > FILE`";

/// The text of a file, which PowerShell writes in UTF-16, and other programs of Windows with a byte-order mark.
fn decoded(bytes: &[u8]) -> Option<String> {
    let units =
        |bytes: &[u8], unit: fn([u8; 2]) -> u16| -> Vec<u16> { bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect() };
    match bytes {
        [0xff, 0xfe, rest @ ..] => String::from_utf16(&units(rest, u16::from_le_bytes)).ok(),
        [0xfe, 0xff, rest @ ..] => String::from_utf16(&units(rest, u16::from_be_bytes)).ok(),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        bytes => String::from_utf8(bytes.to_vec()).ok(),
    }
}

/// Parses the output of a command. An error says what the text is instead, and quotes nothing of it.
fn parse(text: &str) -> Result<AwsOutput, String> {
    let begin = text.trim_start();
    if begin.is_empty() {
        return Err(format!("is empty: {REMEDY}"));
    }
    if begin.contains("An error occurred (") || begin.contains("Unable to locate credentials") {
        return Err(format!("has an error message of the AWS CLI: correct the error, then {REMEDY}"));
    }
    if begin.starts_with("TargetGroups:") || begin.starts_with("Attributes:") || begin.starts_with("---\nTargetGroups") {
        return Err(format!("is YAML: {REMEDY}"));
    }
    if begin.starts_with("---") || begin.starts_with("TARGETGROUPS") || begin.starts_with("ATTRIBUTES") {
        return Err(format!("is the output as a table or text: {REMEDY}"));
    }
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("line {}, column {}: not JSON: {REMEDY}", error.line(), error.column()))?;
    let other = [
        ("LoadBalancers", "describes load balancers"),
        ("LoadBalancerDescriptions", "describes classic load balancers"),
        ("Listeners", "describes listeners"),
        ("TargetHealthDescriptions", "describes the health of targets"),
        ("Rules", "describes rules"),
    ];
    let is_group = |value: &serde_json::Value| value.get("TargetGroupName").is_some() || value.get("TargetGroupArn").is_some();
    if let Some((_, what)) = other.iter().find(|(member, _)| value.get(member).is_some()) {
        return Err(format!("{what}, not target groups: {REMEDY}"));
    }
    // What `--query` leaves.
    if is_group(&value) || value.as_array().is_some_and(|items| items.first().is_some_and(is_group)) {
        return Err(format!("has target groups without `TargetGroups` around them: leave out `--query`, and {REMEDY}"));
    }
    let output: AwsOutput = serde_json::from_str(text)
        .map_err(|error| format!("not the output of `aws elbv2 describe-target-groups --output json`: {error}"))?;
    if output.target_groups.is_none() && output.attributes.is_none() {
        return Err(format!("contains no `TargetGroups`: {REMEDY}"));
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a file.
    fn mistake(bytes: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), bytes).expect("a file");
        let message = read_target_groups(&[file.path()]).expect_err("no target group");
        message.strip_prefix(&format!("{}: ", file.path().display())).unwrap_or(&message).to_owned()
    }

    #[test]
    fn what_is_no_description_of_target_groups_is_named() {
        for (text, expected) in [
            ("", "is empty: create it with"),
            ("{\n  \"TargetGroups\": }", "line 2, column 19: not JSON"),
            ("An error occurred (AccessDenied) when calling", "has an error message of the AWS CLI"),
            ("TargetGroups:\n- HealthCheckPath: /\n", "is YAML"),
            ("-----------\n|  DescribeTargetGroups  |", "is the output as a table"),
            ("TARGETGROUPS\tTrue", "is the output as a table or text"),
            ("{\"LoadBalancers\": []}", "describes load balancers, not target groups"),
            ("[{\"TargetGroupName\": \"a\"}]", "has target groups without `TargetGroups`"),
            ("{}", "contains no `TargetGroups`"),
        ] {
            let message = mistake(text.as_bytes());
            assert!(message.starts_with(expected) && message.contains("aws elbv2 describe-target-groups"), "{text}: {message}");
        }
    }

    #[test]
    fn encodings_of_windows_are_read() {
        let text = "{\"TargetGroups\": []}";
        let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [[&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(), [&[0xff, 0xfe], utf_16.as_slice()].concat()] {
            assert_eq!(mistake(&bytes), "the files contain no target group");
        }
    }
}
