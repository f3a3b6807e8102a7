//! The socket that `NOTIFY_SOCKET` names: messages to the service manager that delay nothing here.
//!
//! Every message goes through a socket of its own, as with libsystemd, so that a service manager may replace its socket. The crate `sd-notify`
//! blocks while the receiver's queue is full, and does not know abstract sockets.

use crate::config::Environment;
use std::{
    io,
    os::unix::net::{SocketAddr, UnixDatagram},
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use thiserror::Error;
use tokio::time::{Instant, sleep};

/// The time between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Why a message cannot be sent.
#[derive(Debug, Error)]
enum NotifyError {
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("vsock sockets are not supported")]
    Vsock,
    #[error("it is neither an absolute path nor an abstract name that begins with @")]
    Form,
    #[error("it is too long for the name of a socket")]
    Length(#[source] io::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The service manager's socket.
#[derive(Clone, Debug)]
pub(super) struct NotifySocket {
    address: SocketAddr,
    has_warned: Arc<AtomicBool>,
}

impl NotifySocket {
    /// The socket that the environment names, if it names one. What cannot be used is a warning in the log.
    pub(super) fn from_environment(environment: &Environment) -> Option<Self> {
        let address = match environment.get("NOTIFY_SOCKET") {
            Some(name) => address(name),
            None if environment.is_not_text("NOTIFY_SOCKET") => Err(NotifyError::NotUtf8),
            None => return None,
        };
        address.map(|address| Self { address, has_warned: Arc::default() }).inspect_err(warn).ok()
    }

    /// Sends a message at once, or not at all.
    fn try_send(&self, message: &str) -> Result<(), NotifyError> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.send_to_addr(message.as_bytes(), &self.address)?;
        Ok(())
    }

    /// Sends a message at once if that is possible, and otherwise tries again until the time is over.
    pub(super) async fn send(&self, message: &str, patience: Duration) {
        let end = Instant::now() + patience;
        // A full queue empties; a service manager may be about to create its socket.
        while let Err(error) = self.try_send(message) {
            if Instant::now() >= end {
                if !self.has_warned.swap(true, Ordering::Relaxed) {
                    warn(&error);
                }
                return;
            }
            sleep(RETRY_INTERVAL).await;
        }
    }

    /// The same, for a caller that must not wait: later attempts run in the background.
    pub(super) fn send_in_background(&self, message: &'static str, patience: Duration) {
        if self.try_send(message).is_err() {
            let socket = self.clone();
            tokio::spawn(async move { socket.send(message, patience).await });
        }
    }
}

fn warn(error: &NotifyError) {
    tracing::warn!("cannot notify the service manager through NOTIFY_SOCKET: {error}");
}

fn address(name: &str) -> Result<SocketAddr, NotifyError> {
    match name.strip_prefix('@') {
        Some(name) => abstract_address(name),
        None if name.starts_with('/') => SocketAddr::from_pathname(name).map_err(NotifyError::Length),
        None if name.starts_with("vsock") => Err(NotifyError::Vsock),
        None => Err(NotifyError::Form),
    }
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> Result<SocketAddr, NotifyError> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name).map_err(NotifyError::Length)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_name: &str) -> Result<SocketAddr, NotifyError> {
    Err(NotifyError::Form)
}

/// The time within which the watchdog expects a message, if there is a watchdog of this process.
pub(super) fn watchdog_limit(environment: &Environment) -> Option<Duration> {
    let number = |name: &str| environment.get(name).and_then(|value| value.trim().parse::<u64>().ok());
    // `WATCHDOG_PID` of another process: the variables were inherited.
    let is_ours = environment.get("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(process::id().into());
    number("WATCHDOG_USEC").filter(|micros| is_ours && *micros > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn every_form_of_the_name_is_an_address_or_an_error() {
        for (name, expected) in [
            ("/run/systemd/notify", None),
            ("@abstract", None),
            ("vsock:2:1234", Some("vsock sockets are not supported")),
            ("vsock-stream:2:1234", Some("vsock sockets are not supported")),
            ("relative", Some("it is neither an absolute path nor an abstract name that begins with @")),
            ("7", Some("it is neither an absolute path nor an abstract name that begins with @")),
            (&format!("/{}", "x".repeat(200)), Some("it is too long for the name of a socket")),
            (&format!("@{}", "x".repeat(200)), Some("it is too long for the name of a socket")),
        ] {
            assert_eq!(address(name).err().map(|error| error.to_string()).as_deref(), expected, "{name}");
        }
        assert!(NotifySocket::from_environment(&environment(&[("NOTIFY_SOCKET", "")])).is_none());
        assert!(NotifySocket::from_environment(&environment(&[])).is_none());
    }

    #[test]
    fn the_watchdog_of_another_process_is_ignored() {
        let limit = |variables: &[(&str, &str)]| watchdog_limit(&environment(variables));
        let own = process::id().to_string();
        assert_eq!(limit(&[("WATCHDOG_USEC", "1000")]), Some(Duration::from_millis(1)));
        assert_eq!(limit(&[("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", &own)]), Some(Duration::from_millis(1)));
        for (micros, pid) in [("1000", "1"), ("1000", "x"), ("0", own.as_str()), ("x", &own), ("", &own)] {
            assert_eq!(limit(&[("WATCHDOG_USEC", micros), ("WATCHDOG_PID", pid)]), None, "{micros} {pid}");
        }
    }

    #[tokio::test]
    async fn a_full_queue_delays_only_the_message() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let receiver = UnixDatagram::bind(&path).expect("a socket");
        let socket = NotifySocket::from_environment(&environment(&[("NOTIFY_SOCKET", path.to_str().expect("text"))])).expect("a socket");
        let mut queued = 0;
        while socket.try_send("STATUS=x").is_ok() {
            queued += 1;
        }
        let start = Instant::now();
        socket.send_in_background("READY=1", Duration::from_secs(60));
        assert!(start.elapsed() < Duration::from_secs(5));
        let last = tokio::task::spawn_blocking(move || {
            let mut buffer = [0; 64];
            (0..=queued).map(|_| receiver.recv(&mut buffer).map(|read| buffer[..read].to_vec()).expect("a message")).last()
        });
        assert_eq!(last.await.expect("no panic").as_deref(), Some(&b"READY=1"[..]));
    }

    #[tokio::test]
    async fn a_socket_that_does_not_exist_is_given_up_after_a_time() {
        let socket = NotifySocket::from_environment(&environment(&[("NOTIFY_SOCKET", "@allswell-test-nobody")])).expect("an address");
        socket.send("READY=1", Duration::from_millis(60)).await;
        assert!(socket.has_warned.load(Ordering::Relaxed));
    }
}
