//! Requests that cost the server much more than the client.

use super::{
    attack::Attack,
    crowd::{Attacker, Crowd},
    frames::{INITIAL_WINDOW_SIZE, get, reset},
    http1,
    http2::Http2,
    settings::{Setting, TOKEN},
};
use futures_util::FutureExt;
use std::time::Duration;

/// Names of `?format=`.
const DIALECTS: &[&str] = &[
    "json",
    "text",
    "health%2Bjson",
    "openmetrics",
    "atom",
    "rss",
    "django",
    "django3",
    "spring",
    "microprofile",
    "aspnet",
    "nagios",
    "html",
];

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack::new("b1-metrics", "HTTP/1.1: `/metrics`, not read", Crowd::Of(600), |attacker| {
            http1::ask_without_reading(attacker, "/metrics").boxed()
        })
        .in_suite(&[Setting::ManyComponents]),
        Attack::new("b1-html", "HTTP/1.1: `/health?format=html`, not read", Crowd::Of(600), |attacker| {
            http1::ask_without_reading(attacker, "/health?format=html").boxed()
        }),
        Attack::new("b1-resets", "HTTP/2: 60 streams of `/metrics`, reset after 5 ms, repeated", Crowd::Of(64), |attacker| {
            ask_and_reset(attacker, Duration::from_millis(5)).boxed()
        }),
        // The limits of h2 end the connections above when the server is slow to accept the streams.
        Attack::new("own-late-resets", "HTTP/2: 60 streams of `/metrics`, reset after 100 ms, repeated", Crowd::Of(64), |attacker| {
            ask_and_reset(attacker, Duration::from_millis(100)).boxed()
        })
        .in_suite(&[Setting::Default]),
        Attack::new("b3-fresh", "HTTP/1.1: `/health?fresh` in a loop", Crowd::Of(16), |attacker| {
            http1::ask_in_a_loop(attacker, |_| http1::get("/health?fresh")).boxed()
        }),
        Attack::new("own-fresh-streams", "HTTP/2: 64 streams of `/health?fresh` at a time", Crowd::Of(16), |attacker| {
            ask_for_fresh_results(attacker).boxed()
        }),
        Attack::new("own-dialects", "HTTP/1.1: every format of every group and component, in a loop", Crowd::Of(64), |attacker| {
            let number = attacker.number;
            http1::ask_in_a_loop(attacker, move |count| every_view(number + count)).boxed()
        }),
        Attack::new("own-names", "HTTP/1.1: unknown names with every format, 16 at a time", Crowd::Of(64), |attacker| {
            let number = attacker.number;
            http1::ask_in_a_loop(attacker, move |count| unknown_names(number, count)).boxed()
        }),
        Attack::new("own-queries", "HTTP/1.1: queries of 8 KiB with hundreds of keys", Crowd::Of(64), |attacker| {
            http1::ask_in_a_loop(attacker, |count| http1::get(&format!("/health?{}", format!("key{count}=%2B%2B&").repeat(500)))).boxed()
        }),
        Attack::new("own-tokens", "HTTP/1.1: `POST /admin/drain` with wrong tokens", Crowd::Of(64), |attacker| {
            http1::ask_in_a_loop(attacker, wrong_token).boxed()
        }),
    ]
}

async fn ask_and_reset(attacker: Attacker, after: Duration) -> Option<()> {
    const STREAMS: usize = 60;
    let mut connection = Http2::open(&attacker, &[(INITIAL_WINDOW_SIZE, 1_000_000)]).await?;
    loop {
        let begin = connection.next_stream();
        connection.send(&get(begin, "/metrics")).await?;
        connection.send_on_new_streams(STREAMS - 1, |stream| get(stream, "/metrics")).await?;
        connection.read_for(after).await?;
        let resets: Vec<u8> = (begin..).step_by(2).take(STREAMS).flat_map(reset).collect();
        connection.send(&resets).await?;
    }
}

async fn ask_for_fresh_results(attacker: Attacker) -> Option<()> {
    let mut connection = Http2::open(&attacker, &[]).await?;
    loop {
        connection.send_on_new_streams(64, |stream| get(stream, "/health?fresh")).await?;
        connection.read_for(Duration::from_millis(300)).await?;
    }
}

fn every_view(number: usize) -> Vec<u8> {
    let format = DIALECTS[number % DIALECTS.len()];
    let view = number / DIALECTS.len() % 17;
    let name = match view {
        0 => String::new(),
        1..=4 => format!("/group{}", view - 1),
        component => format!("/memory{}", component - 5),
    };
    http1::get(&format!("/health{name}?format={format}"))
}

fn unknown_names(client: usize, count: usize) -> Vec<u8> {
    let one = |number: usize| {
        let format = DIALECTS[number % DIALECTS.len()];
        http1::get(&format!("/health/unknown-{client}-{count}-{number}?format={format}"))
    };
    (0..16).flat_map(one).collect()
}

fn wrong_token(count: usize) -> Vec<u8> {
    let token = &TOKEN[..count % TOKEN.len()];
    http1::request("POST", "/admin/drain", &format!("Authorization: Bearer {token}{count}\r\nContent-Length: 0\r\n"))
}
