//! Streams that are not read, and subscribers without a limit.

use super::{
    attack::Attack,
    crowd::{Attacker, Crowd},
    frames::{self, DATA, INITIAL_WINDOW_SIZE, LARGEST_INCREMENT, call, get, window_update},
    http1,
    http2::Http2,
    settings::Setting,
};
use futures_util::FutureExt;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};
use tokio::io::AsyncWriteExt;

const EVENTS: &str = "/health/_events";
/// Fewer than the server permits on a connection, and four times as many as it permits subscribers there.
const STREAMS: usize = 64;

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        // Not in the suite: a debug build takes ten times as long for each stream, which makes this an attack on the processor.
        Attack::new("a3-zero-window", "HTTP/2: 64 streams of `/metrics` without a window", Crowd::Of(400), |attacker| {
            zero_window(attacker).boxed()
        }),
        Attack::new("a4-events-http1", "HTTP/1.1: subscribers to events that do not read", Crowd::OverSeats, |attacker| {
            http1::ask_without_reading(attacker, EVENTS).boxed()
        })
        .in_suite(&[Setting::Sidecar]),
        Attack::new("a4-events-http2", "HTTP/2: 64 subscriptions to events on a connection that is not read", Crowd::Of(100), |attacker| {
            subscribe_without_reading(attacker).boxed()
        })
        .in_suite(&[Setting::Default]),
        Attack::new("a5-reconnects", "HTTP/1.1: subscribers that reconnect at once, 3,000 a second", Crowd::Of(8000), |attacker| {
            resubscribe(attacker).boxed()
        })
        .at_rate(3000)
        .in_suite(&[Setting::FewSeats]),
        Attack::new("a6-watches", "HTTP/2: four connections with 64 gRPC `Watch` each", Crowd::Of(4), |attacker| watch(attacker).boxed())
            .with_newcomer(newcomer_is_served)
            .in_suite(&[Setting::Default]),
        Attack::new(
            "own-greedy-watches",
            "HTTP/2: gRPC `Watch` from connections that start 64 more every 0.3 s",
            Crowd::Of(16),
            |attacker| watch_more_and_more(attacker).boxed(),
        )
        .with_newcomer(newcomer_is_served),
        Attack::new("own-watch-churn", "HTTP/2: gRPC `Watch` started and reset, 64 at a time", Crowd::Of(32), |attacker| {
            watch_and_reset(attacker).boxed()
        }),
    ]
}

async fn zero_window(attacker: Attacker) -> Option<()> {
    let mut connection = Http2::open(&attacker, &[(INITIAL_WINDOW_SIZE, 0)]).await?;
    connection.send_on_new_streams(STREAMS, |stream| get(stream, "/metrics")).await?;
    connection.read_to_end().await
}

async fn subscribe_without_reading(attacker: Attacker) -> Option<()> {
    let mut connection = Http2::open(&attacker, &[(INITIAL_WINDOW_SIZE, 1_000_000)]).await?;
    connection.send(&window_update(0, LARGEST_INCREMENT)).await?;
    connection.send_on_new_streams(STREAMS, |stream| get(stream, EVENTS)).await?;
    connection.stay_without_reading().await
}

async fn resubscribe(attacker: Attacker) -> Option<()> {
    let mut stream = attacker.connect().await?;
    stream.write_all(&http1::get(EVENTS)).await.ok()?;
    http1::read_to_end(&attacker, &mut stream).await
}

async fn watch(attacker: Attacker) -> Option<()> {
    let mut connection = Http2::open(&attacker, &[]).await?;
    connection.send_on_new_streams(STREAMS, |stream| call(stream, "Watch")).await?;
    connection.read_to_end().await
}

async fn watch_more_and_more(attacker: Attacker) -> Option<()> {
    let mut connection = Http2::open(&attacker, &[]).await?;
    loop {
        connection.send_on_new_streams(STREAMS, |stream| call(stream, "Watch")).await?;
        connection.read_for(Duration::from_millis(300)).await?;
    }
}

async fn watch_and_reset(attacker: Attacker) -> Option<()> {
    let mut connection = Http2::open(&attacker, &[]).await?;
    loop {
        let begin = connection.next_stream();
        connection.send(&call(begin, "Watch")).await?;
        connection.send_on_new_streams(STREAMS - 1, |stream| call(stream, "Watch")).await?;
        connection.read_for(Duration::from_millis(20)).await?;
        let resets: Vec<u8> = (begin..).step_by(2).take(STREAMS).flat_map(frames::reset).collect();
        connection.send(&resets).await?;
    }
}

/// Another client that starts to watch gets a first status in time.
fn newcomer_is_served(address: SocketAddr) -> Result<(), String> {
    const BOUND: Duration = Duration::from_secs(2);
    let start = Instant::now();
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, BOUND)?;
        stream.set_read_timeout(Some(BOUND))?;
        stream.write_all(&[frames::PREFACE, &frames::settings(&[]), &call(1, "Watch")].concat())?;
        while start.elapsed() < BOUND {
            let mut head = [0; 9];
            stream.read_exact(&mut head)?;
            let [a, b, c, kind, ..] = head;
            let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).expect("a length")];
            stream.read_exact(&mut payload)?;
            if kind == DATA && !payload.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    };
    match ask() {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("a newcomer's Watch got no status within {BOUND:?}")),
        Err(error) => Err(format!("a newcomer's Watch got no status: {error}")),
    }
}
