//! Checks that a TCP port accepts connections.
//!
//! ```toml
//! [checks.bastion]
//! kind = "tcp"
//! address = "bastion.internal:22"
//! expect_banner = "SSH-2.0"
//! ```

use crate::{
    contract::prelude::*,
    wire::address::{Address, Dialer},
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

/// Opens a TCP connection and looks for 50 ms whether the server keeps it. With `expect_banner` it waits for the server's greeting instead.
///
/// A proxy without a server behind it accepts connections, and closes them at once: that is a failure. A proxy that closes them later passes, so
/// prefer `expect_banner`, or the kind of the protocol. No rights are required. Each probe opens a new connection, because that is what is checked. Some servers, such as `MySQL`, count a
/// connection that sends nothing as an error: use their own kind.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Server as `host:port`.
    pub address: Address,
    /// Text that the server must send on its own within the first 1,024 bytes, such as `SSH-2.0`.
    pub expect_banner: Option<String>,
}

/// A check of one port.
pub struct Tcp {
    address: Address,
    expect_banner: Option<String>,
    dialer: Dialer,
}

/// Maximum number of bytes of a banner that are read.
const MAX_BANNER_BYTES: usize = 1024;

/// How long the server must keep a connection. A proxy on the same network knows within this time that there is no server behind it.
const KEEP_TIME: Duration = Duration::from_millis(50);

/// Maximum pause between two parts of a banner.
const BANNER_REST_TIMEOUT: Duration = Duration::from_secs(1);

const CLOSED_AT_ONCE: &str = "the connection was accepted and closed at once: a proxy without a server behind it does this";

impl Backend for Tcp {
    const KIND: &'static str = "tcp";
    const CATEGORY: Category = Category::Network;
    const OTHER_NAMES: &'static [&'static str] = &["port", "socket", "telnet"];
    const EXAMPLE: &'static str = r#"
address = "bastion.internal:22"
expect_banner = "SSH-2.0"
"#;
    // With `expect_banner`, the check waits for the server's first bytes.
    const SPEAKS_FIRST: bool = true;
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        if config.expect_banner.as_ref().is_some_and(|banner| banner.is_empty() || banner.len() > MAX_BANNER_BYTES) {
            return Err(InvalidConfig::new("expect_banner", "must have between 1 and 1,024 bytes"));
        }
        Ok(Self { address: config.address, expect_banner: config.expect_banner, dialer: Dialer::default() })
    }
}

#[async_trait]
impl Check for Tcp {
    async fn probe(&self) -> Result<Observation, Failure> {
        let started = Instant::now();
        let mut stream = self.dialer.connect(&self.address).await?;
        let seen = Observation::pass().took("connect_ms", started.elapsed());
        let Some(expected) = &self.expect_banner else {
            let closed = timeout(KEEP_TIME, stream.read(&mut [0])).await;
            // Close properly. An error of the server does not matter here.
            let _ = stream.shutdown().await;
            return match closed {
                Ok(Ok(0)) => Err(Failure::unreachable("end of stream").saying(CLOSED_AT_ONCE).observing(seen)),
                Ok(Err(error)) => Err(Failure::network(error).saying(CLOSED_AT_ONCE).observing(seen)),
                // A greeting, or a server that waits for the client.
                Ok(Ok(_)) | Err(_) => Ok(seen),
            };
        };
        let mut banner = Vec::new();
        let mut chunk = [0; MAX_BANNER_BYTES];
        while !contains(&banner, expected.as_bytes()) {
            let room = MAX_BANNER_BYTES - banner.len();
            let reading = stream.read(&mut chunk[..room]);
            let read = if banner.is_empty() {
                reading.await
            } else {
                // After its banner the server waits for the client, so a pause means that the banner is complete.
                timeout(BANNER_REST_TIMEOUT, reading)
                    .await
                    .map_err(|_| Failure::unhealthy("the banner does not contain the expected text"))?
            };
            match read.map_err(Failure::network).map_err(|failure| if banner.is_empty() { failure } else { failure.truncated() })? {
                0 if banner.is_empty() => return Err(Failure::unreachable("end of stream").saying("connection closed before a banner")),
                0 => return Err(Failure::unhealthy("the banner does not contain the expected text")),
                read => banner.extend_from_slice(&chunk[..read]),
            }
        }
        Ok(seen.took("banner_ms", started.elapsed()))
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
