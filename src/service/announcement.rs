//! What a running service says about itself to commands on the same machine, and how it is found.
//!
//! A service listens on an abstract Unix socket with the name `allswell/UID/PID-RANDOM` (Linux only). Abstract sockets need no file system and
//! exist per network namespace, so a read-only root, a missing `/tmp` and an image without directories do not matter. To every peer of the same
//! user or root the service sends an [`Announcement`] as JSON and closes the connection. It holds no secret.

use crate::config::ConfigIdentity;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The beginning of the names of the sockets.
pub(super) const NAME_PREFIX: &str = "allswell/";

/// The version of the format; a reader ignores every other one.
const VERSION: u32 = 1;

/// What a running service says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announcement {
    version: u32,
    /// The address that it listens on: the bound one, which may differ from the configured one.
    pub(crate) address: SocketAddr,
    /// The SHA-256 of the certificate that it presents, in hexadecimal digits; without TLS none.
    pub(crate) certificate_sha256: Option<String>,
    /// The configuration that it runs with.
    pub(crate) configuration: ConfigIdentity,
}

impl Announcement {
    pub(super) fn new(address: SocketAddr, certificate_sha256: Option<String>, configuration: ConfigIdentity) -> Self {
        Self { version: VERSION, address, certificate_sha256, configuration }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        // Strings and numbers can always be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Parses an announcement of this version.
    #[cfg(feature = "cli")]
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().filter(|announcement: &Self| announcement.version == VERSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_version_is_understood() {
        let configuration = ConfigIdentity { files: vec!["/etc/allswell/allswell.toml".to_owned()], searched: None };
        let announcement = Announcement::new(([0, 0, 0, 0], 8080).into(), Some("00".to_owned()), configuration);
        assert_eq!(Announcement::parse(&announcement.to_json()).as_ref(), Some(&announcement));
        assert_eq!(Announcement::parse(&Announcement { version: 2, ..announcement }.to_json()), None);
        assert_eq!(Announcement::parse(b"{}"), None);
    }
}
