//! Files of other users: allswell neither opens nor creates files that another user may have placed, and warns about secrets that another user can
//! read.

use crate::{
    helpers::{Allswell, Ran, command, eventually, run},
    probing::{Case, Probed, assert_failures},
    servers::own,
};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions");
}

/// A folder that every user can write to, like `/tmp`.
fn shared() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    mode(folder.path(), 0o1777);
    folder
}

/// Creates an entry at a path.
type Plant<'a> = &'a dyn Fn(&Path);

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
}

/// The names and contents of a folder.
fn contents(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let regular = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    let read = |path: PathBuf| (path.clone(), regular(&path).then(|| fs::read(&path).expect("a file")));
    let mut found: Vec<_> = fs::read_dir(folder).expect("a folder").flatten().map(|entry| read(entry.path())).collect();
    found.sort();
    found
}

#[test]
fn discovery_opens_no_database_that_another_user_may_have_placed() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let target = elsewhere.path().join("target");
    let database = elsewhere.path().join("database");
    let script = "import sqlite3, sys\nd = sqlite3.connect(sys.argv[1])\nd.execute('PRAGMA journal_mode=WAL')\nd.execute('CREATE TABLE t (x)')\nd.close()";
    assert!(Command::new("python3").args(["-c", script]).arg(&database).status().expect("python3").success());
    let plants: [(&str, Plant<'_>); 4] = [
        ("a link that leads nowhere", &|path| symlink(&target, path).expect("a link")),
        ("a database", &|path| fs::copy(&database, path).map(drop).expect("a file")),
        ("an empty file", &|path| fs::write(path, "").expect("a file")),
        ("a pipe", &pipe),
    ];
    for (what, plant) in plants {
        let folder = shared();
        // The former name of the file.
        let path = folder.path().join(format!("allswell-{}.sqlite", rustix::process::getuid().as_raw()));
        plant(&path);
        if what != "a link that leads nowhere" {
            own("nobody", &path);
        }
        let before = contents(folder.path());
        let service = Allswell::start_with("", &[("TMPDIR", folder.path().to_str().expect("a path"))]);
        let report = service.await_report("/health", "all is probed", |report| report.status == 200 && report.class("sqlite").is_none());
        assert_eq!(report.json()["components"]["sqlite"]["status"], "pass", "{what}: {}", report.text);
        drop(service);
        let ours = |(path, _): &(PathBuf, Option<Vec<u8>>)| path.file_name().is_some_and(|name| name.to_string_lossy().contains("sqlite"));
        let after: Vec<_> = contents(folder.path()).into_iter().filter(ours).collect();
        assert_eq!(after, before, "{what}");
        assert!(!target.exists(), "{what}: a link was followed");
    }
}

#[test]
fn a_database_is_not_created_through_a_link() {
    let folder = shared();
    let at = |name: &str| folder.path().join(name);
    symlink(at("target"), at("link")).expect("a link");
    pipe(&at("pipe"));
    let table = |path: &Path| format!("kind = \"sqlite\"\npath = \"{}\"\ncreate = true", path.display());
    assert_failures(&[
        Case::new("a link that leads nowhere", table(&at("link")), "unhealthy", "there is no such file"),
        Case::new("a pipe", table(&at("pipe")), "unhealthy", "the file cannot be read"),
        Case::new("no folder", table(&at("none/file")), "unhealthy", "there is no such folder"),
    ]);
    assert!(!at("target").exists());
    Probed::new(&table(&at("made"))).pass();
    assert!(at("made").exists());
}

#[test]
fn a_database_in_memory_has_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("allswell.toml"), "[checks.db]\nkind = \"sqlite\"\npath = \":memory:\"\nquery = \"SELECT 1\"\n")
        .expect("a configuration");
    let ran = run(command(&folder).arg("check"));
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert_eq!(contents(folder.path()).len(), 1, "nothing but the configuration");
}

#[test]
fn the_configuration_of_another_user_is_refused_unless_it_is_named() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let folder = shared();
    let path = folder.path().join("allswell.toml");
    fs::write(&path, "[checks.memory]\nkind = \"memory\"\n").expect("a configuration");
    let validated = |arguments: &[&str]| run(command(&folder).arg("validate").args(arguments));
    assert_eq!(validated(&[]).code, Some(0), "the file is our own");
    own("nobody", &path);
    let refused = validated(&[]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("belongs to another user; to use it, pass `--config allswell.toml`"), "{}", refused.stderr);
    assert_eq!(validated(&["--config", "allswell.toml"]).code, Some(0));
    mode(folder.path(), 0o755);
    assert_eq!(validated(&[]).code, Some(0), "only this user can put a file there");
    mode(folder.path(), 0o1777);
    fs::remove_file(&path).expect("a file");
    pipe(&path);
    own("nobody", &path);
    assert_eq!(validated(&[]).code, Some(2), "a pipe is not waited for");
}

const LITERAL: &str = "[server]\ntoken = \"a-token-of-some-length\"\n[checks.db]\nkind = \"postgres\"\nurl = \"postgres://app@db/orders\"\n\
                       password = \"hunter2-hunter2\"\n";
