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
        let text = fs::read_to_string(path).map_err(|error| in_file(format!("cannot be read: {error}")))?;
        let output: AwsOutput = serde_json::from_str(&text)
            .map_err(|error| in_file(format!("not the output of `aws elbv2 describe-target-groups --output json`: {error}")))?;
        if output.target_groups.is_none() && output.attributes.is_none() {
            return Err(in_file(
                "contains no `TargetGroups`: create it with `aws elbv2 describe-target-groups --output json > FILE`".to_owned(),
            ));
        }
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
