//! File systems that tests mount, small or frozen, if this user may mount.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// Whether a process may have its own mounts here. If not, prints that the test is skipped.
pub(crate) fn may_have_own_mounts() -> bool {
    let may = succeeds(Command::new("/usr/bin/unshare").args(["--mount", "--propagation", "private", "/bin/true"]));
    if !may {
        let _ = std::io::stderr().write_all(b"skipped: this user may not give a process mounts of its own here\n");
    }
    may
}

/// The start of a command line that runs a program with other files in place of some of the system's, such as `/etc/hosts`.
pub(crate) fn with_own_files(files: &[(&Path, &str)]) -> Vec<String> {
    let mounts: Vec<_> = files.iter().map(|(file, place)| format!("mount --bind '{}' {place} && ", file.display())).collect();
    let script = format!("{}exec \"$0\" \"$@\"", mounts.concat());
    ["/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", &script].map(str::to_owned).into()
}

/// A mounted file system; unmounted when dropped.
pub(crate) struct Mounted {
    directory: TempDir,
}

impl Mounted {
    /// A tmpfs with options such as `size=64k,nr_inodes=10`. `None`: this user may not mount.
    pub(crate) fn tmpfs(options: &str) -> Option<Self> {
        Self::mount(&["-t", "tmpfs", "-o", &format!("mode=777,{options}"), "allswell"])
    }

    /// A file system that can be frozen. `None`: this user may not mount, or this machine has no loop devices.
    pub(crate) fn ext4() -> Option<Self> {
        Self::ext4_with("defaults")
    }

    /// The same with options such as `errors=remount-ro`.
    pub(crate) fn ext4_with(options: &str) -> Option<Self> {
        let image = tempfile::NamedTempFile::new().expect("a file");
        image.as_file().set_len(8 << 20).expect("a size");
        let path = image.path().to_str().expect("a path");
        if !succeeds(Command::new("/usr/sbin/mkfs.ext4").args(["-q", path])) {
            return None;
        }
        // The kernel keeps the image while it is mounted.
        Self::mount(&["-t", "ext4", "-o", &format!("loop,{options}"), path])
    }

    /// A folder that is mounted again. `None`: this user may not mount.
    pub(crate) fn bind(folder: &Path) -> Option<Self> {
        Self::mount(&["--bind", folder.to_str().expect("a path")])
    }

    /// A file system in user space whose daemon has ended. `None`: this user may not mount, or this machine has no FUSE.
    pub(crate) fn fuse_without_daemon() -> Option<Self> {
        let script = "exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 allswell \"$0\"";
        Self::mount_by(Command::new("bash").args(["-c", script]))
    }

    fn mount(arguments: &[&str]) -> Option<Self> {
        Self::mount_by(Command::new("mount").args(arguments))
    }

    /// Runs a command with the folder as its last argument.
    fn mount_by(command: &mut Command) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(directory.path().join("mount")).expect("a folder");
        let mounted = Self { directory };
        if succeeds(command.arg(mounted.path())) {
            return Some(mounted);
        }
        let _ = std::io::stderr().write_all(b"skipped: this user may not mount file systems here\n");
        None
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("mount")
    }

    pub(crate) fn make_read_only(&self) {
        assert!(succeeds(Command::new("mount").args(["-o", "remount,ro"]).arg(self.path())), "it is remounted");
    }

    /// Removes the mount and keeps the empty folder below it.
    pub(crate) fn unmount(&self) {
        assert!(succeeds(Command::new("umount").arg(self.path())), "it is unmounted");
    }

    /// Makes the kernel see an error in a mounted ext4. `false`: this kernel cannot.
    pub(crate) fn break_ext4(&self) -> bool {
        let found = Command::new("findmnt").args(["-n", "-o", "SOURCE"]).arg(self.path()).output().expect("findmnt");
        let device = String::from_utf8(found.stdout).expect("text");
        let trigger = format!("/sys/fs/ext4/{}/trigger_fs_error", device.trim().trim_start_matches("/dev/"));
        std::fs::write(trigger, "1").is_ok()
    }

    pub(crate) fn make_writable(&self) {
        assert!(succeeds(Command::new("mount").args(["-o", "remount,rw"]).arg(self.path())), "it is remounted");
    }

    /// Blocks all writes, like a mount without its server, until the result is dropped or 30 s have passed.
    pub(crate) fn freeze(&self) -> Frozen {
        Frozen::new(&self.path())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        succeeds(Command::new("umount").arg("--lazy").arg(self.path()));
    }
}

/// A frozen file system. A process that waits for it cannot be killed, so another process thaws it, even if the tests are killed.
pub(crate) struct Frozen(Child);

impl Frozen {
    fn new(path: &Path) -> Self {
        let script = "fsfreeze --freeze \"$0\" && echo frozen && read -r -t 30; fsfreeze --unfreeze \"$0\"";
        let mut command = Command::new("bash");
        command.args(["-c", script]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("bash");
        let mut line = [0; 7];
        std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut line).expect("it is frozen");
        Self(child)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
