//! Connections that ask for little or nothing, in large numbers.

use super::{
    attack::Attack,
    crowd::{Attacker, Crowd},
    http1::{self, read_to_end, request},
    http2::Http2,
    settings::Setting,
};
use futures_util::FutureExt;
use std::time::Duration;
use tokio::{io::AsyncWriteExt, time::sleep};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack::new("own-silence", "connections that send nothing and reconnect, 3,000 a second", Crowd::Of(6000), |attacker| {
            stay_silent(attacker).boxed()
        })
        .at_rate(3000)
        .in_suite(&[Setting::Default]),
        Attack::new("own-silent-http2", "HTTP/2: the preface, and then nothing", Crowd::OverSeats, |attacker| {
            async move { Http2::open(&attacker, &[]).await?.read_to_end().await }.boxed()
        }),
        Attack::new("own-aborts", "connections reset after a request, 3,000 a second", Crowd::Of(300), |attacker| abort(attacker).boxed())
            .at_rate(3000),
        Attack::new("own-methods", "HTTP/1.1: 100 pipelined HEAD and OPTIONS, in a loop", Crowd::Of(64), |attacker| {
            let mixed = [request("HEAD", "/health", ""), request("OPTIONS", "/metrics", ""), request("HEAD", "/metrics", "")].concat();
            http1::ask_in_a_loop(attacker, move |_| mixed.repeat(34)).boxed()
        }),
        Attack::new("own-pollers", "HTTP/1.1: pollers that keep their connection, in a loop", Crowd::OverSeats, |attacker| {
            http1::ask_in_a_loop(attacker, |_| http1::get("/health")).boxed()
        }),
        Attack::new(
            "own-half-closed",
            "HTTP/1.1: the client closes its half after a stream of events has begun",
            Crowd::OverSeats,
            |attacker| close_half(attacker).boxed(),
        ),
        Attack::new("own-nonsense", "bytes that are not HTTP, 2,000 connections a second", Crowd::Of(300), |attacker| {
            send_nonsense(attacker).boxed()
        }),
    ]
}

async fn stay_silent(attacker: Attacker) -> Option<()> {
    let mut stream = attacker.connect().await?;
    read_to_end(&attacker, &mut stream).await
}

async fn abort(attacker: Attacker) -> Option<()> {
    let mut stream = attacker.connect().await?;
    stream.write_all(&http1::get("/metrics")).await.ok()?;
    stream.set_zero_linger().ok()?;
    sleep(Duration::from_millis(1)).await;
    Some(())
}

async fn close_half(attacker: Attacker) -> Option<()> {
    let mut stream = attacker.connect().await?;
    stream.write_all(&http1::get("/health/_events")).await.ok()?;
    stream.shutdown().await.ok()?;
    read_to_end(&attacker, &mut stream).await
}

async fn send_nonsense(attacker: Attacker) -> Option<()> {
    let mut stream = attacker.connect().await?;
    stream.write_all(&[0x16, 0xff, b'\n', 0].repeat(1000)).await.ok()?;
    read_to_end(&attacker, &mut stream).await
}
