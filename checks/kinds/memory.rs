//! Checks the available memory of the control group, if it has a limit, or of the host.
//!
//! ```toml
//! [checks.memory]
//! kind = "memory"
//! warn_available = "10%"
//! ```

use crate::contract::prelude::*;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Reads how much memory is available before the kernel starts to kill processes.
///
/// If the control group (v1 or v2) has a limit below the memory of the host, as in a container, the limit counts; otherwise the memory of
/// the host. Page cache and other caches that the kernel can drop count as available, also the ARC of ZFS. Observes the number of processes killed for lack of memory since the group
/// was created or the host was started.
///
/// No rights are required: every user may read these values.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Warn when less than this is available: a share (`"10%"`) or a size (`"200MiB"`).
    pub warn_available: Option<Amount>,
    /// Fail when less than this is available.
    #[serde(default = "fail_available")]
    pub fail_available: Option<Amount>,
}

#[expect(clippy::unnecessary_wraps, reason = "serde requires the type of the field")]
const fn fail_available() -> Option<Amount> {
    Some(Amount::Share(0.02))
}

/// A check of the memory of this host or container.
pub struct Memory {
    config: Config,
    blocking: Blocking,
}

impl Backend for Memory {
    const KIND: &'static str = "memory";
    const CATEGORY: Category = Category::Host;
    const OTHER_NAMES: &'static [&'static str] = &["ram", "mem"];
    const EXAMPLE: &'static str = r#"
warn_available = "10%"
"#;
    const HOST_CHECK: Option<HostCheck> = Some(HostCheck::Defaults);
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        Ok(Self { config, blocking: Blocking::default() })
    }
}

#[async_trait]
impl Check for Memory {
    async fn probe(&self) -> Result<Observation, Failure> {
        let found = self.blocking.run(|| read(Path::new("/"))).await?;
        let found = found.map_err(unreadable)?;
        let short = |limit: Option<Amount>| limit.filter(|limit| limit.is_above(found.available, found.limit));
        let sentence = |limit: Amount| format!("{} of {} available, less than {limit}", ByteSize(found.available), ByteSize(found.limit));
        if let Some(limit) = short(self.config.fail_available) {
            let failure = Failure::unhealthy(sentence(limit)).with("available_bytes", found.available).with("limit_bytes", found.limit);
            return Err(match found.oom_kills {
                Some(kills) => failure.with("oom_kills", kills),
                None => failure,
            });
        }
        let seen = Observation::pass()
            .with("available_bytes", found.available)
            .with("limit_bytes", found.limit)
            .with_some("oom_kills", found.oom_kills);
        Ok(match short(self.config.warn_available) {
            Some(limit) => seen.warned(sentence(limit)),
            None => seen,
        })
    }
}

#[derive(Debug, PartialEq)]
struct MemoryUsage {
    available: u64,
    limit: u64,
    oom_kills: Option<u64>,
}

fn unreadable(error: io::Error) -> Failure {
    let message = match error.kind() {
        io::ErrorKind::NotFound => "there is no /proc/meminfo: is /proc mounted?",
        _ => "the memory figures of this system cannot be read",
    };
    Failure::internal(error).saying(message)
}

/// Reads below `root`, which is `/` except in tests.
fn read(root: &Path) -> io::Result<MemoryUsage> {
    let mut host = host(&fs::read_to_string(root.join("proc/meminfo"))?)?;
    host.available = host.available.saturating_add(arc(&root.join("proc/spl/kstat/zfs/arcstats"))).min(host.limit);
    host.oom_kills = number(&root.join("proc/vmstat"), "oom_kill");
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    Ok(group(root, &groups, &host).unwrap_or(host))
}

