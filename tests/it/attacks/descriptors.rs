//! Clients that use up the descriptors, which probes need as well.

use super::{
    attack::Attack,
    crowd::{Attacker, Crowd},
    frames::get,
    http1::{self, read_to_end},
    http2::Http2,
    settings::Setting,
};
use futures_util::FutureExt;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack::new("c1-descriptors", "idle connections and subscribers to events", Crowd::Of(1100), |attacker| {
            match attacker.number % 2 {
                0 => subscribe(attacker).boxed(),
                _ => stay_idle(attacker).boxed(),
            }
        })
        .only_in(&[Setting::Descriptors1024])
        .in_suite(&[Setting::Descriptors1024]),
        Attack::new("c2-descriptors", "idle connections, subscribers, and busy HTTP/2 connections", Crowd::Of(200), |attacker| {
            match attacker.number % 3 {
                0 => subscribe(attacker).boxed(),
                1 => stay_idle(attacker).boxed(),
                _ => keep_busy(attacker).boxed(),
            }
        })
        .only_in(&[Setting::Descriptors64])
        .in_suite(&[Setting::Descriptors64]),
    ]
}

async fn stay_idle(attacker: Attacker) -> Option<()> {
    let mut stream = attacker.connect().await?;
    read_to_end(&attacker, &mut stream).await
}

async fn subscribe(attacker: Attacker) -> Option<()> {
    let mut stream = attacker.connect().await?;
    stream.write_all(&http1::get("/health/_events")).await.ok()?;
    read_to_end(&attacker, &mut stream).await
}

async fn keep_busy(attacker: Attacker) -> Option<()> {
    let mut connection = Http2::open(&attacker, &[]).await?;
    connection.send_on_new_streams(1, |stream| get(stream, "/health/_events")).await?;
    loop {
        connection.read_for(Duration::from_millis(700)).await?;
        connection.send_on_new_streams(1, |stream| get(stream, "/livez")).await?;
    }
}
