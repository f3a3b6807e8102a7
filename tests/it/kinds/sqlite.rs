//! `sqlite`, on files that Python's module has created.

use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::mounts::Mounted,
};
use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

fn table(path: &Path, more: &str) -> String {
    format!("kind = \"sqlite\"\npath = \"{}\"\n{more}", path.display())
}

/// Runs a script on a database, `d`.
fn python(path: &Path, script: &str) {
    let script = format!("import sqlite3\nd = sqlite3.connect({:?}, isolation_level=None)\n{script}", path.display().to_string());
    let output = Command::new("python3").arg("-c").arg(script).output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A process that locks a database until it is dropped.
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

/// A folder with the database `orders`, whose table `t` has the row 42.
fn folder_with_orders() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let orders = folder.path().join("orders");
    python(&orders, "d.execute('CREATE TABLE t (x)'); d.execute('INSERT INTO t VALUES (42)')");
    (folder, orders)
}

#[test]
fn a_pass_observes_journal_mode_and_size() {
    let (_folder, orders) = folder_with_orders();
    let observed = Probed::new(&table(&orders, "query = \"SELECT x FROM t\"\nexpect = \"42\"\nquick_check = true")).pass();
    assert_eq!(observed.values()["journal_mode"], "delete");
    assert_eq!(observed.values()["size_bytes"], fs::metadata(orders).expect("a file").len());
}

#[test]
fn a_locked_database_fails_also_on_a_kept_connection() {
    let (_folder, orders) = folder_with_orders();
    let kept = Probed::new(&table(&orders, ""));
    kept.pass();
    let _locked = Locked::new(&orders);
    assert_eq!(kept.fail().message(), "the database is locked");
    assert_failures(&[Case::new("locked", table(&orders, ""), "unhealthy", "the database is locked")]);
}

#[test]
fn a_file_that_is_missing_or_damaged_or_no_database_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("junk"), "this is no database, however long one looks at it".repeat(50)).expect("a file");
    fs::create_dir(at("folder")).expect("a folder");
    python(&at("damaged"), "d.execute('CREATE TABLE t (x)'); d.execute('INSERT INTO t SELECT hex(randomblob(5000))')");
    let mut bytes = fs::read(at("damaged")).expect("a file");
    let end = bytes.len();
    bytes[4096..end].fill(0xff);
    fs::write(at("damaged"), bytes).expect("a file");
    assert_failures(&[
        Case::new("missing", table(&at("none"), ""), "unhealthy", "there is no such file"),
        Case::new("junk", table(&at("junk"), ""), "protocol", "the file is not a database, or it is encrypted"),
        Case::new("a folder", table(&at("folder"), ""), "unhealthy", "the path is a folder, not a file"),
        Case::new("damaged", table(&at("damaged"), "quick_check = true"), "unhealthy", "the file is damaged"),
    ]);
    assert!(!at("none").exists());
    if !rustix::process::getuid().is_root() {
        fs::set_permissions(at("junk"), Permissions::from_mode(0o0)).expect("permissions");
        assert_failures(&[Case::new("forbidden", table(&at("junk"), ""), "rejected", "permission to read the file denied")]);
    }
}

#[test]
fn a_query_must_read_and_return_the_expected_value() {
    let (folder, _) = folder_with_orders();
    let at = |name: &str| folder.path().join(name);
    assert_failures(&[
        Case::new("it writes", table(&at("orders"), "query = \"DELETE FROM t RETURNING x\""), "unhealthy", "the file is read-only"),
        Case::new(
            "another value",
            table(&at("orders"), "query = \"SELECT 1\"\nexpect = \"2\""),
            "unhealthy",
            "the query did not return the expected value",
        ),
        Case::new("no row", table(&at("orders"), "query = \"SELECT x FROM t WHERE x = 1\""), "unhealthy", "the query returned no row"),
        Case::new("no table", table(&at("orders"), "query = \"SELECT x FROM none\""), "unhealthy", "the database rejected the query"),
    ]);
}

#[test]
fn a_database_is_created_on_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("created");
    Probed::new(&table(&path, "create = true")).pass();
    assert!(path.exists());
}

/// Creates a database with a write-ahead log.
fn create_with_wal(path: &Path) {
    python(path, "d.execute('PRAGMA journal_mode=WAL'); d.execute('CREATE TABLE t (x)')");
}

