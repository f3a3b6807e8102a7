//! `disk`, on this machine's file systems and on small ones that the tests mount.

use crate::{
    probing::{Case, Probed, assert_failures},
    servers::mounts::Mounted,
};
use std::{fs, path::Path};

fn table(path: &Path, more: &str) -> String {
    format!("kind = \"disk\"\npath = \"{}\"\n{more}", path.display())
}

#[test]
fn a_path_that_does_not_exist_fails() {
    let directory = tempfile::tempdir().expect("a folder");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("a file");
    let any = "fail_free = \"0%\"";
    assert_failures(&[
        Case::new("missing", table(&directory.path().join("none"), any), "unhealthy", "there is no such path"),
        Case::new("below a file", table(&file.join("none"), any), "unhealthy", "the file system cannot be read"),
    ]);
}

#[test]
fn a_folder_or_a_file_stands_for_its_file_system() {
    let directory = tempfile::tempdir().expect("a folder");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("a file");
    let any = "fail_free = \"0%\"";
    let (folder, file) = (Probed::new(&table(directory.path(), any)).pass(), Probed::new(&table(&file, any)).pass());
    for name in ["free_bytes", "free_share"] {
        assert!(folder.values()[name].is_number() && file.values()[name].is_number(), "{folder:?}");
    }
}

#[test]
fn less_free_space_or_fewer_free_inodes_than_the_limit_warn_or_fail() {
    let Some(mounted) = Mounted::tmpfs("size=1m,nr_inodes=10") else { return };
    let with = |more: &str| Probed::new(&table(&mounted.path(), more));
    // The root folder of a tmpfs takes one inode.
    let empty = with("warn_free = \"10%\"").pass();
    assert_eq!(empty.values()["free_bytes"], 1 << 20);
    assert_eq!((&empty.values()["free_share"], &empty.values()["free_inodes_share"]), (&1.0.into(), &0.9.into()));
    assert_eq!(empty.warning(), None);

    fs::write(mounted.path().join("half"), vec![0; 1 << 19]).expect("space");
    assert_eq!(with("warn_free = \"60%\"").pass().warning(), Some("512 KiB (50%) free, less than 60%"));
    assert_eq!(with("warn_free = \"600KiB\"").pass().warning(), Some("512 KiB (50%) free, less than 600 KiB"));
    let failure = with("fail_free = \"600KiB\"").fail();
    assert_eq!((failure.class().as_str(), failure.message()), ("unhealthy", "512 KiB (50%) free, less than 600 KiB"));
    assert_eq!(failure.values()["free_bytes"], 1 << 19);

    for number in 0..8 {
        fs::write(mounted.path().join(number.to_string()), "").expect("an inode");
    }
    assert_eq!(with("").fail().message(), "0% of the inodes free, less than 5%");
    with("fail_free = \"100KiB\"").pass();
}

#[test]
fn a_file_system_without_figures_warns_and_does_not_fail() {
    for limit in ["", "fail_free = \"5GiB\""] {
        let seen = Probed::new(&table(Path::new("/proc"), limit)).pass();
        assert_eq!((seen.warning(), seen.values().len()), (Some("the file system does not report its size"), 0), "{seen:?}");
    }
}

#[test]
fn a_required_mount_that_is_gone_fails() {
    let Some(mounted) = Mounted::tmpfs("size=1m") else { return };
    let required = Probed::new(&table(&mounted.path(), "require_mount = true"));
    assert_eq!(required.pass().values()["free_bytes"], 1 << 20);
    mounted.unmount();
    assert_eq!(required.fail().message(), "nothing is mounted at `path`");
    let below = table(&mounted.path().join("file"), &format!("require_mount = \"{}\"", mounted.path().display()));
    assert_eq!(Probed::new(&below).fail().message(), "nothing is mounted at the folder in `require_mount`");
}
