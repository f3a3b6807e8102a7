use crate::connection::ConnectOptions;
use crate::error::Error;
use crate::connection::PgStream;
use crate::net::Socket;
use crate::{PgConnectOptions, PgConnection, PgLogin};
use log::LevelFilter;
use sqlx_core::Url;
use std::future::Future;
use std::time::Duration;

impl PgConnectOptions {
    /// Log in over `socket`, which the caller has connected, and encrypted if need be: host, port, socket path and
    /// everything about TLS in these options is not looked at.
    ///
    /// If the server asks for a login that `login` does not permit, or that this driver does not support, the connection
    /// fails with an [`Error::Configuration`] that holds a [`LoginRefused`](crate::LoginRefused).
    pub async fn connect_with_socket<S: Socket>(
        &self,
        socket: S,
        login: &PgLogin,
    ) -> Result<PgConnection, Error> {
        let stream = PgStream::with_socket(Box::new(socket));
        PgConnection::establish_with_stream(self, stream, login).await
    }
}

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
