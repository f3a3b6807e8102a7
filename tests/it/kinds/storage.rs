//! `storage`, on directories that are full, read-only, forbidden, sabotaged or on a hung mount.

use crate::{
    helpers::{Allswell, eventually},
    probing::{Case, Probed, assert_failures},
    servers::{as_nobody, mounts::Mounted, own},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

fn table(path: &Path, more: &str) -> String {
    format!("kind = \"storage\"\npath = \"{}\"\n{more}", path.display())
}

fn entries(path: &Path) -> usize {
    fs::read_dir(path).expect("a folder").count()
}

#[test]
fn a_pass_observes_the_times_of_writing_and_reading() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path();
    for more in ["", "size = \"1MiB\"\nsync = true", "size = \"1\""] {
        let seen = Probed::new(&table(path, more)).pass();
        assert!(seen.values()["write_ms"].is_number() && seen.values()["read_ms"].is_number(), "{seen:?}");
    }
    let listed = Probed::new(&table(path, "write = false")).pass();
    assert!(listed.values()["read_ms"].is_number() && !listed.values().contains_key("write_ms"), "{listed:?}");
}

#[test]
fn a_path_that_is_missing_or_no_directory_fails() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path();
    let file = path.join("file");
    fs::write(&file, "").expect("a file");
    assert_failures(&[
        Case::new("missing", table(&path.join("none"), ""), "unhealthy", "there is no such directory"),
        Case::new("missing, to list", table(&path.join("none"), "write = false"), "unhealthy", "there is no such directory"),
        Case::new("a file", table(&file, ""), "unhealthy", "the path is not a directory"),
        Case::new("a file, to list", table(&file, "write = false"), "unhealthy", "the path is not a directory"),
    ]);
}

#[test]
fn a_dropped_probe_leaves_no_file_behind() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path();
    let probed = Probed::new(&table(path, "size = \"1MiB\"\nsync = true"));
    probed.drop_at_every_await(false, 1);
    eventually("nothing is left", || (entries(path) == 0).then_some(()));
}

#[test]
fn a_file_that_was_changed_before_it_was_read_fails_and_is_deleted() {
    let directory = tempfile::tempdir().expect("a folder");
    let (path, done) = (directory.path().to_owned(), Arc::new(AtomicBool::new(false)));
    let (watched, over) = (path.clone(), Arc::clone(&done));
    let saboteur = thread::spawn(move || {
        while !over.load(SeqCst) {
            for entry in fs::read_dir(&watched).expect("a folder").flatten() {
                // The file may be gone already.
                let _ = fs::File::options().write(true).open(entry.path()).and_then(|file| file.set_len(0));
            }
        }
    });
    let probed = Probed::new(&table(&path, "size = \"1MiB\"\nsync = true"));
    let failure = eventually("the saboteur was in time", || probed.probe().err());
    done.store(true, SeqCst);
    saboteur.join().expect("no panic");
    assert_eq!((failure.class().as_str(), failure.message()), ("unhealthy", "the data read back is not the data written"));
    assert_eq!(entries(&path), 0);
}

#[test]
fn a_pipe_in_place_of_the_file_does_not_block_and_a_link_is_not_followed() {
    let directory = tempfile::tempdir().expect("a folder");
    let (path, done) = (directory.path().to_owned(), Arc::new(AtomicBool::new(false)));
    let elsewhere = tempfile::tempdir().expect("a folder");
    let (target, pipe) = (elsewhere.path().join("target"), elsewhere.path().join("pipe"));
    fs::write(&target, "another user's").expect("a file");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let (watched, over, linked) = (path.clone(), Arc::clone(&done), target.clone());
    let saboteur = thread::spawn(move || {
        let mut replaced = 0_usize;
        while !over.load(SeqCst) {
            for entry in fs::read_dir(&watched).expect("a folder").flatten() {
                // The file may be gone already. Nothing replaces a link, so that the check can delete it.
                let swap = watched.join("swap");
                let created =
                    if replaced.is_multiple_of(2) { fs::hard_link(&pipe, &swap) } else { std::os::unix::fs::symlink(&linked, &swap) };
                if entry.file_name().to_string_lossy().starts_with(".allswell-") && created.is_ok() && entry.path().exists() {
                    let _ = fs::rename(&swap, entry.path());
                    replaced += 1;
                }
                let _ = fs::remove_file(&swap);
            }
        }
    });
    let probed = Probed::new(&table(&path, "size = \"1MiB\"\nsync = true"));
    let mut messages = Vec::new();
    eventually("the saboteur was in time with both", || {
        messages.extend(probed.probe().err().map(|failure| failure.message().to_owned()));
        let both = ["the data read back is not the data written", "the directory cannot be used"];
        both.iter().all(|message| messages.iter().any(|one| one == message)).then_some(())
    });
    done.store(true, SeqCst);
    saboteur.join().expect("no panic");
    assert_eq!(fs::read_to_string(&target).expect("a file"), "another user's");
}

