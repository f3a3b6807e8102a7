//! Clients that send or read a little at a time.

use super::{
    attack::Attack,
    crowd::{Attacker, Crowd},
    frames::{DATA, INITIAL_WINDOW_SIZE, PREFACE, begin_call, frame, get, settings, window_update},
    http1::{self, request, write_slowly},
    http2::Http2,
    settings::Setting,
};
use futures_util::FutureExt;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack::new("own-slow-heads", "HTTP/1.1: request heads, a byte a second", Crowd::Of(3000), |attacker| {
            write_slowly(attacker, b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"a", SECOND).boxed()
        })
        .in_suite(&[Setting::Default]),
        Attack::new("own-slow-calls", "HTTP/2: gRPC messages, a byte a second", Crowd::OverSeats, |attacker| {
            let begin = [PREFACE, &settings(&[]), &begin_call(1, "Check"), &frame(DATA, 0, 1, &[0, 0, 0, 0xff, 0xff])].concat();
            async move { write_slowly(attacker, &begin, &frame(DATA, 0, 1, b"a"), SECOND).await }.boxed()
        }),
        Attack::new("own-slow-readers", "HTTP/1.1: `/metrics`, read a byte a second", Crowd::OverSeats, |attacker| {
            read_a_byte_a_second(attacker).boxed()
        }),
        Attack::new(
            "own-tiny-windows",
            "HTTP/2: 16 streams of `/metrics` with windows of one byte, raised by one",
            Crowd::Of(200),
            |attacker| tiny_windows(attacker).boxed(),
        )
        .in_suite(&[Setting::Default]),
        Attack::new("own-chunks", "HTTP/1.1: chunked uploads without end", Crowd::OverSeats, |attacker| {
            let begin = request("POST", "/admin/drain", "Transfer-Encoding: chunked\r\n");
            async move { write_slowly(attacker, &begin, b"1\r\na\r\n", SECOND / 10).await }.boxed()
        }),
        Attack::new("own-fast-chunks", "HTTP/1.1: chunked uploads without end and without a pause", Crowd::Of(32), |attacker| {
            let begin = request("GET", "/health", "Transfer-Encoding: chunked\r\n");
            async move { write_slowly(attacker, &begin, &b"1\r\na\r\n".repeat(4000), Duration::ZERO).await }.boxed()
        }),
        Attack::new("own-expectations", "HTTP/1.1: `Expect: 100-continue`, and then a byte a second", Crowd::OverSeats, |attacker| {
            let begin = request("POST", "/admin/drain", "Expect: 100-continue\r\nContent-Length: 1000000\r\n");
            async move { write_slowly(attacker, &begin, b"a", SECOND).await }.boxed()
        }),
        Attack::new("own-slow-prefaces", "HTTP/2: the preface, a byte a second", Crowd::Of(3000), |attacker| {
            write_slowly(attacker, &PREFACE[..4], b" ", SECOND).boxed()
        }),
    ]
}

async fn read_a_byte_a_second(attacker: Attacker) -> Option<()> {
    let mut stream = attacker.connect_with_buffer(Some(4096)).await?;
    stream.write_all(&http1::get("/metrics")).await.ok()?;
    http1::read_slowly(&attacker, &mut stream, 1, SECOND).await
}

async fn tiny_windows(attacker: Attacker) -> Option<()> {
    const STREAMS: usize = 16;
    let mut connection = Http2::open(&attacker, &[(INITIAL_WINDOW_SIZE, 1)]).await?;
    connection.send_on_new_streams(STREAMS, |stream| get(stream, "/metrics")).await?;
    let increments: Vec<u8> = (1..).step_by(2).take(STREAMS).flat_map(|stream| window_update(stream, 1)).collect();
    loop {
        connection.read_for(Duration::from_millis(50)).await?;
        connection.send(&increments).await?;
    }
}
