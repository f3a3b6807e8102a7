//! Checks that files can be written to a local or mounted directory.
//!
//! ```toml
//! [checks.media]
//! kind = "storage"
//! path = "/srv/media"
//! ```

use crate::{
    contract::prelude::*,
    files::{failure::classify, mount::RequiredMount},
};
use rustix::fs::OFlags;
use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Writes a file to a directory, reads it back, compares it, and deletes it. The file has a unique name.
///
/// A hung mount, such as NFS without its server, is a timeout and blocks nothing else. The file is deleted in any case, also after a
/// timeout. Only a process that is killed in the middle leaves a file, whose name begins with `.allswell-`.
///
/// Required rights: to enter the directory and write to it (`chmod u+wx`); with `write = false` to list it (`chmod u+r`).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The directory.
    pub path: PathBuf,
    /// Write a file. With `false` the probe opens the directory and reads its first entry.
    #[serde(default = "yes")]
    pub write: bool,
    /// Size of the file, at most 1 MiB.
    #[serde(default = "size")]
    pub size: ByteSize,
    /// Wait until the file is on the medium (`fsync`). Without it, a network file system may report only later that space or quota is
    /// exhausted.
    #[serde(default)]
    pub sync: bool,
    /// Fail unless a file system is mounted at `path` (`true`), or at this folder above it (`"/srv/media"`). Otherwise the empty folder below a mount
    /// that is gone passes.
    #[serde(default)]
    pub require_mount: RequiredMount,
}

const fn yes() -> bool {
    true
}

const fn size() -> ByteSize {
    ByteSize(64)
}

/// A check of one directory.
pub struct Storage {
    path: PathBuf,
    required_mount: RequiredMount,
    write: bool,
    size: usize,
    sync: bool,
    /// A file that could not be deleted: until it is deleted, no other is created.
    left: Arc<Mutex<Option<PathBuf>>>,
    blocking: Blocking,
}

impl Backend for Storage {
    const KIND: &'static str = "storage";
    const CATEGORY: Category = Category::Storage;
    const OTHER_NAMES: &'static [&'static str] = &["file", "files", "filesystem", "fs", "nfs", "efs", "default_storage", "media"];
    const EXAMPLE: &'static str = r#"
path = "/srv/media"
"#;
    const HOST_CHECK: Option<HostCheck> = Some(HostCheck::TempDir);
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        if config.path.as_os_str().is_empty() {
            return Err(InvalidConfig::new("path", "is empty: name a directory"));
        }
        config.require_mount.validate()?;
        let size = usize::try_from(config.size.0).ok().filter(|size| (1..=1 << 20).contains(size));
        let size = size.ok_or_else(|| InvalidConfig::new("size", "must be between 1 byte and 1MiB"))?;
        let Config { path, require_mount: required_mount, write, sync, .. } = config;
        Ok(Self { path, required_mount, write, size, sync, left: Arc::default(), blocking: Blocking::default() })
    }
}

#[async_trait]
impl Check for Storage {
    async fn probe(&self) -> Result<Observation, Failure> {
        let (path, required_mount) = (self.path.clone(), self.required_mount.clone());
        if !self.write {
            let read = self.blocking.run(move || required_mount.verify(&path).and_then(|()| list(&path))).await??;
            return Ok(Observation::pass().took("read_ms", read));
        }
        let (size, sync) = (self.size, self.sync);
        let left = Arc::clone(&self.left);
        let probe = move || required_mount.verify(&path).and_then(|()| round_trip(&path, size, sync, &left));
        let (written, read) = self.blocking.run(probe).await??;
        Ok(Observation::pass().took("write_ms", written).took("read_ms", read))
    }
}

/// Deletes the file when it goes out of scope, or remembers that it could not.
struct Removed<'a> {
    path: &'a Path,
    left: &'a Mutex<Option<PathBuf>>,
}

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        // Verified, because a deletion may report success without effect.
        let _ = fs::remove_file(self.path);
        let still_there = self.path.symlink_metadata().is_ok();
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = still_there.then(|| self.path.to_owned());
    }
}

fn list(directory: &Path) -> Result<Duration, Failure> {
    let started = Instant::now();
    let first = fs::read_dir(directory).and_then(|mut entries| entries.next().transpose());
    first.map_err(|error| failure(error, directory))?;
    Ok(started.elapsed())
}

fn round_trip(directory: &Path, size: usize, sync: bool, left: &Mutex<Option<PathBuf>>) -> Result<(Duration, Duration), Failure> {
    let failed = |error| failure(error, directory);
    let is_left = || left.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(path) = is_left() {
        drop(Removed { path: &path, left });
        if is_left().is_some() {
            return Err(Failure::unhealthy("the probe's file cannot be deleted"));
        }
    }
    let path = directory.join(format!(".allswell-{:016x}", fastrand::u64(..)));
    let sent: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(size).collect();
    let started = Instant::now();
    // Never follows a link and never replaces a file.
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    let removed = Removed { path: &path, left };
    file.write_all(&sent).map_err(failed)?;
    if sync {
        file.sync_all().map_err(failed)?;
    }
    drop(file);
    let written = started.elapsed();
    let mut found = Vec::with_capacity(size);
    // Other users of the directory may replace the file by a link or a pipe: do not follow the first or wait for the second.
    let ours = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(ours.bits().cast_signed()).open(&path).map_err(failed)?;
    file.take(size as u64 + 1).read_to_end(&mut found).map_err(failed)?;
    if found != sent {
        return Err(Failure::unhealthy("the data read back is not the data written"));
    }
    let read = started.elapsed().saturating_sub(written);
    drop(removed);
    if is_left().is_some() {
        return Err(Failure::unhealthy("the probe's file cannot be deleted"));
    }
    Ok((written, read))
}

/// Classifies an error of the directory. Call it before the file is deleted, while a full file system is still full.
fn failure(error: io::Error, directory: &Path) -> Failure {
    use io::ErrorKind as Kind;
    classify(error, directory).unwrap_or_else(|error| {
        let failure = match error.kind() {
            Kind::NotFound => Failure::unhealthy("there is no such directory"),
            Kind::NotADirectory => Failure::unhealthy("the path is not a directory"),
            Kind::PermissionDenied => Failure::rejected("permission to use the directory denied"),
            _ => Failure::unhealthy("the directory cannot be used"),
        };
        failure.because(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(path: &Path) -> Storage {
        Storage {
            path: path.to_owned(),
            required_mount: RequiredMount::None,
            write: true,
            size: 64,
            sync: true,
            left: Arc::default(),
            blocking: Blocking::default(),
        }
    }

    #[tokio::test]
    async fn a_round_trip_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let seen = storage(directory.path()).probe().await.expect("it passes");
        assert!(seen.values().contains_key("write_ms") && seen.values().contains_key("read_ms"));
        assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 0);
    }

    #[tokio::test]
    async fn a_missing_directory_and_a_file_have_their_messages() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let missing = storage(&directory.path().join("none")).probe().await.expect_err("it is missing");
        assert_eq!(missing.message(), "there is no such directory");
        let file = directory.path().join("file");
        fs::write(&file, "").expect("it is writable");
        assert_eq!(storage(&file).probe().await.expect_err("it is a file").message(), "the path is not a directory");
    }
}
