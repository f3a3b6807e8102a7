//! Which configuration a command uses, and that only a file that does not exist counts as absent.

use crate::{
    helpers::{Allswell, Ran, command, eventually, run, write_private},
    servers::{as_nobody, mounts::may_have_own_mounts},
};
use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
};
use tempfile::TempDir;

const MEMORY: &str = "[checks.memory]\nkind = \"memory\"\n";
const DIRECTORY: &str =
    "this is a directory, not a file: Docker creates one if the file of a volume is missing on the host: create the file there first";

/// Creates something at a path.
type Create<'a> = &'a dyn Fn(&Path);

fn validated(directory: &TempDir, arguments: &[&str]) -> Ran {
    run(command(directory).arg("validate").args(arguments))
}

#[test]
fn a_configuration_that_cannot_be_read_is_an_error_and_no_absence() {
    let create: [(&str, Create<'_>, &str); 3] = [
        ("a directory", &|path| fs::create_dir(path).expect("a folder"), DIRECTORY),
        ("a dangling link", &|path| symlink("none.toml", path).expect("a link"), "this is a link to a file that does not exist"),
        ("a circle", &|path| symlink("allswell.toml", path).expect("a link"), "its symbolic links lead in a circle"),
    ];
    for (what, create, reason) in create {
        let directory = tempfile::tempdir().expect("a folder");
        create(&directory.path().join("allswell.toml"));
        for arguments in
            [&["validate"][..], &["check"], &["wait"], &["serve", "--listen", "127.0.0.1:0"], &["validate", "--config", "allswell.toml"]]
        {
            let ran = run(command(&directory).args(arguments));
            let expected = format!("error: allswell.toml: {reason}\n1 problem in the configuration; nothing was started\n");
            assert_eq!((ran.code, ran.stderr), (Some(2), expected), "{what}: {arguments:?}");
        }
    }
    // The same for files that the configuration or a flag names.
    let directory = tempfile::tempdir().expect("a folder");
    fs::create_dir(directory.path().join("folder")).expect("a folder");
    write_private(
        directory.path().join("allswell.toml"),
        "[server]\ntoken_file = \"folder\"\n[server.tls]\ncertificate_file = \"folder\"\nkey_file = \"folder\"\n",
    );
    let ran = validated(&directory, &[]);
    for key in ["2:1: server.token_file: ", "4:1: server.tls.certificate_file: "] {
        assert!(ran.stderr.contains(&format!("error: allswell.toml:{key}{DIRECTORY}\n")), "{}", ran.stderr);
    }
    let ran = validated(&directory, &["--env-file", "folder"]);
    assert_eq!((ran.code, ran.stderr), (Some(2), format!("error: folder: {DIRECTORY}\n")));
}

#[test]
fn a_configuration_without_access_is_an_error_and_no_absence() {
    if !rustix::process::getuid().is_root() {
        let _ = std::io::stderr().write_all(b"skipped: only root can become another user\n");
        return;
    }
    let directory = tempfile::tempdir().expect("a folder");
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions");
    mode(directory.path(), 0o755);
    let folder = directory.path().join("folder");
    fs::create_dir(&folder).expect("a folder");
    let file = folder.join("allswell.toml");
    fs::write(&file, MEMORY).expect("a file");
    let program = Path::new(env!("CARGO_BIN_EXE_allswell"));
    let validate = |within: &Path, named: Option<&Path>| {
        let mut command = as_nobody(program);
        command.arg("validate").env_clear().current_dir(within);
        run(command.args(named.iter().flat_map(|file| [Path::new("--config"), *file])))
    };
    // The folder cannot be entered; a shell that was there before still is.
    mode(&folder, 0o600);
    let ran = validate(directory.path(), Some(&file));
    let expected = format!("error: {}: permission denied: this user cannot enter the directory of the file\n", file.display());
    assert!(ran.code == Some(2) && ran.stderr.starts_with(&expected), "{}", ran.stderr);
    let script = "cd folder && exec /usr/bin/setpriv --reuid=nobody --regid=nogroup --clear-groups \"$0\" validate";
    let ran = run(Command::new("/bin/sh").args(["-c", script]).arg(program).env_clear().current_dir(directory.path()));
    let expected = "error: allswell.toml: permission denied: this user cannot enter the directory of the file\n";
    assert!(ran.code == Some(2) && ran.stderr.starts_with(expected), "{}", ran.stderr);
    mode(&folder, 0o755);
    mode(&file, 0o600);
    let ran = validate(&folder, None);
    let expected = "error: allswell.toml: permission denied: this user cannot read the file\n";
    assert!(ran.code == Some(2) && ran.stderr.starts_with(expected), "{}", ran.stderr);
}

#[test]
fn files_are_looked_for_in_flags_then_a_variable_then_the_default_places() {
    if !may_have_own_mounts() {
        let _ = std::io::stderr().write_all(b"skipped: no mounts of its own\n");
        return;
    }
    let directory = tempfile::tempdir().expect("a folder");
    let write = |name: &str, check: &str| write_private(directory.path().join(name), &format!("[checks.{check}]\nkind = \"memory\"\n"));
    write("etc.toml", "from_etc");
    write("a.toml", "from_a");
    write("b.toml", "from_b");
    // A private /etc, so that neither the machine's files matter nor the test changes them.
    let script = "mount -t tmpfs none /etc && mkdir /etc/allswell && eval \"$PREPARE\" && exec \"$0\" \"$@\"";
    let checked = |prepare: &str, arguments: &[&str], variables: &[(&str, &str)]| {
        let mut wrapped = Command::new("/usr/bin/unshare");
        wrapped.args(["--mount", "--propagation", "private", "/bin/sh", "-c", script]).arg(env!("CARGO_BIN_EXE_allswell"));
        wrapped.env_clear().env("PATH", "/usr/bin:/bin").env("PREPARE", prepare).envs(variables.iter().copied());
        run(wrapped.args(arguments).current_dir(directory.path()))
    };
    let first = |ran: &Ran| ran.stderr.lines().next().unwrap_or_default().to_owned();
    let etc = "cp etc.toml /etc/allswell/allswell.toml";
    let both = format!("{etc}; cp a.toml allswell.toml");
    for (prepare, arguments, variables, expected) in [
        (":", &[][..], &[][..], "configuration: no file, only the environment"),
        (etc, &[], &[], "configuration: /etc/allswell/allswell.toml"),
        (etc, &[], &[("ALLSWELL_CONFIG", "b.toml:a.toml")], "configuration: b.toml, a.toml"),
        (etc, &["--config", "a.toml"], &[("ALLSWELL_CONFIG", "b.toml")], "configuration: a.toml"),
        (&both, &[], &[], "configuration: allswell.toml"),
    ] {
        let ran = checked(prepare, &[&["check"], arguments].concat(), variables);
        assert_eq!((ran.code, first(&ran).as_str()), (Some(0), expected), "{prepare}: {}", ran.stderr);
    }
    fs::remove_file(directory.path().join("allswell.toml")).expect("a file");
    let waited = checked(etc, &["wait"], &[]);
    assert_eq!((waited.code, first(&waited).as_str()), (Some(0), "configuration: /etc/allswell/allswell.toml"), "{}", waited.stderr);
    let missing = checked(etc, &["check"], &[("ALLSWELL_CONFIG", "none.toml")]);
    assert_eq!((missing.code, first(&missing).as_str()), (Some(2), "error: none.toml: there is no such file"));
    let directory_in_place = checked("mkdir /etc/allswell/allswell.toml", &["check"], &[]);
    assert_eq!(first(&directory_in_place), format!("error: /etc/allswell/allswell.toml: {DIRECTORY}"));

    // The env file belongs to the file in /etc.
    let with_variables = format!("{etc}; echo ALLSWELL_CHECKS__EXTRA__KIND=memory > /etc/allswell/environment");
    let counts = |ran: Ran| (ran.code, ran.stdout.contains("extra"));
    assert_eq!(counts(checked(&with_variables, &["check"], &[])), (Some(0), true));
    assert_eq!(counts(checked(&with_variables, &["check", "--config", "a.toml"], &[])), (Some(0), false));
    let broken = checked(&format!("{etc}; mkdir /etc/allswell/environment"), &["check"], &[]);
    assert_eq!((broken.code, first(&broken)), (Some(2), format!("error: /etc/allswell/environment: {DIRECTORY}")));
    let dangling = checked(&format!("{etc}; ln -s none /etc/allswell/environment"), &["check"], &[]);
    assert_eq!((dangling.code, dangling.stderr.contains("this is a link to a file that does not exist")), (Some(2), true));
    // A file that only root can read is not an error for other users: systemd reads it for them.
    let as_nobody = "chmod 711 /etc/allswell; chmod 644 /etc/allswell/allswell.toml; chmod 600 /etc/allswell/environment; \
                     exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$0\" \"$@\"";
    let program = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().expect("a folder");
    let unreadable = checked(&format!("{with_variables}; cd {}; {as_nobody}", program.path().display()), &["check"], &[]);
    assert_eq!(counts(unreadable), (Some(0), false));
}

#[test]
fn commands_without_a_configuration_reject_one() {
    let directory = tempfile::tempdir().expect("a folder");
    for (arguments, flag) in [
        (&["schema", "--config", "a.toml"][..], "--config"),
        (&["kinds", "--config", "a.toml"], "--config"),
        (&["completions", "bash", "--config", "a.toml"], "--config"),
        (&["init", "--config", "a.toml"], "--config"),
        (&["schema", "--env-file", "a.env"], "--env-file"),
    ] {
        let ran = run(command(&directory).args(arguments));
        let expected = format!("error: `allswell {}` does not read this file: remove {flag}\n", arguments[0]);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr), (Some(2), "", expected));
    }
}

#[test]
fn a_drain_file_that_is_a_directory_is_warned_about_and_a_dangling_link_drains() {
    let directory = tempfile::tempdir().expect("a folder");
    let drain = directory.path().join("drain");
    let configuration = format!("[server]\ndrain_file = \"{}\"\n{MEMORY}", drain.display());
    write_private(directory.path().join("allswell.toml"), &configuration);
    assert_eq!(validated(&directory, &[]).stderr, "");
    fs::create_dir(&drain).expect("a folder");
    let expected = format!("warning: allswell.toml:2:1: server.drain_file: {DIRECTORY}; the instance drains while this exists\n");
    assert_eq!(validated(&directory, &[]).stderr, expected);
    fs::remove_dir(&drain).expect("a folder");
    let service = Allswell::start(&configuration);
    service.await_report("/readyz", "the service is ready", |response| response.status == 200);
    symlink("none", &drain).expect("a link");
    service.await_report("/readyz", "the service drains", |response| response.status == 500);
    fs::remove_file(&drain).expect("a link");
    eventually("the service accepts traffic again", || (service.get("/readyz").status == 200).then_some(()));
}
