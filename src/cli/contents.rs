//! What is in files, and whether it has changed for good.
//!
//! Files are read again and again, not watched by the kernel: that misses links that are swapped, as Kubernetes does it, and files on networks.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hasher},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::task::spawn_blocking;

/// How often files are read.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// The part of a file that is compared, from its beginning.
const MAX_BYTES: u64 = 16 << 20;

/// Fingerprints of files' contents, by path. A file that cannot be read has none, nor has a pipe or a device: reading it would have effects, and no
/// end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents(Vec<(PathBuf, Option<u64>)>);

impl Contents {
    /// Reads the files. This blocks, on a mount that hangs without end.
    pub(super) fn read(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut contents: Vec<_> = files.into_iter().map(|path| (fingerprint(&path), path)).map(|(print, path)| (path, print)).collect();
        contents.sort();
        contents.dedup();
        Self(contents)
    }

    /// The files.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.0.iter().map(|(path, _)| path.clone()).collect()
    }

    /// Reads the same files again, in a thread of its own.
    pub(super) async fn read_again(&self) -> Self {
        let files = self.files();
        // The runtime is about to end where this fails.
        spawn_blocking(|| Self::read(files)).await.unwrap_or_else(|_| self.clone())
    }

    /// The contents of other files: of those that are known already, what was known.
    pub(super) fn of(&self, files: impl IntoIterator<Item = PathBuf>) -> Self {
        let (known, unknown): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| self.0.iter().any(|(known, _)| known == path));
        let mut contents = Self::read(unknown).0;
        contents.extend(self.0.iter().filter(|(path, _)| known.contains(path)).cloned());
        contents.sort();
        Self(contents)
    }
}

fn fingerprint(path: &Path) -> Option<u64> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut hashed = Hashed(DefaultHasher::new());
    io::copy(&mut File::open(path).ok()?.take(MAX_BYTES), &mut hashed).ok()?;
    Some(hashed.0.finish())
}

/// Hashes what is written to it.
struct Hashed(DefaultHasher);

impl io::Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Finds out whether files differ from those in force, and have settled: the same twice, so that half a file is not taken for a whole one, nor
/// a certificate without its key.
#[derive(Debug, Default)]
pub(super) struct Settling {
    last: Contents,
    /// What was found to have changed, so that it is found only once.
    found: Option<Contents>,
}

impl Settling {
    /// Whether the contents of this look are new and have settled.
    pub(super) fn is_new(&mut self, now: Contents, in_force: &Contents) -> bool {
        let settled = now == self.last;
        self.last = now;
        if self.last == *in_force {
            self.found = None;
        }
        let is_new = settled && self.last != *in_force && self.found.as_ref() != Some(&self.last);
        if is_new {
            self.found = Some(self.last.clone());
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_found_once_and_only_when_it_has_settled() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        let read = |text: &str| {
            fs::write(&file, text).expect("a file");
            Contents::read([file.clone()])
        };
        let in_force = read("old");
        let mut settling = Settling::default();
        let seen = ["old", "old", "half", "whole", "whole", "whole"].map(|text| settling.is_new(read(text), &in_force));
        assert_eq!(seen, [false, false, false, false, true, false]);
        let seen = ["old", "old", "whole", "whole"].map(|text| settling.is_new(read(text), &in_force));
        assert_eq!(seen, [false, false, false, true], "after it was taken back it is new again");
    }

    #[test]
    fn a_missing_file_has_other_contents_than_an_empty_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        let missing = Contents::read([file.clone()]);
        fs::write(&file, "").expect("a file");
        assert_ne!(missing, Contents::read([file.clone()]));
        assert_eq!(missing.of([file]), missing, "what is known is not read again");
    }

    #[test]
    fn a_device_is_not_read() {
        assert_eq!(Contents::read(["/dev/zero".into()]), Contents(vec![("/dev/zero".into(), None)]));
    }
}
