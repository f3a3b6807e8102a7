//! Commands and scripts for the package and for allswell: subsets, limits, and readers of the JSON.

use super::{
    block, page,
    project::{Shop, VERSIONS, asked},
    side_by_side::{ours, set},
};
use crate::{
    helpers::{PATIENCE, Response, command, run},
    servers::folder,
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, process::Command};

/// The scripts of the page, with the response of the package and with ours: the exit code, and the components that each prints.
pub(super) fn scripts(shop: &Shop) -> Vec<(Option<i32>, BTreeSet<&'static str>)> {
    let page = page("urls-and-formats.md");
    let mut all = Vec::new();
    for (server, version) in shop.originals.iter().zip(VERSIONS) {
        let urls = [
            format!("http://127.0.0.1:{}/ht/?format=json", server.port),
            format!("http://{}/health?format={}", shop.ours.address, version.dialect),
        ];
        for script in block(&page, &format!("scripts that read version {}", version.number)).lines().skip(1) {
            let [theirs, ours] = urls.each_ref().map(|url| by_script(script, url));
            assert_eq!(theirs, ours, "{script}");
            all.push(ours);
        }
    }
    all
}

fn by_script(script: &str, url: &str) -> (Option<i32>, BTreeSet<&'static str>) {
    let output = Command::new("bash").args(["-c", script]).env("URL", url).output().expect("bash");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).lines().map(ours).collect())
}

/// The exit codes of the commands of the package, and of ours.
pub(super) fn commands(shop: &Shop) -> [Option<i32>; 3] {
    let four = shop.manage(VERSIONS[0], &["health_check", "health", "--no-http"], &[]);
    [four.code, shop.manage(VERSIONS[1], &["health_check"], &[]).code, shop.check(&[], &[]).code]
}

/// The exit code of `allswell check` that reads the report of a view in Django, for checks that stay there.
pub(super) fn left_in_django(shop: &Shop) -> [Option<i32>; 2] {
    let page = block(&page("checks.md"), "what stays in Django");
    shop.originals.each_ref().map(|server| {
        let directory = folder();
        let text = page.replace("127.0.0.1:8000", &format!("127.0.0.1:{}", server.port));
        fs::write(directory.path().join("allswell.toml"), text).expect("a file");
        run(command(&directory).arg("check")).code
    })
}

/// A subset is a group.
pub(super) fn subsets(shop: &Shop) {
    let ready = set(&["cache", "database"]);
    for (server, version) in shop.originals.iter().zip(VERSIONS) {
        let theirs = asked(server, "/ht/ready/?format=json", PATIENCE).expect("an answer");
        let ours = shop.ours.get(&format!("/health/ready?format={}", version.dialect));
        for answer in [theirs, ours] {
            assert_eq!((answer.status, names(&answer)), (200, ready.clone()), "{}", answer.text);
        }
        let unknown = asked(server, "/ht/unknown/", PATIENCE).expect("an answer");
        assert_eq!((unknown.status, shop.ours.get("/health/unknown").status), (404, 404));
    }
}

fn names(report: &Response) -> BTreeSet<&'static str> {
    report.json().as_object().expect("an object").keys().map(|name| ours(name)).collect()
}

/// In the package, an exceeded limit is a warning that counts as an error, unless version 3 is configured otherwise. Here the configuration decides.
pub(super) fn thresholds(shop: &Shop) {
    let over: BTreeSet<_> = set(&["disk", "memory"]);
    let four = [("\"max_disk_usage_percent\": 95", "\"max_disk_usage_percent\": 0.001"), ("available\": 0.1", "available\": 1e6")];
    let three = [("\"DISK_USAGE_MAX\": 95", "\"DISK_USAGE_MAX\": 0.001"), ("\"MEMORY_MIN\": 100", "\"MEMORY_MIN\": 1e9")];
    let lenient = [three[0], three[1], ("HEALTH_CHECK = {", "HEALTH_CHECK = {\"WARNINGS_AS_ERRORS\": False,")];
    for (version, words, differently, code) in [
        (VERSIONS[0], &["health_check", "health", "--no-http"][..], &four[..], 1),
        (VERSIONS[1], &["health_check"], &three, 1),
        (VERSIONS[1], &["health_check"], &lenient, 0),
    ] {
        let ran = shop.manage(version, words, differently);
        let warned: BTreeSet<_> = ran.stdout.lines().filter(|line| line.to_lowercase().contains(" warning: ")).map(ours).collect();
        assert_eq!((ran.code, &warned), (Some(code), &over), "{}{}", ran.stdout, ran.stderr);
    }
    let fails = [("fail_free = \"5%\"", "fail_free = \"100%\""), ("fail_available = \"100MiB\"", "fail_available = \"100%\"")];
    let warns = [("fail_free = \"5%\"", "warn_free = \"100%\""), ("fail_available = \"100MiB\"", "warn_available = \"100%\"")];
    for (differently, words, code, word) in [
        (&fails, &["--format", "django"][..], 1, "Unavailable: "),
        (&warns, &["--format", "django"], 0, "Warning: "),
        (&warns, &["--format", "django", "--warnings-as-errors"], 1, "Warning: "),
    ] {
        let ran = shop.check(words, differently);
        let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let checks = report.as_object().expect("an object").iter();
        let failed: BTreeSet<_> =
            checks.filter(|(_, status)| status.as_str().expect("text").starts_with(word)).map(|(name, _)| ours(name)).collect();
        assert_eq!((ran.code, &failed), (Some(code), &over), "{}{}", ran.stdout, ran.stderr);
    }
}
