use crate::connection::ConnectOptions;
use crate::error::Error;
use crate::connection::PgStream;
use crate::net::Socket;
use crate::{PgConnectOptions, PgConnection};
use log::LevelFilter;
use sqlx_core::Url;
use std::fmt;
use std::future::Future;
use std::time::Duration;

impl PgConnectOptions {
    /// Log in over `socket`, which the caller has connected, and encrypted if need be: host, port, socket path and
    /// everything about TLS in these options is not looked at.
    ///
    /// Unless `allow_cleartext_password` is set, a server that asks for the password itself does not get it: the
    /// connection fails with an [`Error::Configuration`] that holds a [`CleartextPasswordRefused`].
    pub async fn connect_with_socket<S: Socket>(
        &self,
        socket: S,
        allow_cleartext_password: bool,
    ) -> Result<PgConnection, Error> {
        let stream = PgStream::with_socket(Box::new(socket));
        PgConnection::establish_with_stream(self, stream, allow_cleartext_password).await
    }
}

/// The server asked for the password in clear, which was not allowed.
#[derive(Debug)]
pub struct CleartextPasswordRefused;

impl fmt::Display for CleartextPasswordRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server asked for the password in clear, which is not allowed")
    }
}

impl std::error::Error for CleartextPasswordRefused {}

impl ConnectOptions for PgConnectOptions {
    type Connection = PgConnection;

    fn from_url(url: &Url) -> Result<Self, Error> {
        Self::parse_from_url(url)
    }

    fn to_url_lossy(&self) -> Url {
        self.build_url()
    }

    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Error>> + Send + '_
    where
        Self::Connection: Sized,
    {
        PgConnection::establish(self)
    }

    fn log_statements(mut self, level: LevelFilter) -> Self {
        self.log_settings.log_statements(level);
        self
    }

    fn log_slow_statements(mut self, level: LevelFilter, duration: Duration) -> Self {
        self.log_settings.log_slow_statements(level, duration);
        self
    }
}
