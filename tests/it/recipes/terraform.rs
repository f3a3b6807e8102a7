//! Terraform: formatted by `terraform fmt`, if it is installed, parsed by `python-hcl2`, and every argument and attribute compared with those of the
//! AWS provider, as cdktf lists them. The values are not validated: only the provider can do that.

use super::{ENVIRONMENT, accepted, advised, aws::of_user_data, deploy, python, read, remarks};
use crate::servers::in_venv;
use serde_json::{Value, json};
use std::{fs, io::Write, path::Path, process::Command};

/// Parses a Terraform file. Strings keep their quotes, and comments are members.
const READ: &str = r#"
import hcl2, json, sys

def plain(value):
    if isinstance(value, dict):
        return {key.strip('"'): plain(item) for key, item in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value

print(json.dumps(plain(hcl2.loads(sys.stdin.read()))))
"#;

/// Returns unknown and missing arguments, and references to nothing.
const HOLD_AGAINST_PROVIDER: &str = r#"
import ast, json, pathlib, re, sys

asked = json.load(sys.stdin)
provider, read = pathlib.Path(asked["provider"]), asked["read"]
wrong, seen = [], 0

def camel(name):
    return "".join(word.capitalize() for word in name.split("_"))

def classes(kind):
    tree = ast.parse((provider / kind / "__init__.py").read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

def arguments(node):
    made = next(item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__").args
    return {item.arg: default is None for item, default in zip(made.kwonlyargs, made.kw_defaults)}

def attributes(node):
    return {item.name for item in node.body if isinstance(item, ast.FunctionDef)}

def look(place, name, known, block):
    global seen
    takes = arguments(known[name])
    for key, value in block.items():
        seen += 1
        if key not in takes:
            wrong.append(f"{place}: no argument {key}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for inner in value:
                look(f"{place}.{key}", name.removesuffix("Config") + camel(key), known, inner)
    for key, required in takes.items():
        if required and key not in block:
            wrong.append(f"{place}: {key} is missing")

resources = {}
for entry in read["resource"]:
    for kind, named in entry.items():
        for name, block in named.items():
            resources[f"{kind}.{name}"] = known = classes(kind.removeprefix("aws_"))
            look(f"{kind}.{name}", camel(kind.removeprefix("aws_")) + "Config", known, block)

text = json.dumps(read)
for kind, name, attribute in re.findall(r"\b(aws_\w+)\.(\w+)\.(\w+)", text):
    seen += 1
    known = resources.get(f"{kind}.{name}")
    if known is None:
        wrong.append(f"no resource {kind}.{name}")
    elif attribute not in attributes(known[camel(kind.removeprefix("aws_"))]):
        wrong.append(f"{kind}.{name}: no attribute {attribute}")

variables = {name for entry in read["variable"] for name in entry}
used = set(re.findall(r"\bvar\.(\w+)", text))
wrong += [f"no variable {name}" for name in used - variables] + [f"variable {name} is not used" for name in variables - used]
print(json.dumps({"wrong": wrong, "seen": seen}))
"#;

fn compared_with_provider(terraform: &str) -> Value {
    let python = in_venv("terraform", "python");
    let site = accepted(Command::new(python).args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]));
    let provider = Path::new(site.trim()).join("cdktf_cdktf_provider_aws");
    super::python(HOLD_AGAINST_PROVIDER, &json!({ "provider": provider, "read": python_reads(terraform) }).to_string())
}

fn python_reads(terraform: &str) -> Value {
    python(READ, terraform)
}

#[test]
fn every_argument_is_in_the_providers_schema() {
    let main = read("aws/terraform/main.tf");
    let problems = compared_with_provider(&main);
    assert_eq!(problems["wrong"], json!([]));
    assert!(problems["seen"].as_u64().is_some_and(|seen| seen > 90), "{problems}");
    // A mistake must be found.
    let wrong = main.replace("unhealthy_threshold", "unhealthy_treshold").replace("path.module", "path.module}${aws_lb.app.dns");
    let problems = compared_with_provider(&wrong);
    assert_eq!(
        problems["wrong"],
        json!(["aws_lb_target_group.app.health_check: no argument unhealthy_treshold", "aws_lb.app: no attribute dns"])
    );
}

#[test]
fn the_files_are_formatted_by_terraform_fmt() {
    let installed = ["/usr/local/bin/terraform", "/usr/bin/terraform"].into_iter().find(|path| Path::new(path).exists());
    let Some(terraform) = installed else {
        // No package registry that the tests use has Terraform.
        let _ = std::io::stderr().write_all(b"skipped: there is no terraform here\n");
        return;
    };
    accepted(Command::new(terraform).args(["fmt", "-check", "-diff", "-recursive"]).arg(deploy("aws/terraform")));
}

#[test]
fn the_target_group_equals_that_of_cloudformation_and_has_no_contradiction() {
    let problems = python_reads(&read("aws/terraform/main.tf"));
    let resources = problems["resource"].as_array().expect("resources");
    let group =
        &resources.iter().find(|resource| !resource["aws_lb_target_group"].is_null()).expect("a group")["aws_lb_target_group"]["app"];
    let check = &group["health_check"][0];
    let delay = group["deregistration_delay"].to_string();
    let advice = advised(
        of_user_data(&read("aws/terraform/user-data.sh")),
        ENVIRONMENT,
        &json!({
            "TargetGroupName": "orders",
            "TargetType": group["target_type"],
            "Protocol": group["protocol"],
            "Port": 8000,
            "HealthCheckProtocol": check["protocol"],
            "HealthCheckPort": check["port"],
            "HealthCheckPath": check["path"],
            "HealthCheckIntervalSeconds": check["interval"],
            "HealthCheckTimeoutSeconds": check["timeout"],
            "HealthyThresholdCount": check["healthy_threshold"],
            "UnhealthyThresholdCount": check["unhealthy_threshold"],
            "Matcher": { "HttpCode": check["matcher"] },
            "Attributes": [{ "Key": "deregistration_delay.timeout_seconds", "Value": delay }],
        }),
    );
    assert_eq!(remarks(&advice), Vec::<&str>::new(), "{advice:#}");
    assert_eq!(advice["settings"], "alb: HTTP /health every 10s, timeout 5s, healthy after 3, unhealthy after 2, success codes 200");
    assert_eq!(advice["deregistration_delay_ms"], json!(30_000));
    let template = fs::read_to_string(deploy("aws/cloudformation.yaml")).expect("a file");
    for line in [
        format!("HealthCheckIntervalSeconds: {}", check["interval"]),
        format!("HealthCheckTimeoutSeconds: {}", check["timeout"]),
        format!("UnhealthyThresholdCount: {}", check["unhealthy_threshold"]),
        format!("HealthyThresholdCount: {}", check["healthy_threshold"]),
        format!("Value: {}", json!(delay)),
    ] {
        assert!(template.contains(&line), "CloudFormation has another {line}");
    }
}