#[test]
fn a_file_that_was_replaced_is_opened_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, other) = (folder.path().join("orders"), folder.path().join("other"));
    create_with_wal(&path);
    create_with_wal(&other);
    let probed = Probed::new(&table(&path, ""));
    assert_eq!(probed.observed("journal_mode"), "wal");
    let size = probed.observed("size_bytes");
    python(&other, "d.execute('INSERT INTO t SELECT hex(randomblob(50000))')");
    fs::rename(&other, &path).expect("a file");
    let replaced = probed.observed("size_bytes");
    assert!(replaced.as_u64() > size.as_u64(), "{size} and {replaced}");
    fs::remove_file(&path).expect("a file");
    assert_eq!(probed.fail().message(), "there is no such file");
}

#[test]
fn a_check_leaves_no_files_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("orders");
    create_with_wal(&path);
    let before = names(folder.path());
    let probed = Probed::new(&table(&path, ""));
    probed.drop_at_every_await(false, 0);
    probed.drop_at_every_await(true, 0);
    probed.pass();
    drop(probed);
    eventually("the log is deleted with the last connection", || (names(folder.path()) == before).then_some(()));
}

#[test]
fn a_file_is_named_as_in_each_library() {
    let (_folder, orders) = folder_with_orders();
    let path = orders.display();
    for url in [
        format!("sqlite:///{path}"),
        format!("sqlite+aiosqlite:///{path}"),
        format!("sqlite3:{path}"),
        format!("file:{path}?mode=ro"),
        format!("file://{path}?immutable=1"),
        format!("jdbc:sqlite:{path}"),
    ] {
        Probed::new(&format!("kind = \"sqlite\"\npath = \"{url}\"\nquery = \"SELECT x FROM t\"\nexpect = \"42\"")).pass();
    }
}

#[test]
fn a_missing_relative_path_that_looks_absolute_is_explained() {
    let (_folder, orders) = folder_with_orders();
    let url = format!("kind = \"sqlite\"\npath = \"sqlite://{}\"", orders.display());
    let message = "there is no such file: `sqlite:///` begins a relative path, `sqlite:////` an absolute one";
    assert_failures(&[Case::new("three slashes", url, "unhealthy", message)]);
}

#[test]
fn an_empty_file_warns_unless_the_check_may_create_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty");
    fs::write(&empty, "").expect("a file");
    assert_eq!(Probed::new(&table(&empty, "")).pass().warning(), Some("the file is empty: it is a database without tables"));
    assert_eq!(Probed::new(&table(&empty, "create = true")).pass().warning(), None);
    assert_eq!(fs::metadata(&empty).expect("a file").len(), 0);
}

#[test]
fn a_writer_blocks_readers_only_without_a_write_ahead_log() {
    let (folder, orders) = folder_with_orders();
    let with_wal = folder.path().join("wal");
    create_with_wal(&with_wal);
    let _writers = (Locked::new(&orders), Locked::new(&with_wal));
    assert_eq!(Probed::new(&table(&orders, "")).fail().message(), "the database is locked");
    Probed::new(&table(&with_wal, "query = \"SELECT count(*) FROM t\"")).pass();
}

#[test]
fn a_file_with_a_write_ahead_log_needs_a_writable_folder_unless_it_is_immutable() {
    let Some(mount) = Mounted::tmpfs("size=1m") else { return };
    let at = |name: &str| mount.path().join(name);
    create_with_wal(&at("wal"));
    python(&at("plain"), "d.execute('CREATE TABLE t (x)')");
    // A copy of a database in use: the log has changes that the file lacks.
    python(
        &at("used"),
        "d.execute('PRAGMA journal_mode=WAL'); d.execute('CREATE TABLE t (x)')\n\
         import shutil\nfor end in ['', '-wal']: shutil.copy(d.execute('PRAGMA database_list').fetchone()[2] + end, \
         d.execute('PRAGMA database_list').fetchone()[2][:-4] + 'copy' + end)",
    );
    mount.make_read_only();
    let needs_folder = "in WAL mode SQLite must be able to write to the database's folder";
    assert_failures(&[
        Case::new("a clean file", table(&at("wal"), ""), "unhealthy", needs_folder),
        Case::new("a log", table(&at("copy"), ""), "unhealthy", needs_folder),
    ]);
    Probed::new(&table(&at("plain"), "")).pass();
    let immutable = format!("kind = \"sqlite\"\npath = \"file:{}?immutable=1\"\nquery = \"SELECT count(*) FROM t\"", at("wal").display());
    Probed::new(&immutable).pass();
}
