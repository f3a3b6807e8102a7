//! Fingerprints of files' contents, and whether the contents have changed.
//!
//! Files are read periodically and not watched through the kernel, which misses links that are swapped, as Kubernetes does, and files on network
//! file systems.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hasher},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::task::spawn_blocking;

/// How often watched files are read.
pub(super) const READ_INTERVAL: Duration = Duration::from_secs(1);

/// The most bytes of a file that are compared, from its beginning.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Fingerprints of files' contents, by path. A file that cannot be read has none; neither has a pipe or a device, since reading it would have side
/// effects and might never end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileFingerprints(Vec<(PathBuf, Option<u64>)>);

impl FileFingerprints {
    /// Reads the files. This blocks, without end if the file system hangs.
    pub(super) fn read(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut prints: Vec<_> = files.into_iter().map(|path| (fingerprint(&path), path)).map(|(print, path)| (path, print)).collect();
        prints.sort();
        prints.dedup();
        Self(prints)
    }

    /// The files.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.0.iter().map(|(path, _)| path.clone()).collect()
    }

    /// Reads the same files again, on a blocking thread.
    pub(super) async fn read_again(&self) -> Self {
        let files = self.files();
        // This fails only while the runtime shuts down.
        spawn_blocking(|| Self::read(files)).await.unwrap_or_else(|_| self.clone())
    }

    /// The fingerprints of other files: known ones are copied, and the others are read. This blocks.
    pub(super) fn with_files(&self, files: impl IntoIterator<Item = PathBuf>) -> Self {
        let (known, unknown): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| self.0.iter().any(|(known, _)| known == path));
        let mut prints = Self::read(unknown).0;
        prints.extend(self.0.iter().filter(|(path, _)| known.contains(path)).cloned());
        prints.sort();
        Self(prints)
    }
}

fn fingerprint(path: &Path) -> Option<u64> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut writer = HashWriter(DefaultHasher::new());
    io::copy(&mut File::open(path).ok()?.take(MAX_FILE_BYTES), &mut writer).ok()?;
    Some(writer.0.finish())
}

/// Hashes everything written to it.
struct HashWriter(DefaultHasher);

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Detects whether files differ from those in force, once they have settled: two reads in a row must give the same, so that a half-written file
/// or a certificate without its key is not taken for the new content.
#[derive(Debug, Default)]
pub(super) struct ChangeDetector {
    last: FileFingerprints,
    /// The change that was reported, so that it is reported only once.
    reported: Option<FileFingerprints>,
}

impl ChangeDetector {
    /// Whether the content that was read now has settled and differs from that in force.
    pub(super) fn has_changed(&mut self, now: FileFingerprints, in_force: &FileFingerprints) -> bool {
        let is_settled = now == self.last;
        self.last = now;
        if self.last == *in_force {
            self.reported = None;
        }
        let has_changed = is_settled && self.last != *in_force && self.reported.as_ref() != Some(&self.last);
        if has_changed {
            self.reported = Some(self.last.clone());
        }
        has_changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_reported_once_and_only_after_it_has_settled() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        let read = |text: &str| {
            fs::write(&file, text).expect("a file");
            FileFingerprints::read([file.clone()])
        };
        let in_force = read("old");
        let mut detector = ChangeDetector::default();
        let seen = ["old", "old", "half", "whole", "whole", "whole"].map(|text| detector.has_changed(read(text), &in_force));
        assert_eq!(seen, [false, false, false, false, true, false]);
        let seen = ["old", "old", "whole", "whole"].map(|text| detector.has_changed(read(text), &in_force));
        assert_eq!(seen, [false, false, false, true], "after a revert it is reported again");
    }

    #[test]
    fn a_missing_file_differs_from_an_empty_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        let missing = FileFingerprints::read([file.clone()]);
        fs::write(&file, "").expect("a file");
        assert_ne!(missing, FileFingerprints::read([file.clone()]));
        assert_eq!(missing.with_files([file]), missing, "a known file is not read again");
    }

    #[test]
    fn a_device_is_not_read() {
        assert_eq!(FileFingerprints::read(["/dev/zero".into()]), FileFingerprints(vec![("/dev/zero".into(), None)]));
    }
}
