//! TLS handshakes, which cost the server more than the client.

use super::{
    attack::Attack,
    crowd::{Attacker, Crowd},
    http1::read_to_end,
    settings::{Setting, TLS},
};
use futures_util::FutureExt;
use rustls::{ClientConfig, ClientConnection, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// With an RSA key the flood comes from other addresses than the polls: a signature takes milliseconds, and polls from the address of a flood wait for
/// all of it.
pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack::new("b4-hellos", "ClientHello on new connections, 2,000 a second", Crowd::Of(64), |attacker| {
            exchange_hellos(attacker).boxed()
        })
        .only_in(&[Setting::TlsEcdsa])
        .in_suite(&[Setting::TlsEcdsa]),
        Attack::new("b4-many-hellos", "ClientHello on new connections, many clients, 6,000 a second", Crowd::Of(400), |attacker| {
            exchange_hellos(attacker).boxed()
        })
        .at_rate(6000)
        .only_in(&[Setting::TlsEcdsa]),
        Attack::new(
            "b4-addresses",
            "ClientHello on new connections, from 20 source addresses, 6,000 a second",
            Crowd::Of(400),
            |attacker| exchange_hellos(attacker).boxed(),
        )
        .at_rate(6000)
        .with_addresses(20)
        .only_in(TLS),
        Attack::new("own-half-hellos", "half a ClientHello, and then nothing", Crowd::OverSeats, |attacker| {
            send_half_a_hello(attacker).boxed()
        })
        .only_in(TLS),
        Attack::new(
            "own-stalled-handshakes",
            "ClientHello, and no reply to the server's handshake, from 20 source addresses",
            Crowd::OverSeats,
            |attacker| send_hello_and_wait(attacker).boxed(),
        )
        .with_addresses(20)
        .only_in(&[Setting::TlsEcdsa]),
    ]
}

/// One recorded `ClientHello`.
fn hello() -> &'static [u8] {
    static HELLO: OnceLock<Vec<u8>> = OnceLock::new();
    HELLO.get_or_init(|| {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        let mut connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").expect("a name")).expect("a client");
        let mut bytes = Vec::new();
        connection.write_tls(&mut bytes).expect("memory");
        bytes
    })
}

async fn exchange_hellos(attacker: Attacker) -> Option<()> {
    let mut stream = attacker.connect().await?;
    stream.write_all(hello()).await.ok()?;
    let mut answer = [0; 100];
    stream.read_exact(&mut answer).await.ok()?;
    Some(())
}

async fn send_half_a_hello(attacker: Attacker) -> Option<()> {
    let mut stream = attacker.connect().await?;
    stream.write_all(&hello()[..hello().len() / 2]).await.ok()?;
    read_to_end(&attacker, &mut stream).await
}

async fn send_hello_and_wait(attacker: Attacker) -> Option<()> {
    let mut stream = attacker.connect().await?;
    stream.write_all(hello()).await.ok()?;
    read_to_end(&attacker, &mut stream).await
}