/// <https://www.kernel.org/doc/html/latest/filesystems/proc.html#meminfo>
fn host(meminfo: &str) -> io::Result<MemoryUsage> {
    let kibibytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()
    };
    // Linux before 3.14 and some emulations of it estimate nothing: free memory and caches, except shared memory, which counts as cache there.
    let estimate = || {
        let caches = kibibytes("Cached")?.saturating_add(kibibytes("Buffers").unwrap_or_default());
        Some(kibibytes("MemFree")?.saturating_add(caches).saturating_sub(kibibytes("Shmem").unwrap_or_default()))
    };
    match (kibibytes("MemAvailable").or_else(estimate), kibibytes("MemTotal")) {
        (Some(available), Some(total)) => Ok(MemoryUsage { available: available * 1024, limit: total * 1024, oom_kills: None }),
        _ => Err(io::Error::other("neither MemAvailable nor MemFree in /proc/meminfo")),
    }
}

/// The part of ZFS's cache that it gives back when memory is short. `MemAvailable` does not contain it.
/// <https://openzfs.github.io/openzfs-docs/man/master/4/zfs.4.html>
fn arc(file: &Path) -> u64 {
    let Ok(text) = fs::read_to_string(file) else { return 0 };
    // A name, a type and a number on each line.
    let number = |name: &str| {
        let fields = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        fields.into_iter().find_map(|fields| if fields.first() == Some(&name) { fields.get(2)?.parse::<u64>().ok() } else { None })
    };
    number("size").zip(number("c_min")).map_or(0, |(size, minimum)| size.saturating_sub(minimum))
}

/// The tightest limit of the control group of this process and the groups around it.
fn group(root: &Path, groups: &str, host: &MemoryUsage) -> Option<MemoryUsage> {
    let mut tightest: Option<MemoryUsage> = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let version = match controllers {
            "" => &V2,
            _ if controllers.split(',').any(|controller| controller == "memory") => &V1,
            _ => continue,
        };
        for mount in version.mounts.iter().map(|mount| root.join(mount)) {
            let own = mount.join(path.trim_start_matches('/'));
            // In a container, our own path may not be mounted: then the root of the mount is our group.
            let start: PathBuf = if own.is_dir() { own } else { mount.clone() };
            for directory in start.ancestors().take_while(|directory| directory.starts_with(&mount)) {
                let found = version.read(directory).filter(|found| found.limit < host.limit);
                if let Some(found) = found.filter(|found| tightest.as_ref().is_none_or(|tightest| found.available < tightest.available)) {
                    tightest = Some(found);
                }
            }
        }
    }
    tightest
}

/// The files of a version of control groups.
struct CgroupVersion {
    mounts: &'static [&'static str],
    limit: &'static str,
    usage: &'static str,
    /// In `memory.stat`: caches that the kernel drops before it kills a process.
    cache: &'static [&'static str],
    kills: &'static str,
}

/// <https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files>
const V2: CgroupVersion = CgroupVersion {
    // The second one next to version 1, if the kernel starts with `cgroup_no_v1=memory`.
    mounts: &["sys/fs/cgroup", "sys/fs/cgroup/unified"],
    limit: "memory.max",
    usage: "memory.current",
    cache: &["active_file", "inactive_file", "slab_reclaimable"],
    kills: "memory.events",
};

/// <https://docs.kernel.org/admin-guide/cgroup-v1/memory.html>
const V1: CgroupVersion = CgroupVersion {
    mounts: &["sys/fs/cgroup/memory"],
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    cache: &["total_active_file", "total_inactive_file"],
    kills: "memory.oom_control",
};

impl CgroupVersion {
    fn read(&self, directory: &Path) -> Option<MemoryUsage> {
        let text = |file: &str| fs::read_to_string(directory.join(file)).ok();
        let field = |file: &str, name: &str| number(&directory.join(file), name);
        // "max" means no limit.
        let limit = text(self.limit)?.trim().parse::<u64>().ok()?;
        let usage = text(self.usage)?.trim().parse::<u64>().ok()?;
        let cache: u64 = self.cache.iter().filter_map(|name| field("memory.stat", name)).sum();
        Some(MemoryUsage { available: limit.saturating_sub(usage.saturating_sub(cache)), limit, oom_kills: field(self.kills, "oom_kill") })
    }
}