const READABLE: &str = "can read";

/// Runs `validate` on a configuration with a mode in a folder with a mode.
fn validated(configuration: &str, file_mode: u32, folder_mode: u32) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("allswell.toml");
    fs::write(&path, configuration).expect("a configuration");
    mode(&path, file_mode);
    mode(folder.path(), folder_mode);
    let ran = run(command(&folder).arg("validate").env("PASSWORD", "hunter2-hunter2"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("hunter2") && !ran.stderr.contains("a-token"), "{}", ran.stderr);
    ran
}

#[test]
fn a_world_readable_configuration_with_secrets_is_warned_about() {
    let stderr = validated(LITERAL, 0o644, 0o755).stderr;
    let warning = "allswell.toml:2:1: server.token: every user of this machine can read this file, which contains this secret and 1 more; \
                   run `chmod o-r allswell.toml`, or move secrets to environment variables (`${NAME}`) or files (keys that end in `_file`)";
    assert_eq!(stderr.lines().filter(|line| line.contains(READABLE)).collect::<Vec<_>>(), [format!("warning: {warning}")], "{stderr}");
    for (what, file_mode, folder_mode) in [("the group may read it", 0o640, 0o755), ("other users cannot enter the folder", 0o644, 0o750)] {
        assert!(!validated(LITERAL, file_mode, folder_mode).stderr.contains(READABLE), "{what}");
    }
    let refers = LITERAL.replace("hunter2-hunter2", "${PASSWORD}").replace("token = ", "# token = ");
    assert!(!validated(&refers, 0o644, 0o755).stderr.contains(READABLE), "the file refers to the environment");
}

#[test]
fn a_world_readable_secret_file_is_warned_about() {
    let folder = tempfile::tempdir().expect("a folder");
    mode(folder.path(), 0o755);
    let secret = folder.path().join("password");
    fs::write(&secret, "hunter2-hunter2").expect("a file");
    let configuration = format!("[checks.cache]\nkind = \"redis\"\nurl = \"redis://cache\"\npassword_file = \"{}\"\n", secret.display());
    mode(&secret, 0o644);
    let stderr = validated(&configuration, 0o644, 0o755).stderr;
    let warning = format!(
        "warning: allswell.toml:4:1: checks.cache.password_file: every user of this machine can read this file, which contains a secret; run `chmod o-r {}`",
        secret.display()
    );
    assert_eq!(stderr.lines().filter(|line| line.contains(READABLE)).collect::<Vec<_>>(), [warning], "{stderr}");
    mode(&secret, 0o640);
    assert!(!validated(&configuration, 0o644, 0o755).stderr.contains(READABLE));
}

#[test]
fn a_missing_certificate_file_of_a_check_is_warned_about() {
    let folder = tempfile::tempdir().expect("a folder");
    let there = folder.path().join("ca.pem");
    fs::write(&there, "").expect("a file");
    let configuration = format!(
        "[checks.web]\nkind = \"http\"\nurl = \"https://web\"\ntls.ca_file = \"{}\"\ntls.client_certificate_file = \"/none/cert.pem\"\n\
         tls.client_key_file = \"/none/key.pem\"\n",
        there.display()
    );
    let stderr = validated(&configuration, 0o600, 0o755).stderr;
    let warnings: Vec<_> = stderr.lines().filter(|line| line.contains("there is no such file")).collect();
    let warning = |place: &str| format!("warning: allswell.toml:{place}: there is no such file: every probe fails until it exists");
    let expected = [warning("5:5: checks.web.tls.client_certificate_file"), warning("6:5: checks.web.tls.client_key_file")];
    assert_eq!(warnings, expected, "{stderr}");
}

#[test]
fn a_readable_secret_is_warned_about_once_at_start_and_once_at_a_reload() {
    let open = "chmod 755 . && chmod 644 allswell.toml && exec \"$0\" \"$@\"";
    let wrapper = ["/bin/sh", "-c", open].map(str::to_owned);
    let configuration = "[checks.cache]\nkind = \"redis\"\nurl = \"redis://127.0.0.1:1\"\npassword = \"hunter2-hunter2\"\n";
    let service = Allswell::start_by(&wrapper, configuration, &[]);
    let warnings = || service.events().iter().filter(|event| event["message"].as_str().is_some_and(|text| text.contains(READABLE))).count();
    assert_eq!(warnings(), 1, "{}", service.log());
    service.signal(rustix::process::Signal::HUP);
    let is_applied = |event: &serde_json::Value| event["message"] == "the new configuration is applied";
    eventually("the configuration is applied", || service.events().iter().any(is_applied).then_some(()));
    assert_eq!(warnings(), 2, "{}", service.log());
    mode(&service.directory.path().join("allswell.toml"), 0o600);
    service.signal(rustix::process::Signal::HUP);
    eventually("the configuration is applied again", || {
        (service.events().iter().filter(|event| is_applied(event)).count() == 2).then_some(())
    });
    assert_eq!(warnings(), 2, "other users cannot read it now: {}", service.log());
}
