//! A server that many tests of one process share, because starting it takes long.
//!
//! Put it into a `static` [`LazyLock`](std::sync::LazyLock): the first test starts it. Statics are never dropped, so a watchdog process kills the
//! server as soon as the test process ends, however it ends. Tests run at the same time: give each its own database, user or vhost, and never
//! pause, kill or reconfigure a shared server.

use super::process::{MARK, Server};
use std::{
    ops::Deref,
    process::{Child, Command, Stdio},
};

pub(crate) struct SharedServer {
    server: Server,
    /// Waits for the end of its standard input, which the kernel closes with this process.
    _watchdog: Child,
}

impl SharedServer {
    pub(crate) fn new(server: Server) -> Self {
        let mut command = Command::new("bash");
        command.args(["-c", WATCHDOG, "watchdog"]).arg(server.directory.path()).args([server.pid().to_string(), MARK.to_owned()]);
        let watchdog = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("bash");
        Self { server, _watchdog: watchdog }
    }
}

impl Deref for SharedServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// Kills a process, all its descendants and all processes that bear the mark of a folder, and removes the folder.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
read -r
parents=$(sed -E 's/^([0-9]+) \(.*\) . ([0-9]+) .*/\1 \2/' /proc/[0-9]*/stat)
descendants() { for pid in "$@"; do echo "$pid"; descendants $(sed -nE "s/^([0-9]+) $pid\$/\1/p" <<< "$parents"); done; }
kill -KILL $(descendants "$2") $(grep -lzxF "$3=$1" /proc/[0-9]*/environ | cut -d/ -f3)
sleep 1
rm -rf "$1"
"#;