#[test]
fn a_full_or_read_only_file_system_fails() {
    let Some(space) = Mounted::tmpfs("size=64k") else { return };
    let Some(inodes) = Mounted::tmpfs("nr_inodes=1") else { return };
    let Some(read_only) = Mounted::tmpfs("size=64k") else { return };
    read_only.make_read_only();
    assert_failures(&[
        Case::new("space", table(&space.path(), "size = \"128KiB\""), "exhausted", "no space is left"),
        Case::new("inodes", table(&inodes.path(), ""), "exhausted", "no inodes are left, although space is free"),
        Case::new("read-only", table(&read_only.path(), ""), "unhealthy", "the file system is read-only"),
    ]);
    assert_eq!(entries(&space.path()), 0, "the unfinished file is deleted");
    Probed::new(&table(&space.path(), "")).pass();
    for mounted in [&inodes, &read_only] {
        Probed::new(&table(&mounted.path(), "write = false")).pass();
    }
}

#[test]
fn a_required_mount_that_is_gone_fails() {
    let Some(mounted) = Mounted::tmpfs("size=64k") else { return };
    let Some(bound) = Mounted::bind(&mounted.path()) else { return };
    let at = mounted.path();
    fs::create_dir(at.join("below")).expect("a folder");
    let required = |path: &Path, by: &str| Probed::new(&table(path, &format!("require_mount = {by}")));
    let folder = format!("\"{}\"", at.display());
    for probed in [required(&at, "true"), required(&at.join("below"), &folder), required(&bound.path(), "true")] {
        probed.pass();
    }
    let link = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(&at, link.path().join("media")).expect("a link");
    required(&link.path().join("media"), "true").pass();
    assert_eq!(required(&at.join("below"), "true").fail().message(), "nothing is mounted at `path`");
    assert_eq!(required(link.path(), &folder).fail().message(), "`path` is not below the folder in `require_mount`");
    mounted.unmount();
    Probed::new(&table(&at, "")).pass();
    let failure = required(&at, "true").fail();
    assert_eq!((failure.class().as_str(), failure.message()), ("unhealthy", "nothing is mounted at `path`"));
    fs::create_dir(at.join("below")).expect("a folder");
    assert_eq!(required(&at.join("below"), &folder).fail().message(), "nothing is mounted at the folder in `require_mount`");
    assert_eq!(entries(&at), 1, "nothing was written to the folder below the mount");
    required(&bound.path(), "true").pass();
}

#[test]
fn a_folder_that_is_mounted_onto_itself_is_no_mount() {
    // As systemd mounts the folders in `ReadWritePaths`.
    let directory = tempfile::tempdir().expect("a folder");
    let mount = |arguments: &[&str]| std::process::Command::new(arguments[0]).args(&arguments[1..]).arg(directory.path()).status();
    if !mount(&["mount", "--bind", directory.path().to_str().expect("a path")]).is_ok_and(|status| status.success()) {
        return;
    }
    let failure = Probed::new(&table(directory.path(), "require_mount = true")).probe();
    assert!(mount(&["umount"]).is_ok_and(|status| status.success()));
    assert_eq!(failure.expect_err("nothing is mounted").message(), "nothing is mounted at `path`");
}