/// The number after a name, in a file with a name and a number on each line.
fn number(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.split_once(' ').filter(|(key, _)| *key == name).and_then(|(_, value)| value.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary directory");
        let meminfo = ("proc/meminfo", "MemTotal:        8388608 kB\nMemFree:  1 kB\nMemAvailable:    4194304 kB\n");
        for (path, text) in files.iter().chain([&meminfo]) {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        root
    }

    #[test]
    fn without_a_limit_the_memory_of_the_host_counts() {
        let files = [("proc/self/cgroup", "0::/app\n"), ("sys/fs/cgroup/app/memory.max", "max\n")];
        let read = |files: &[_]| read(machine(files).path()).expect("it reads");
        assert_eq!(read(&files), MemoryUsage { available: 4 * GIB, limit: 8 * GIB, oom_kills: None });
        let kills = [&files[..], &[("proc/vmstat", "pgfault 1\noom_kill 2\n")]].concat();
        assert_eq!(read(&kills).oom_kills, Some(2));
    }

    #[test]
    fn the_tightest_group_of_version_2_counts() {
        let root = machine(&[
            ("proc/self/cgroup", "0::/pod/app\n"),
            ("sys/fs/cgroup/pod/memory.max", "2147483648\n"),
            ("sys/fs/cgroup/pod/memory.current", "2000000000\n"),
            ("sys/fs/cgroup/pod/app/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/pod/app/memory.current", "1000000000\n"),
            ("sys/fs/cgroup/pod/app/memory.stat", "anon 1\ninactive_file 500000000\n"),
            ("sys/fs/cgroup/pod/memory.events", "low 0\noom_kill 3\n"),
        ]);
        assert_eq!(
            read(root.path()).expect("it reads"),
            MemoryUsage { available: 2 * GIB - 2_000_000_000, limit: 2 * GIB, oom_kills: Some(3) }
        );
    }

    #[test]
    fn version_1_is_read_from_its_root_inside_a_container() {
        let root = machine(&[
            ("proc/self/cgroup", "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1073741824\n"),
            ("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 1000\ntotal_active_file 24\n"),
        ]);
        assert_eq!(read(root.path()).expect("it reads"), MemoryUsage { available: 1024, limit: GIB, oom_kills: None });
    }

    #[test]
    fn caches_of_the_kernel_and_of_zfs_are_available() {
        let root = machine(&[
            ("proc/self/cgroup", "0::/app\n"),
            ("sys/fs/cgroup/app/memory.max", "1000000\n"),
            ("sys/fs/cgroup/app/memory.current", "990000\n"),
            ("sys/fs/cgroup/app/memory.stat", "anon 90000\ninactive_file 100000\nslab_reclaimable 800000\nslab_unreclaimable 10000\n"),
        ]);
        assert_eq!(read(root.path()).expect("it reads").available, 910_000, "files and directory entries");
        let arc = "13 1 0x01 123 33456 9 9\nname                            type data\nc_min                           4    1073741824\n\
                   size                            4    3221225472\n";
        let root = machine(&[("proc/spl/kstat/zfs/arcstats", arc)]);
        assert_eq!(read(root.path()).expect("it reads").available, 6 * GIB);
    }

    #[test]
    fn a_group_of_version_2_next_to_version_1_counts() {
        let root = machine(&[
            ("proc/self/cgroup", "4:cpu:/app\n0::/app\n"),
            ("sys/fs/cgroup/unified/app/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/unified/app/memory.current", "1073741824\n"),
        ]);
        assert_eq!(read(root.path()).expect("it reads"), MemoryUsage { available: 0, limit: GIB, oom_kills: None });
    }

    #[test]
    fn an_old_kernel_without_an_estimate_has_its_free_memory_and_caches() {
        let old = "MemTotal: 8388608 kB\nMemFree: 1024 kB\nBuffers: 1024 kB\nCached: 3072 kB\nShmem: 1024 kB\n";
        assert_eq!(host(old).expect("figures").available, 4 << 20);
    }

    #[test]
    fn a_system_without_memory_figures_is_an_error() {
        let root = tempfile::tempdir().expect("a temporary directory");
        assert!(read(root.path()).is_err());
    }
}
