//! Connections that look busy, so that a server finds none to close.

use super::{
    attack::Attack,
    crowd::{Attacker, Crowd},
    frames::{INITIAL_WINDOW_SIZE, begin_call, get},
    http1,
    http2::Http2,
    settings::Setting,
};
use futures_util::FutureExt;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const SMALL_REQUESTS: Duration = Duration::from_millis(900);
const SMALL_CALLS: Duration = Duration::from_millis(600);

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack::new("a1-events", "HTTP/2: a stream of events and a small request each 0.9 s", Crowd::OverSeats, |attacker| {
            keep_busy(attacker, |stream| get(stream, "/health/_events"), |stream| get(stream, "/livez"), SMALL_REQUESTS).boxed()
        })
        .in_suite(&[Setting::Default]),
        Attack::new("a1-bodies", "HTTP/2: gRPC calls without a message, one each 0.6 s", Crowd::OverSeats, |attacker| {
            keep_busy(attacker, check_without_message, check_without_message, SMALL_CALLS).boxed()
        })
        .in_suite(&[Setting::FewSeats]),
        Attack::new("a1-addresses", "HTTP/2: as `a1-events`, from 200 source addresses", Crowd::OverSeats, |attacker| {
            keep_busy(attacker, |stream| get(stream, "/health/_events"), |stream| get(stream, "/livez"), SMALL_REQUESTS).boxed()
        })
        .with_addresses(200),
        Attack::new("a2-health", "HTTP/1.1: 300 pipelined `/health`, read slowly", Crowd::OverSeats, |attacker| {
            pipeline(attacker, "/health", 4 * 1024).boxed()
        })
        .in_suite(&[Setting::FewSeats]),
        Attack::new("a2-metrics", "HTTP/1.1: 300 pipelined `/metrics`, read slowly", Crowd::OverSeats, |attacker| {
            pipeline(attacker, "/metrics", 44 * 1024).boxed()
        })
        .in_suite(&[Setting::Default]),
    ]
}

fn check_without_message(stream: u32) -> Vec<u8> {
    begin_call(stream, "Check")
}

/// Opens one stream that never ends, and repeats small requests.
async fn keep_busy(attacker: Attacker, endless: fn(u32) -> Vec<u8>, small: fn(u32) -> Vec<u8>, interval: Duration) -> Option<()> {
    let mut connection = Http2::open(&attacker, &[(INITIAL_WINDOW_SIZE, 1_000_000)]).await?;
    connection.send_on_new_streams(1, endless).await?;
    loop {
        connection.read_for(interval).await?;
        connection.send_on_new_streams(1, small).await?;
    }
}

/// Sends many requests at once, and reads about two responses each 0.8 s.
async fn pipeline(attacker: Attacker, path: &str, two_responses: usize) -> Option<()> {
    let (mut read, mut write) = attacker.connect_with_buffer(Some(16 * 1024)).await?.into_split();
    let requests = http1::get(path).repeat(300);
    let writing = async {
        let _ = write.write_all(&requests).await;
        http1::wait_forever().await;
        None
    };
    tokio::select! {
        ended = writing => ended,
        ended = http1::read_slowly(&attacker, &mut read, two_responses, Duration::from_millis(800)) => ended,
    }
}