#[test]
fn a_mount_without_its_daemon_and_one_that_became_read_only_fail_with_their_reason() {
    let gone = "the daemon or server behind the mount is gone: unmount it and mount it again";
    if let Some(orphan) = Mounted::fuse_without_daemon() {
        assert_failures(&[
            Case::new("to write", table(&orphan.path(), ""), "unhealthy", gone),
            Case::new("to list", table(&orphan.path(), "write = false"), "unhealthy", gone),
            Case::new("required", table(&orphan.path(), "require_mount = true"), "unhealthy", gone),
            Case::new("of a disk", table(&orphan.path(), "").replace("\"storage\"", "\"disk\""), "unhealthy", gone),
        ]);
    }
    if let Some(broken) = Mounted::ext4_with("errors=remount-ro").filter(Mounted::break_ext4) {
        let message = "the file system is read-only, although it was mounted for writing: look into the kernel's log for errors";
        assert_failures(&[Case::new("after an error", table(&broken.path(), ""), "unhealthy", message)]);
    }
    if let Some(immutable) = Mounted::ext4() {
        let set =
            |flag: &str| std::process::Command::new("chattr").arg(flag).arg(immutable.path()).status().is_ok_and(|status| status.success());
        if set("+i") {
            let message = "the operation is not permitted: the directory may be immutable (`chattr +i`)";
            assert_failures(&[Case::new("immutable", table(&immutable.path(), ""), "rejected", message)]);
            assert!(set("-i"));
        }
    }
}

/// The first line of `allswell check` of a directory with a mode, run by a user with no other rights.
fn checked_as_nobody(mode: u32, keys: &str) -> String {
    let directory = tempfile::tempdir().expect("a folder");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    let path = directory.path().join("media");
    fs::create_dir(&path).expect("a folder");
    own("nobody", &path);
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("permissions");
    let (program, file) = (directory.path().join("allswell"), directory.path().join("allswell.toml"));
    // The user `nobody` may not enter the folder in which the program was built.
    fs::hard_link(env!("CARGO_BIN_EXE_allswell"), &program)
        .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_allswell"), &program).map(drop))
        .expect("a program");
    fs::write(&file, format!("[checks.media]\n{}", table(&path, keys))).expect("a file");
    let output =
        as_nobody(&program).args(["check", "--config"]).arg(&file).current_dir(directory.path()).env_clear().stdin(Stdio::null()).output();
    let text = String::from_utf8(output.expect("it runs").stdout).expect("text");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("permissions");
    text.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn the_documented_rights_suffice_and_fewer_do_not() {
    for (mode, more) in [(0o300, ""), (0o500, "write = false")] {
        let line = checked_as_nobody(mode, more);
        assert!(line.starts_with("pass  media"), "{mode:o}: {line}");
    }
    for (mode, more) in [(0o500, ""), (0o200, ""), (0o100, "write = false"), (0o000, "write = false")] {
        let line = checked_as_nobody(mode, more);
        assert!(line.starts_with("fail  media") && line.contains("rejected: permission to use the directory denied"), "{mode:o}: {line}");
    }
}

#[test]
fn a_hung_mount_blocks_one_thread_and_no_other_check() {
    let Some(mounted) = Mounted::ext4() else { return };
    let before = entries(&mounted.path());
    let service = Allswell::start(&format!(
        "[defaults]\ninterval = \"100ms\"\ntimeout = \"50ms\"\n[checks.hung]\n{}\n[checks.well]\n{}",
        table(&mounted.path(), ""),
        table(&std::env::temp_dir(), "timeout = \"10s\"\ninterval = \"1s\""),
    ));
    service.await_report("/health", "both pass", |response| response.status == 200);
    let threads = || fs::read_dir(format!("/proc/{}/task", service.pid())).expect("proc").count();
    let frozen = mounted.freeze();
    let await_timeouts = |count: u64| {
        service.await_report("/health", "only the check of the hung mount times out", |response| {
            let json = response.json();
            let (hung, well) = (&json["components"]["hung"], &json["components"]["well"]);
            hung["failure"]["class"] == "timeout" && hung["consecutive"].as_u64() > Some(count) && well["status"] == "pass"
        })
    };
    await_timeouts(3);
    let early = threads();
    await_timeouts(40);
    assert!(threads() <= early + 2, "{early} threads, then {}", threads());
    drop(frozen);
    service.await_report("/health", "both pass again", |response| response.status == 200);
    eventually("only a running probe has a file there", || (entries(&mounted.path()) == before).then_some(()));
}
