//! `sqlite`, on real files made by Python's own module.

use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
};
use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
};

fn table(path: &Path, more: &str) -> String {
    format!("kind = \"sqlite\"\npath = \"{}\"\n{more}", path.display())
}

/// Runs a script on a database, `d`.
fn python(path: &Path, script: &str) {
    let script = format!("import sqlite3\nd = sqlite3.connect({:?}, isolation_level=None)\n{script}", path.display().to_string());
    let output = Command::new("python3").arg("-c").arg(script).output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A process that has a database to itself, until it is dropped.
struct Locked(Child);

impl Locked {
    fn new(path: &Path) -> Self {
        let script = format!(
            "import sqlite3\nd = sqlite3.connect({:?}, isolation_level=None)\nd.execute('BEGIN EXCLUSIVE')\nprint('locked', flush=True)\ninput()",
            path.display().to_string()
        );
        let mut child =
            Command::new("python3").arg("-c").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        assert_eq!(line.trim(), "locked");
        Self(child)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.stdin.take().map(|mut input| input.write_all(b"\n"));
        let _ = self.0.wait();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_database_is_read_and_what_is_wrong_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    python(&at("orders"), "d.execute('CREATE TABLE t (x)'); d.execute('INSERT INTO t VALUES (42)')");
    fs::write(at("junk"), "this is no database, however long one looks at it".repeat(50)).expect("a file");
    fs::create_dir(at("folder")).expect("a folder");
    python(&at("damaged"), "d.execute('CREATE TABLE t (x)'); d.execute('INSERT INTO t SELECT hex(randomblob(5000))')");
    let mut bytes = fs::read(at("damaged")).expect("a file");
    let end = bytes.len();
    bytes[4096..end].fill(0xff);
    fs::write(at("damaged"), bytes).expect("a file");

    let seen = Probed::new(&table(&at("orders"), "query = \"SELECT x FROM t\"\nexpect = \"42\"\nquick_check = true")).pass();
    assert_eq!(seen.values()["journal_mode"], "delete");
    assert_eq!(seen.values()["size_bytes"], fs::metadata(at("orders")).expect("a file").len());
    let warm = Probed::new(&table(&at("orders"), ""));
    warm.pass();
    let locked = Locked::new(&at("orders"));
    assert_eq!(warm.fail().message(), "the database is locked", "also on a kept connection");
    assert_failures(&[
        Case::new("missing", table(&at("none"), ""), "unhealthy", "there is no such file"),
        Case::new("junk", table(&at("junk"), ""), "protocol", "the file is not a database"),
        Case::new("a folder", table(&at("folder"), ""), "unhealthy", "the file cannot be opened"),
        Case::new("damaged", table(&at("damaged"), "quick_check = true"), "unhealthy", "the file is damaged"),
        Case::new("locked", table(&at("orders"), ""), "unhealthy", "the database is locked"),
    ]);
    drop(locked);
    assert_failures(&[
        Case::new("it writes", table(&at("orders"), "query = \"DELETE FROM t RETURNING x\""), "unhealthy", "the file is read-only"),
        Case::new(
            "another value",
            table(&at("orders"), "query = \"SELECT 1\"\nexpect = \"2\""),
            "unhealthy",
            "the query did not return the expected value",
        ),
        Case::new("no row", table(&at("orders"), "query = \"SELECT x FROM t WHERE x = 1\""), "unhealthy", "the query returned no row"),
    ]);
    assert!(!at("none").exists());
    Probed::new(&table(&at("made"), "create = true")).pass();
    assert!(at("made").exists());
    if !rustix::process::getuid().is_root() {
        fs::set_permissions(at("junk"), Permissions::from_mode(0o0)).expect("permissions");
        assert_failures(&[Case::new("forbidden", table(&at("junk"), ""), "rejected", "permission to read the file denied")]);
    }
}

#[test]
fn a_replaced_file_is_noticed_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, other) = (folder.path().join("orders"), folder.path().join("other"));
    for path in [&path, &other] {
        python(path, "d.execute('PRAGMA journal_mode=WAL'); d.execute('CREATE TABLE t (x)')");
    }
    let probed = Probed::new(&table(&path, ""));
    assert_eq!(probed.observed("journal_mode"), "wal");
    let size = probed.observed("size_bytes");
    // The kept connection's file is another one now; a new connection sees the new one.
    python(&other, "d.execute('INSERT INTO t SELECT hex(randomblob(50000))')");
    fs::rename(&other, &path).expect("a file");
    let replaced = probed.observed("size_bytes");
    assert!(replaced.as_u64() > size.as_u64(), "{size} and {replaced}");
    fs::remove_file(&path).expect("a file");
    assert_eq!(probed.fail().message(), "there is no such file");
    drop(probed);

    let calm = folder.path().join("calm");
    python(&calm, "d.execute('PRAGMA journal_mode=WAL'); d.execute('CREATE TABLE t (x)')");
    let before: Vec<_> = names(folder.path()).into_iter().filter(|name| name.starts_with("calm")).collect();
    let probed = Probed::new(&table(&calm, ""));
    probed.drop_at_every_await(false, 0);
    probed.drop_at_every_await(true, 0);
    probed.pass();
    drop(probed);
    eventually("the log is gone with the last connection", || {
        (names(folder.path()).into_iter().filter(|name| name.starts_with("calm")).collect::<Vec<_>>() == before).then_some(())
    });
}
