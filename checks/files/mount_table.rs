//! Reads the mounts that this process sees: `/proc/self/mountinfo`.
//!
//! The table is read without touching a file system, so a hung mount cannot delay it.
//! <https://www.kernel.org/doc/html/latest/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts>

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// All mounts, in the order in which they were mounted.
pub(super) struct MountTable(Vec<Mount>);

#[derive(Debug)]
struct Mount {
    id: u32,
    parent: u32,
    /// Major and minor number.
    device: Vec<u8>,
    /// The folder of the file system that is mounted.
    root: PathBuf,
    /// Where it is mounted.
    place: PathBuf,
    options: Vec<u8>,
    file_system: Vec<u8>,
    file_system_options: Vec<u8>,
}

impl MountTable {
    pub(super) fn read() -> io::Result<Self> {
        Ok(Self::parse(&fs::read("/proc/self/mountinfo")?))
    }

    fn parse(text: &[u8]) -> Self {
        Self(text.split(|byte| *byte == b'\n').filter_map(Mount::parse).collect())
    }

    /// Whether a file system is mounted at this path, which is absolute and without links.
    pub(super) fn has_mount_at(&self, path: &Path) -> bool {
        self.0.iter().any(|mount| mount.place == path && mount.file_system != b"autofs" && !self.is_bound_to_itself(mount))
    }

    /// Whether a folder is mounted onto itself, so that nothing else is mounted there: systemd does this for `ReadWritePaths`.
    fn is_bound_to_itself(&self, mount: &Mount) -> bool {
        let Some(parent) = self.0.iter().find(|parent| parent.id == mount.parent && parent.id != mount.id) else { return false };
        let Ok(below) = mount.place.strip_prefix(&parent.place) else { return false };
        parent.device == mount.device && parent.root.join(below) == mount.root
    }

    /// Whether the file system of this path is read-only, although it was mounted for writing: the kernel does this after an error.
    pub(super) fn became_read_only(&self, path: &Path) -> bool {
        let deepest = |mount: &&Mount| mount.place.components().count();
        let mount = self.0.iter().filter(|mount| path.starts_with(&mount.place)).max_by_key(deepest);
        mount.is_some_and(|mount| {
            let has = |options: &[u8], names: &[&[u8]]| options.split(|byte| *byte == b',').any(|option| names.contains(&option));
            has(&mount.options, &[b"rw"]) && has(&mount.file_system_options, &[b"ro", b"emergency_ro"])
        })
    }
}

impl Mount {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let mut field = || fields.next();
        let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse().ok();
        let (id, parent, device) = (number(field()?)?, number(field()?)?, field()?.to_vec());
        let (root, place, options) = (unescaped(field()?), unescaped(field()?), field()?.to_vec());
        // Optional fields end with a hyphen.
        fields.find(|field| *field == b"-")?;
        let file_system = fields.next()?.to_vec();
        let file_system_options = fields.nth(1).unwrap_or_default().to_vec();
        Some(Self { id, parent, device, root, place, options, file_system, file_system_options })
    }
}

/// A path whose blanks, tabs, newlines and backslashes are written as a backslash and three octal digits.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|digits| *first == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)));
        let code = digits.and_then(|digits| u8::try_from(digits.iter().fold(0_u32, |code, digit| code * 8 + u32::from(digit - b'0'))).ok());
        path.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = br"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 22 0:40 / /srv/nfs rw shared:2 master:3 - nfs4 files:/export rw,hard
31 22 254:0 /srv/media /srv/media rw - ext4 /dev/vda rw
32 22 254:0 /home/data /srv/bound rw - ext4 /dev/vda rw
33 30 0:40 / /srv/nfs rw - nfs4 files:/export rw
34 22 0:50 / /srv/auto rw - autofs /etc/auto.direct rw
35 22 0:60 /@media /srv/sub\040volume rw - btrfs /dev/vdb rw,subvol=/@media
36 22 7:0 / /srv/broken rw - ext4 /dev/loop0 ro,errors=remount-ro
37 22 7:1 / /srv/emergency rw - ext4 /dev/loop1 rw,emergency_ro
38 22 7:2 / /srv/archive ro - ext4 /dev/loop2 ro
";

    #[test]
    fn a_mount_point_has_a_file_system_of_its_own() {
        let table = MountTable::parse(TABLE);
        let has = |path: &str| table.has_mount_at(Path::new(path));
        for path in ["/", "/srv/nfs", "/srv/bound", "/srv/sub volume"] {
            assert!(has(path), "{path}");
        }
        for path in ["/srv", "/srv/nfs/below", "/srv/none"] {
            assert!(!has(path), "{path}");
        }
        assert!(!has("/srv/media"), "a folder that is bound to itself, as systemd does");
        assert!(!has("/srv/auto"), "an automount without its file system");
    }

    #[test]
    fn a_file_system_that_became_read_only_differs_from_one_that_was_mounted_so() {
        let table = MountTable::parse(TABLE);
        let became = |path: &str| table.became_read_only(Path::new(path));
        assert!(became("/srv/broken") && became("/srv/broken/below") && became("/srv/emergency"));
        assert!(!became("/srv/archive") && !became("/srv/nfs") && !became("/"));
    }
}
