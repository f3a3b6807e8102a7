use bytes::buf::Buf;
use bytes::Bytes;

use crate::common::StatementCache;
use crate::connection::leave::{self, Asked};
use crate::connection::{tls, MySqlConnectionInner, MySqlStream, MAX_PACKET_SIZE};
use crate::error::Error;
use crate::net::{Socket, WithSocket};
use crate::protocol::connect::{
    AuthSwitchRequest, AuthSwitchResponse, Handshake, HandshakeResponse,
};
use crate::protocol::Capabilities;
use crate::{CleartextPassword, MySqlConnectOptions, MySqlConnection, MySqlSslMode, Upgraded};
use std::future::Future;

impl MySqlConnection {
    pub(crate) async fn establish(options: &MySqlConnectOptions) -> Result<Self, Error> {
        let do_handshake = DoHandshake::new(options)?;

        let handshake = match &options.socket {
            Some(path) => crate::net::connect_uds(path, do_handshake).await?,
            None => crate::net::connect_tcp(&options.host, options.port, do_handshake).await?,
        };

        Ok(Self::with_stream(handshake?, options))
    }

    pub(crate) async fn establish_with_socket<S, F>(
        options: &MySqlConnectOptions,
        socket: S,
        upgrade: impl FnOnce(S) -> F,
    ) -> Result<Self, Error>
    where
        S: Socket,
        F: Future<Output = Result<Upgraded<S>, Error>>,
    {
        let do_handshake = DoHandshake { options };
        let (stream, handshake) = do_handshake.receive(socket).await?;
        let stream =
            tls::maybe_upgrade_with(stream, options, handshake.auth_plugin, upgrade).await?;
        let stream = do_handshake.log_in(stream, handshake).await?;

        Ok(Self::with_stream(stream, options))
    }

    fn with_stream(stream: MySqlStream, options: &MySqlConnectOptions) -> Self {
        Self {
            inner: Box::new(MySqlConnectionInner {
                stream,
                transaction_depth: 0,
                status_flags: Default::default(),
                cache_statement: StatementCache::new(options.statement_cache_capacity),
                log_settings: options.log_settings.clone(),
            }),
        }
    }
}

struct DoHandshake<'a> {
    options: &'a MySqlConnectOptions,
}

impl<'a> DoHandshake<'a> {
    fn new(options: &'a MySqlConnectOptions) -> Result<Self, Error> {
        if options.cleartext_password == CleartextPassword::Always
            && matches!(
                options.ssl_mode,
                MySqlSslMode::Disabled | MySqlSslMode::Preferred
            )
        {
            log::warn!("Security warning: sending cleartext passwords without requiring SSL");
        }

        Ok(Self { options })
    }

    async fn do_handshake<S: Socket>(self, socket: S) -> Result<MySqlStream, Error> {
        let (stream, handshake) = self.receive(socket).await?;
        let stream = tls::maybe_upgrade(stream, self.options).await?;

        self.log_in(stream, handshake).await
    }

    async fn receive<S: Socket>(&self, socket: S) -> Result<(MySqlStream<S>, Handshake), Error> {
        let options = self.options;

        let mut stream = MySqlStream::with_socket(options, socket);

        // https://dev.mysql.com/doc/internals/en/connection-phase.html
        // https://mariadb.com/kb/en/connection/

        let handshake: Handshake = stream.recv_packet().await?.decode()?;

        // FIXME: server version parse is a bit ugly
        // expecting MAJOR.MINOR.PATCH

        let mut server_version = handshake.server_version.split('.');

        let server_version_major: u16 = server_version
            .next()
            .unwrap_or_default()
            .parse()
            .unwrap_or(0);

        let server_version_minor: u16 = server_version
            .next()
            .unwrap_or_default()
            .parse()
            .unwrap_or(0);

        let server_version_patch: u16 = server_version
            .next()
            .unwrap_or_default()
            .parse()
            .unwrap_or(0);

        stream.server_version = (
            server_version_major,
            server_version_minor,
            server_version_patch,
        );

        stream.capabilities &= handshake.server_capabilities;
        stream.capabilities |= Capabilities::PROTOCOL_41;

        Ok((stream, handshake))
    }

    async fn log_in(
        &self,
        mut stream: MySqlStream,
        handshake: Handshake,
    ) -> Result<MySqlStream, Error> {
        let options = self.options;
        let mut plugin = handshake.auth_plugin;
        let mut nonce = handshake.auth_plugin_data;

        let auth_response = if let (Some(plugin), Some(password)) = (plugin, &options.password) {
            match plugin.scramble(&mut stream, password, &nonce).await {
                Ok(response) => Some(response),
                Err(error) => {
                    leave::as_nobody(&mut stream, Some(plugin)).await;
                    return Err(error);
                }
            }
        } else {
            None
        };

        stream.write_packet(HandshakeResponse {
            charset: super::INITIAL_CHARSET,
            max_packet_size: MAX_PACKET_SIZE,
            username: &options.username,
            database: options.database.as_deref(),
            auth_plugin: plugin,
            auth_response: auth_response.as_deref(),
        })?;

        stream.flush().await?;

        loop {
            let packet = stream.recv_packet().await?;
            match packet[0] {
                0x00 => {
                    let _ok = packet.ok()?;

                    break;
                }

                0xfe => {
                    let request = packet.0.clone();
                    let switch: AuthSwitchRequest =
                        match packet.decode_with(stream.allow_cleartext_password) {
                            Ok(switch) => switch,
                            Err(error) => {
                                leave::by_answering(&mut stream, Asked::Switch(&request)).await;
                                return Err(error);
                            }
                        };

                    plugin = Some(switch.plugin);
                    nonce = switch.data.chain(Bytes::new());

                    let response = switch
                        .plugin
                        .scramble(
                            &mut stream,
                            options.password.as_deref().unwrap_or_default(),
                            &nonce,
                        )
                        .await;
                    let response = match response {
                        Ok(response) => response,
                        Err(error) => {
                            leave::by_answering(&mut stream, Asked::Switch(&request)).await;
                            return Err(error);
                        }
                    };

                    stream.write_packet(AuthSwitchResponse(response))?;
                    stream.flush().await?;
                }

                id => {
                    if let (Some(plugin), Some(password)) = (plugin, &options.password) {
                        match plugin.handle(&mut stream, packet, password, &nonce).await {
                            // plugin signaled authentication is ok
                            Ok(true) => break,
                            Ok(false) => {}
                            Err(error @ Error::Configuration(_)) => {
                                leave::by_answering(&mut stream, Asked::WholePassword).await;
                                return Err(error);
                            }
                            Err(error) => return Err(error),
                        }

                        // plugin signaled to continue authentication
                    } else {
                        return Err(err_protocol!(
                            "unexpected packet 0x{:02x} during authentication",
                            id
                        ));
                    }
                }
            }
        }

        Ok(stream)
    }
}

impl WithSocket for DoHandshake<'_> {
    type Output = Result<MySqlStream, Error>;

    async fn with_socket<S: Socket>(self, socket: S) -> Self::Output {
        self.do_handshake(socket).await
    }
}
