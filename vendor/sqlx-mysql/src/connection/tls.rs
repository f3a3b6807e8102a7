use crate::connection::{leave, MySqlStream, Waiting};
use crate::error::Error;
use crate::net::tls::TlsConfig;
use crate::net::{tls, BufferedSocket, Socket, WithSocket};
use crate::protocol::auth::AuthPlugin;
use crate::protocol::connect::SslRequest;
use crate::protocol::Capabilities;
use crate::{CleartextPassword, MySqlConnectOptions, MySqlSslMode, Upgraded};
use std::collections::VecDeque;
use std::future::Future;

struct MapStream {
    server_version: (u16, u16, u16),
    capabilities: Capabilities,
    sequence_id: u8,
    waiting: VecDeque<Waiting>,
    allow_cleartext_password: bool,
}

pub(super) async fn maybe_upgrade<S: Socket>(
    mut stream: MySqlStream<S>,
    options: &MySqlConnectOptions,
) -> Result<MySqlStream, Error> {
    if !should_upgrade(&mut stream, options, tls::available())? {
        return Ok(stream.boxed_socket());
    }

    let tls_config = TlsConfig {
        accept_invalid_certs: !matches!(
            options.ssl_mode,
            MySqlSslMode::VerifyCa | MySqlSslMode::VerifyIdentity
        ),
        accept_invalid_hostnames: !matches!(options.ssl_mode, MySqlSslMode::VerifyIdentity),
        hostname: &options.host,
        root_cert_path: options.ssl_ca.as_ref(),
        client_cert_path: options.ssl_client_cert.as_ref(),
        client_key_path: options.ssl_client_key.as_ref(),
    };

    let map_stream = request_upgrade(&mut stream, options).await?;

    tls::handshake(stream.socket.into_inner(), tls_config, map_stream).await
}

/// As [`maybe_upgrade`], by the TLS of the caller.
pub(super) async fn maybe_upgrade_with<S, F>(
    mut stream: MySqlStream<S>,
    options: &MySqlConnectOptions,
    auth_plugin: Option<AuthPlugin>,
    upgrade: impl FnOnce(S) -> F,
) -> Result<MySqlStream, Error>
where
    S: Socket,
    F: Future<Output = Result<Upgraded<S>, Error>>,
{
    match should_upgrade(&mut stream, options, true) {
        Ok(true) => {}
        Ok(false) => return Ok(stream.boxed_socket()),
        Err(error) => {
            leave::as_nobody(&mut stream, auth_plugin).await;
            return Err(error);
        }
    }

    let map_stream = request_upgrade(&mut stream, options).await?;

    match upgrade(stream.socket.into_inner()).await? {
        Upgraded::Trusted(socket) => Ok(map_stream.with_socket(socket).await),
        Upgraded::Untrusted(socket, error) => {
            let mut stream = map_stream.with_socket(socket).await;
            leave::as_nobody(&mut stream, auth_plugin).await;
            Err(error)
        }
    }
}

fn should_upgrade<S: Socket>(
    stream: &mut MySqlStream<S>,
    options: &MySqlConnectOptions,
    tls_available: bool,
) -> Result<bool, Error> {
    let server_supports_tls = stream.capabilities.contains(Capabilities::SSL);

    if matches!(options.ssl_mode, MySqlSslMode::Disabled) || !tls_available {
        // remove the SSL capability if SSL has been explicitly disabled
        stream.capabilities.remove(Capabilities::SSL);
    }

    // https://www.postgresql.org/docs/12/libpq-ssl.html#LIBPQ-SSL-SSLMODE-STATEMENTS
    match options.ssl_mode {
        MySqlSslMode::Disabled => return Ok(false),

        MySqlSslMode::Preferred => {
            if !tls_available {
                // Client doesn't support TLS
                tracing::debug!("not performing TLS upgrade: TLS support not compiled in");
                return Ok(false);
            }

            if !server_supports_tls {
                // Server doesn't support TLS
                tracing::debug!("not performing TLS upgrade: unsupported by server");
                return Ok(false);
            }
        }

        MySqlSslMode::Required | MySqlSslMode::VerifyIdentity | MySqlSslMode::VerifyCa => {
            if !tls_available {
                tls::error_if_unavailable()?;
            }

            if !server_supports_tls {
                // upgrade failed, die
                return Err(Error::Tls("server does not support TLS".into()));
            }
        }
    }

    Ok(true)
}

async fn request_upgrade<S: Socket>(
    stream: &mut MySqlStream<S>,
    options: &MySqlConnectOptions,
) -> Result<MapStream, Error> {
    // Request TLS upgrade
    stream.write_packet(SslRequest {
        max_packet_size: super::MAX_PACKET_SIZE,
        charset: super::INITIAL_CHARSET,
    })?;

    stream.flush().await?;

    Ok(MapStream {
        server_version: stream.server_version,
        capabilities: stream.capabilities,
        sequence_id: stream.sequence_id,
        waiting: std::mem::take(&mut stream.waiting),
        allow_cleartext_password: options.cleartext_password != CleartextPassword::Never,
    })
}

impl WithSocket for MapStream {
    type Output = MySqlStream;

    async fn with_socket<S: Socket>(self, socket: S) -> Self::Output {
        MySqlStream {
            socket: BufferedSocket::new(Box::new(socket)),
            server_version: self.server_version,
            capabilities: self.capabilities,
            sequence_id: self.sequence_id,
            waiting: self.waiting,
            is_secure: true,
            allow_cleartext_password: self.allow_cleartext_password,
        }
    }
}
