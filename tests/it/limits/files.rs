//! Containers without the usual files: no `/tmp`, no `/proc`, no `/etc`, no working directory, a user without a name.

use super::{HOST, RANDOM_USER, assert_serves, may_have, messages, ran, within};
use serde_json::json;

/// What each check says when everything is well.
fn well() -> serde_json::Value {
    json!({ "disk": null, "memory": null, "sqlite": null, "storage": null })
}

/// Runs the commands as the random user after a script that takes something away. Returns the failures of `check`.
fn failures(take_away: &str) -> serde_json::Value {
    let wrapper = within(&[], &format!("{take_away} {RANDOM_USER}"));
    for arguments in [&["validate"][..], &["init"]] {
        let ran = ran(&wrapper, HOST, arguments);
        assert_eq!(ran.code, Some(0), "{take_away}: {arguments:?}: {}{}", ran.stdout, ran.stderr);
    }
    for arguments in [&["get", "http://127.0.0.1:1/"][..], &["doctor", "http://127.0.0.1:1/"]] {
        let ran = ran(&wrapper, HOST, arguments);
        assert_eq!(ran.code, Some(1), "{take_away}: {arguments:?}: {}{}", ran.stdout, ran.stderr);
    }
    let checked = ran(&wrapper, HOST, &["check", "--format", "json"]);
    let found = messages(&checked);
    let fails = found.as_object().expect("components").values().any(|message| !message.is_null());
    assert_eq!(checked.code, Some(i32::from(fails)), "{take_away}: {}{}", checked.stdout, checked.stderr);
    found
}

#[test]
fn a_random_user_without_rights_or_files_of_the_system_runs_every_command() {
    if !may_have(&["--mount"]) {
        return;
    }
    assert_eq!(failures(""), well());
    // No passwd, no group, no hosts, no resolv.conf, no nsswitch.conf, no certificates.
    assert_eq!(failures("mount -t tmpfs none /etc;"), well());
    assert_eq!(failures("mount -t tmpfs none /sys;"), well());
    let no_proc = failures("mount -t tmpfs none /proc;");
    assert_eq!(no_proc["memory"], "there is no /proc/meminfo: is /proc mounted?");
    assert_eq!((&no_proc["disk"], &no_proc["sqlite"], &no_proc["storage"]), (&json!(null), &json!(null), &json!(null)));
}

#[test]
fn without_a_place_to_write_to_only_the_check_that_writes_fails() {
    if !may_have(&["--mount"]) {
        return;
    }
    // The program and its configuration are in folders that the script hides.
    let keep = "mount -t tmpfs none /mnt; cp \"$0\" allswell.toml /mnt; cd /mnt;";
    let as_user = RANDOM_USER.replace("\"$0\"", "/mnt/allswell");
    for (hide, expected) in [
        ("mount -t tmpfs -o ro none /tmp; mount -o remount,bind,ro /;", "the file system is read-only"),
        ("mount -t tmpfs -o mode=755 none /tmp;", "permission to use the directory denied"),
    ] {
        let ran = ran(&within(&[], &format!("{keep} {hide} {as_user}")), HOST, &["check", "--format", "json"]);
        assert_eq!(messages(&ran), json!({ "disk": null, "memory": null, "sqlite": null, "storage": expected }), "{}", ran.stderr);
    }
}

#[test]
fn the_service_runs_without_its_working_directory() {
    if !may_have(&["--mount"]) {
        return;
    }
    let script = "file=$PWD/allswell.toml; mkdir gone; cd gone; rmdir ../gone; exec \"$0\" --config \"$file\" \"$@\"";
    assert_serves(&within(&[], script), HOST);
}
