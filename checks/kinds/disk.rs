//! Checks the free space and free inodes of a file system.
//!
//! ```toml
//! [checks.data]
//! kind = "disk"
//! path = "/var/lib/orders"
//! warn_free = "10%"
//! ```

use crate::{
    contract::prelude::*,
    files::{failure::classify, mount::RequiredMount},
};
use rustix::fs::StatVfs;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Reads the free space and free inodes of the file system that contains a path. Space that only root may use does not count as free.
///
/// Required rights: to enter the folders above the path (`chmod u+x`); none on the path itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Any path on the file system.
    #[serde(default = "root")]
    pub path: PathBuf,
    /// Warn when less than this is free. A share (`"10%"`) applies to space and inodes, a size (`"5GiB"`) to space.
    pub warn_free: Option<Amount>,
    /// Fail when less than this is free.
    #[serde(default = "fail_free")]
    pub fail_free: Option<Amount>,
    /// Fail unless a file system is mounted at `path` (`true`), or at this folder above it (`"/srv/media"`). Otherwise the file system below a mount
    /// that is gone is read instead.
    #[serde(default)]
    pub require_mount: RequiredMount,
}

fn root() -> PathBuf {
    PathBuf::from("/")
}

#[expect(clippy::unnecessary_wraps, reason = "serde requires the type of the field")]
const fn fail_free() -> Option<Amount> {
    Some(Amount::Share(0.05))
}

/// A check of one file system.
pub struct Disk {
    config: Config,
    blocking: Blocking,
}

impl Backend for Disk {
    const KIND: &'static str = "disk";
    const CATEGORY: Category = Category::Host;
    const OTHER_NAMES: &'static [&'static str] = &["disk_space", "disk_usage", "diskspace", "df", "volume"];
    const EXAMPLE: &'static str = r#"
path = "/var/lib/orders"
warn_free = "10%"
"#;
    const HOST_CHECK: Option<HostCheck> = Some(HostCheck::Defaults);
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        if config.path.as_os_str().is_empty() {
            return Err(InvalidConfig::new("path", "is empty: name any path on the file system"));
        }
        config.require_mount.validate()?;
        Ok(Self { config, blocking: Blocking::default() })
    }
}

#[async_trait]
impl Check for Disk {
    async fn probe(&self) -> Result<Observation, Failure> {
        let (path, required_mount) = (self.config.path.clone(), self.config.require_mount.clone());
        let found = self.blocking.run(move || required_mount.verify(&path).and_then(|()| figures(&path))).await??;
        // Some file systems have no figures, such as many in user space. No figure is not a full disk.
        if found.f_blocks == 0 {
            return Ok(Observation::pass().warned("the file system does not report its size"));
        }
        let (free, whole) = (found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize));
        let (free_inodes, inodes) = (found.f_favail, found.f_files);
        let short = |limit: Option<Amount>| limit.and_then(|limit| shortage(limit, (free, whole), (free_inodes, inodes)));
        if let Some(shortage) = short(self.config.fail_free) {
            let failure = Failure::unhealthy(shortage).with("free_bytes", free).with("free_share", share(free, whole));
            return Err(if inodes > 0 { failure.with("free_inodes_share", share(free_inodes, inodes)) } else { failure });
        }
        let seen = Observation::pass()
            .with("free_bytes", free)
            .with("free_share", share(free, whole))
            // Some file systems create inodes as needed and report that they have none.
            .with_some("free_inodes_share", (inodes > 0).then(|| share(free_inodes, inodes)));
        Ok(match short(self.config.warn_free) {
            Some(shortage) => seen.warned(shortage),
            None => seen,
        })
    }
}

fn figures(path: &Path) -> Result<StatVfs, Failure> {
    rustix::fs::statvfs(path).map_err(|error| {
        classify(error.into(), path).unwrap_or_else(|error| {
            let failure = match error.kind() {
                io::ErrorKind::NotFound => Failure::unhealthy("there is no such path"),
                io::ErrorKind::PermissionDenied => Failure::rejected("permission to access the path denied"),
                _ => Failure::unhealthy("the file system cannot be read"),
            };
            failure.because(error)
        })
    })
}

fn shortage(limit: Amount, (free, whole): (u64, u64), (free_inodes, inodes): (u64, u64)) -> Option<String> {
    if limit.is_above(free, whole) {
        return Some(format!("{} ({}%) free, less than {limit}", ByteSize(free), percent(free, whole)));
    }
    let inodes_short = matches!(limit, Amount::Share(_)) && inodes > 0 && limit.is_above(free_inodes, inodes);
    inodes_short.then(|| format!("{}% of the inodes free, less than {limit}", percent(free_inodes, inodes)))
}

#[expect(clippy::cast_precision_loss, reason = "a share needs four digits")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 1e4).round() / 1e4 }
}

fn percent(part: u64, whole: u64) -> f64 {
    (share(part, whole) * 1e3).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_of_space_or_inodes_is_reported() {
        let limit = Amount::Share(0.05);
        assert_eq!(shortage(limit, (100, 1000), (100, 1000)), None);
        assert_eq!(shortage(limit, (40, 1000), (100, 1000)).as_deref(), Some("40 bytes (4%) free, less than 5%"));
        assert_eq!(shortage(limit, (100, 1000), (1, 1000)).as_deref(), Some("0.1% of the inodes free, less than 5%"));
        assert_eq!(shortage(limit, (100, 1000), (0, 0)), None, "a file system without fixed inodes");
    }
}
