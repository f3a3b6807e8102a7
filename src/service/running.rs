//! Finds the services of this user that run on this machine: see `announcement`.

use super::announcement::{Announcement, NAME_PREFIX};
use futures_util::future::join_all;
use rustix::process::geteuid;
use socket2::{Domain, SockAddr, Socket, Type};
use std::{fs, io, os::unix::net::UnixStream as StdStream, time::Duration};
use tokio::{
    io::AsyncReadExt,
    net::UnixStream,
    time::{Instant, sleep, timeout_at},
};

/// The kernel's list of all Unix sockets in this network namespace.
const SOCKETS: &str = "/proc/self/net/unix";

/// The flag of a listening socket in that list (`__SO_ACCEPTCON`).
const LISTENING: &str = "00010000";

/// The largest announcement: the paths of several files.
const MAX_BYTES: u64 = 64 * 1024;

/// The pause before a connection is tried again if too many clients wait already.
const RETRY: Duration = Duration::from_millis(10);

/// A service that runs on this machine.
#[derive(Clone, Debug)]
pub(crate) struct RunningService {
    /// The user that it runs as.
    pub(crate) uid: u32,
    pub(crate) announcement: Announcement,
}

/// The services of this user that answer within `limit`; for root, those of all users.
///
/// The owner of a socket is what the kernel says, not its name, so that nobody else can pretend to be a service of this user. Services in another
/// PID namespace are left out: they are in other containers that share the network with this one.
pub(crate) async fn running_services(limit: Duration) -> Vec<RunningService> {
    let end = Instant::now() + limit;
    let own = geteuid().as_raw();
    let names = fs::read_to_string(SOCKETS).map(|list| names(&list)).unwrap_or_default();
    let candidates = names.iter().filter_map(|name| Some((name, uid_of(name)?))).filter(|(_, uid)| own == 0 || *uid == own);
    let asked = candidates.map(async |(name, uid)| Some(RunningService { uid, announcement: ask(name, uid, end).await? }));
    join_all(asked).await.into_iter().flatten().collect()
}

/// The names of all listening sockets of services in the kernel's list, without the `@` that stands for "abstract".
fn names(list: &str) -> Vec<String> {
    let name = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let is_listening = fields.nth(3) == Some(LISTENING);
        let name = fields.nth(3)?.strip_prefix('@')?;
        (is_listening && name.starts_with(NAME_PREFIX)).then(|| name.to_owned())
    };
    list.lines().filter_map(name).collect()
}

/// The user in a name.
fn uid_of(name: &str) -> Option<u32> {
    name.strip_prefix(NAME_PREFIX)?.split('/').next()?.parse().ok()
}

/// Reads the announcement of the service at a name, if the service is of this user or of root.
async fn ask(name: &str, uid: u32, end: Instant) -> Option<Announcement> {
    let stream = timeout_at(end, connect(name)).await.ok()?.ok()?;
    let owner = stream.peer_cred().ok()?;
    let is_visible = owner.pid().is_some_and(|pid| pid > 0);
    if !is_visible || (owner.uid() != uid && owner.uid() != 0) {
        return None;
    }
    let mut json = Vec::new();
    timeout_at(end, stream.take(MAX_BYTES).read_to_end(&mut json)).await.ok()?.ok()?;
    Announcement::parse(&json)
}

/// Connects without blocking, which a plain connection to a Unix socket does while its backlog is full.
async fn connect(name: &str) -> io::Result<UnixStream> {
    let address = SockAddr::unix(format!("\0{name}"))?;
    loop {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&address) {
            Ok(()) => return UnixStream::from_std(StdStream::from(socket)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(RETRY).await,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_sockets_with_names_of_services_count() {
        let list = "Num       RefCount Protocol Flags    Type St Inode Path\n\
                    0000000000000000: 00000002 00000000 00010000 0001 01 20461 @allswell/0/12-00ff00ff\n\
                    0000000000000000: 00000003 00000000 00000000 0001 03 20462 @allswell/0/12-00ff00ff\n\
                    0000000000000000: 00000002 00000000 00010000 0001 01 20463 /tmp/allswell/0/1\n\
                    0000000000000000: 00000002 00000000 00010000 0001 01 20464 @/tmp/.X11-unix/X0\n\
                    0000000000000000: 00000003 00000000 00000000 0001 03 20465\n\
                    0000000000000000: 00000002 00000000 00010000 0001 01 20466 @allswell/x/1\n";
        let names = names(list);
        assert_eq!(names, ["allswell/0/12-00ff00ff", "allswell/x/1"]);
        assert_eq!(names.iter().map(|name| uid_of(name)).collect::<Vec<_>>(), [Some(0), None]);
    }
}
