//! The meaning of the errors of a file system, in particular of one behind a mount: what is wrong, and what to do.

use super::mount_table::MountTable;
use crate::contract::{Failure, FailureClass};
use rustix::{fs::StatVfs, io::Errno};
use std::{fs, io, path::Path};

/// Free space up to which "no space is left" needs no explanation: file systems keep some for themselves.
const NEARLY_FULL_BYTES: u64 = 4 << 20;

/// Classifies an error of the file system that contains `path`. Returns the error if it is one about the path itself, such as a missing one: the kind
/// knows what the path is for. This blocks.
pub(crate) fn classify(error: io::Error, path: &Path) -> Result<Failure, io::Error> {
    let failure = match Errno::from_io_error(&error) {
        Some(Errno::ROFS) => Failure::unhealthy(read_only(path)),
        Some(Errno::NOSPC) => Failure::exhausted(rustix::fs::statvfs(path).map_or(FULL, |found| no_space(&found))),
        Some(Errno::DQUOT) => Failure::exhausted("the quota is used up"),
        Some(Errno::STALE) => Failure::unhealthy("the mount is stale: unmount it and mount it again"),
        // The words of FUSE for a daemon that has ended, before and during the request.
        Some(Errno::NOTCONN | Errno::CONNABORTED) => {
            Failure::unhealthy("the daemon or server behind the mount is gone: unmount it and mount it again")
        }
        Some(Errno::IO) => Failure::unhealthy("an I/O error of the file system: look into the kernel's log"),
        // EUCLEAN: "Structure needs cleaning".
        Some(Errno::UCLEAN) => Failure::unhealthy("the file system is damaged: repair it with `fsck`"),
        Some(Errno::NODEV | Errno::NXIO | Errno::NOMEDIUM) => Failure::unhealthy("the device of the file system is gone"),
        Some(Errno::HOSTDOWN | Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::CONNREFUSED) => {
            Failure::new(FailureClass::Unreachable, "the file server cannot be reached")
        }
        Some(Errno::TIMEDOUT) => Failure::new(FailureClass::Timeout, "the file server did not answer in time"),
        Some(Errno::MFILE | Errno::NFILE) => Failure::new(FailureClass::Internal, "this machine has no file descriptors left"),
        Some(Errno::FBIG) => {
            Failure::exhausted("the file would be larger than allowed: raise the limit of file sizes (ulimit -f, LimitFSIZE=)")
        }
        Some(Errno::PERM) => Failure::rejected("the operation is not permitted: the directory may be immutable (`chattr +i`)"),
        Some(Errno::ACCESS) if rustix::process::geteuid().is_root() => {
            Failure::rejected("permission denied to root: NFS (root_squash), FUSE (allow_root) or missing capabilities deny it")
        }
        _ => return Err(error),
    };
    Ok(failure.because(error))
}

fn read_only(path: &Path) -> &'static str {
    let became_read_only = fs::canonicalize(path).and_then(|path| Ok(MountTable::read()?.became_read_only(&path)));
    if became_read_only.unwrap_or_default() {
        "the file system is read-only, although it was mounted for writing: look into the kernel's log for errors"
    } else {
        "the file system is read-only"
    }
}

const FULL: &str = "no space is left";

/// Why there is no space, by the figures of the file system.
fn no_space(found: &StatVfs) -> &'static str {
    if found.f_files > 0 && found.f_favail == 0 && found.f_bavail > 0 {
        return "no inodes are left, although space is free";
    }
    if found.f_bavail == 0 && found.f_bfree > 0 {
        return "no space is left, except for root";
    }
    if found.f_bavail.saturating_mul(found.f_frsize) > NEARLY_FULL_BYTES {
        return "no space is left, although some is free: a quota, a thin volume, or the file system's metadata is full";
    }
    FULL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_system_says_of_what_it_is_full() {
        let figures = |bfree, bavail, files, favail| StatVfs {
            f_bsize: 4096,
            f_frsize: 4096,
            f_blocks: 1 << 20,
            f_bfree: bfree,
            f_bavail: bavail,
            f_files: files,
            f_ffree: favail,
            f_favail: favail,
            ..rustix::fs::statvfs("/").expect("figures")
        };
        assert_eq!(no_space(&figures(0, 0, 1000, 10)), FULL);
        assert_eq!(no_space(&figures(3, 3, 1000, 10)), FULL, "too little for the file");
        assert_eq!(no_space(&figures(5000, 5000, 1000, 0)), "no inodes are left, although space is free");
        assert_eq!(no_space(&figures(5000, 0, 1000, 10)), "no space is left, except for root");
        assert!(no_space(&figures(5000, 5000, 0, 0)).contains("a thin volume"), "without fixed inodes");
    }

    #[test]
    fn errors_of_mounts_have_a_remedy() {
        let classified = |errno: Errno| classify(errno.into(), Path::new("/none")).map(|failure| failure.to_string());
        for (errno, expected) in [
            (Errno::STALE, "unhealthy: the mount is stale: unmount it and mount it again"),
            (Errno::NOTCONN, "unhealthy: the daemon or server behind the mount is gone: unmount it and mount it again"),
            (Errno::DQUOT, "exhausted: the quota is used up"),
            (Errno::HOSTDOWN, "unreachable: the file server cannot be reached"),
            (Errno::UCLEAN, "unhealthy: the file system is damaged: repair it with `fsck`"),
        ] {
            assert_eq!(classified(errno).ok().as_deref(), Some(expected));
        }
        assert!(classified(Errno::NOENT).is_err());
    }
}
