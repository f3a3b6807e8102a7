//! Executes the blocks of one page in order in one shell, in an empty folder, without other processes or a network.

use super::{block::Block, root, transcript};
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

/// Marks the lines of the driver between the output of the blocks.
const MARK: char = '\u{1e}';

/// A command with its own network, whose ports are free, and with processes that end with the session.
const UNSHARE: [&str; 7] = ["--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// Whether a process may have its own network here. If not, prints that the test is skipped.
pub(super) fn may_have_own_network() -> bool {
    let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    let may = quiet(Command::new("unshare").args(UNSHARE).args(["ip", "link", "set", "lo", "up"]));
    if !may {
        let _ = std::io::stderr().write_all(b"skipped: this user may not give a process a network of its own here\n");
    }
    may
}

/// Executes the blocks of a page, and returns the differences from the page.
pub(super) fn of(blocks: &[Block]) -> Vec<String> {
    let blocks: Vec<&Block> = blocks.iter().filter(|block| block.is_run()).collect();
    if blocks.is_empty() {
        return Vec::new();
    }
    // Not in the common temporary folder, which the session cannot see.
    let in_target = || tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let (folder, programs) = (in_target(), in_target());
    let file = |name: &str, text: &str| {
        let path = programs.path().join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
    };
    file("session", &script(&blocks));
    file("cargo", include_str!("cargo.sh"));
    file("playground", include_str!("playground.sh"));
    // Without the progress that curl shows when it does not write to a terminal.
    file(".curlrc", "no-progress-meter\n");
    let built = Path::new(env!("CARGO_BIN_EXE_allswell")).parent().expect("a folder");
    let path = format!("{}:{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", programs.path().display(), built.display());
    let output = Command::new("timeout")
        .args(["--kill-after=5", "180", "unshare"])
        .args(UNSHARE)
        .arg("bash")
        .arg(programs.path().join("session"))
        .env_clear()
        .envs([("PATH", path.as_str()), ("LC_ALL", "C.UTF-8")])
        .envs([("HOME", folder.path()), ("CURL_HOME", programs.path()), ("BUILT", built), ("REPOSITORY", root())])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("a session");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    judge(&blocks, &printed)
}

/// One shell executes all blocks, so that variables, folders and background jobs last from block to block, as in a terminal.
fn script(blocks: &[&Block]) -> String {
    let mut script = format!(
        "exec 2>&1\nip link set lo up\nhostname vm\n\
         # What is left there is gone with the session; where we ourselves are there, it must stay to be seen.\n\
         case $REPOSITORY:$BUILT in /tmp/* | *:/tmp/*) ;; *) mount -t tmpfs -o mode=1777 session /tmp ;; esac\n\
         mark() {{ local code=$?; printf '{MARK}%s\\n' \"$*\"; return $code; }}\n\
         listeners() {{ cat /proc/net/tcp /proc/net/tcp6 | grep -c ' 0A '; }}\n\
         # What was sent to the background is given until it listens.\n\
         settle() {{ for _ in $(seq 100); do [ \"$(listeners)\" -gt \"$before\" ] && return; sleep 0.05; done; }}\n"
    );
    for (index, block) in blocks.iter().enumerate() {
        if block.language == "sh" {
            script.push_str(&format!("mark {index} 0\n(\nset -eu\n{}\n)\nmark code $?\n", block.text));
            continue;
        }
        for (step, (command, _)) in transcript::steps(&block.text).iter().enumerate() {
            let (before, after) = if command.trim_end().ends_with('&') { ("before=$(listeners)\n", "settle\n") } else { ("", "") };
            script.push_str(&format!("{before}mark {index} {step}\n{command}\n{after}"));
        }
    }
    script + "mark end\n"
}

fn judge(blocks: &[&Block], printed: &str) -> Vec<String> {
    let records: Vec<(&str, &str)> = printed.split(MARK).map(|record| record.split_once('\n').unwrap_or((record, ""))).collect();
    let output_of = |head: &str| records.iter().find(|(found, _)| *found == head).map(|(_, text)| *text);
    let mut trouble = Vec::new();
    if output_of("end").is_none() {
        trouble.push(format!("{}: the session did not come to its end:\n{printed}", blocks[0].place()));
        return trouble;
    }
    for (index, block) in blocks.iter().enumerate() {
        if block.language == "sh" {
            let at = records.iter().position(|(head, _)| *head == format!("{index} 0")).unwrap_or_default();
            if records.get(at + 1).is_none_or(|(head, _)| *head != "code 0") {
                trouble.push(format!("{}: the script fails:\n{}", block.place(), records[at].1));
            }
            continue;
        }
        for (step, (command, shown)) in transcript::steps(&block.text).iter().enumerate() {
            let printed = output_of(&format!("{index} {step}")).unwrap_or_default();
            if !transcript::matches_shown(shown, &printed.lines().collect::<Vec<_>>()) {
                trouble.push(format!("{}: `{command}` prints now:\n{printed}", block.place()));
            }
        }
    }
    trouble
}
