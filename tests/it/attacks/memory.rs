//! The memory of a process, and a control group that limits it.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

/// An attack is stopped above this: the machine has other work.
const STOP_ABOVE_MIB: u64 = 1500;

fn status_kib(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB")?.trim().parse().ok())
}

/// The resident memory of a process in MiB, zero if it has ended.
pub(super) fn resident_mib(pid: u32) -> u64 {
    status_kib(pid, "VmRSS:").unwrap_or_default().div_ceil(1024)
}

/// Observes the memory of a process until `over` is set, and sets `stop` when it holds far too much. Returns the peak in MiB.
pub(super) fn observe_peak(pid: u32, over: &AtomicBool, stop: &AtomicBool) -> u64 {
    // 5 resets the peak (proc_pid_clear_refs(5)). Where that is not permitted, the samples have to do.
    let is_reset = fs::write(format!("/proc/{pid}/clear_refs"), "5").is_ok();
    let mut peak = 0;
    while !over.load(Ordering::Relaxed) {
        let field = if is_reset { "VmHWM:" } else { "VmRSS:" };
        peak = peak.max(status_kib(pid, field).unwrap_or_default().div_ceil(1024));
        if peak > STOP_ABOVE_MIB {
            stop.store(true, Ordering::Relaxed);
        }
        thread::sleep(Duration::from_millis(20));
    }
    peak
}

/// A memory control group of our own.
pub(super) struct MemoryGroup {
    folder: PathBuf,
    events: &'static str,
}

impl MemoryGroup {
    /// A group with a limit such as `64Mi` or `128M`, of version 1 or 2. Fails with a reason.
    pub(super) fn with_limit(limit: &str) -> Result<Self, String> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let bytes = bytes(limit).ok_or_else(|| format!("{limit} is no size"))?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut reasons = String::new();
        for (root, file, events) in
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"), ("/sys/fs/cgroup", "memory.max", "memory.events")]
        {
            let folder = Path::new(root).join(format!("allswell-attacks-{}-{number}", process::id()));
            let created = if fs::exists(root).unwrap_or(false) {
                fs::create_dir(&folder).and_then(|()| fs::write(folder.join(file), bytes.to_string()))
            } else {
                continue;
            };
            let group = Self { folder, events };
            match created {
                Ok(()) if group.kills().is_some() => return Ok(group),
                Ok(()) => reasons += "the kernel does not count kills",
                Err(error) => reasons += &format!("{root}: {error}; "),
            }
        }
        Err(reasons)
    }

    /// A command that enters the group and becomes the program that follows.
    pub(super) fn wrapper(&self) -> Vec<String> {
        let script = format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", self.folder.display());
        vec!["/bin/sh".to_owned(), "-c".to_owned(), script]
    }

    /// How many processes the kernel killed because the group had no memory left.
    pub(super) fn kills(&self) -> Option<u64> {
        let events = fs::read_to_string(self.folder.join(self.events)).ok()?;
        events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // A process that has just ended may still be in it.
        let is_removed = || fs::remove_dir(&self.folder).is_ok() || !self.folder.exists();
        for _ in 0..50 {
            if is_removed() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The bytes of a size as Kubernetes and systemd write it.
pub(super) fn bytes(size: &str) -> Option<u64> {
    let number: u64 = size.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse().ok()?;
    let unit = match size.trim_start_matches(|c: char| c.is_ascii_digit()) {
        "" => 1,
        "Ki" | "K" => 1 << 10,
        "Mi" | "M" => 1 << 20,
        "Gi" | "G" => 1 << 30,
        _ => return None,
    };
    Some(number * unit)
}
