//! Floods of frames that are cheap to send and ask for nothing. Such a connection has to be ended.

use super::{
    attack::Attack,
    crowd::{Attacker, Crowd},
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADER_TABLE_SIZE, HEADERS, PING, PRIORITY, SETTINGS, UNKNOWN, begin_call, frame, get,
        header_block, literal, reset, settings, window_update,
    },
    http2::Http2,
    settings::Setting,
};
use futures_util::FutureExt;
use std::time::Duration;

const BATCH: usize = 500;

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack::new("b2-pings", "HTTP/2: PING without a pause", Crowd::Of(8), |attacker| {
            flood(attacker, frame(PING, 0, 0, &[0; 8]).repeat(BATCH)).boxed()
        })
        .has_to_be_ended()
        .in_suite(&[Setting::Default]),
        Attack::new("b2-many-pings", "HTTP/2: PING without a pause, many clients", Crowd::Of(350), |attacker| {
            flood(attacker, frame(PING, 0, 0, &[0; 8]).repeat(BATCH)).boxed()
        })
        .in_suite(&[Setting::Default]),
        Attack::new("b2-window-updates", "HTTP/2: WINDOW_UPDATE by one byte without a pause", Crowd::Of(8), |attacker| {
            flood(attacker, window_update(0, 1).repeat(BATCH)).boxed()
        })
        .has_to_be_ended(),
        Attack::new("b2-settings", "HTTP/2: SETTINGS without a pause", Crowd::Of(8), |attacker| {
            flood(attacker, frame(SETTINGS, 0, 0, &[]).repeat(BATCH)).boxed()
        })
        .has_to_be_ended(),
        Attack::new("b2-unknown", "HTTP/2: frames of an unknown type without a pause", Crowd::Of(8), |attacker| {
            flood(attacker, frame(UNKNOWN, 0, 0, &[0; 16]).repeat(BATCH)).boxed()
        })
        .has_to_be_ended(),
        Attack::new("b2-resets", "HTTP/2: streams opened and reset without a pause", Crowd::Of(8), |attacker| {
            rapid_resets(attacker).boxed()
        })
        .has_to_be_ended(),
        Attack::new("own-priorities", "HTTP/2: PRIORITY without a pause", Crowd::Of(8), |attacker| {
            flood(attacker, frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16]).repeat(BATCH)).boxed()
        })
        .has_to_be_ended(),
        Attack::new("own-table-sizes", "HTTP/2: the size of the header table changed without a pause", Crowd::Of(8), |attacker| {
            let change = [settings(&[(HEADER_TABLE_SIZE, 0)]), settings(&[(HEADER_TABLE_SIZE, 4096)])].concat();
            flood(attacker, change.repeat(BATCH / 2)).boxed()
        })
        .has_to_be_ended(),
        Attack::new("own-empty-data", "HTTP/2: empty DATA frames without a pause", Crowd::Of(8), |attacker| {
            after(attacker, |stream| begin_call(stream, "Check"), frame(DATA, 0, 1, &[]).repeat(BATCH)).boxed()
        })
        .has_to_be_ended(),
        Attack::new("own-continuations", "HTTP/2: headers continued without end", Crowd::Of(8), |attacker| {
            let begin = |stream| frame(HEADERS, END_STREAM, stream, &header_block(0x82, "/livez"));
            after(attacker, begin, frame(CONTINUATION, 0, 1, &literal("x-flood", &"a".repeat(1000))).repeat(16)).boxed()
        })
        .has_to_be_ended(),
        Attack::new("own-empty-continuations", "HTTP/2: empty CONTINUATION frames without end", Crowd::Of(8), |attacker| {
            let begin = |stream| frame(HEADERS, END_STREAM, stream, &header_block(0x82, "/livez"));
            after(attacker, begin, frame(CONTINUATION, 0, 1, &[]).repeat(BATCH)).boxed()
        })
        .has_to_be_ended(),
        Attack::new("own-header-lists", "HTTP/2: requests with 15 KiB of headers without a pause", Crowd::Of(64), |attacker| {
            large_header_lists(attacker).boxed()
        }),
    ]
}

/// The same frames without a pause.
async fn flood(attacker: Attacker, batch: Vec<u8>) -> Option<()> {
    Http2::open(&attacker, &[]).await?.flood(&batch).await
}

/// The same after a beginning on the first stream.
async fn after(attacker: Attacker, begin: fn(u32) -> Vec<u8>, batch: Vec<u8>) -> Option<()> {
    let mut connection = Http2::open(&attacker, &[]).await?;
    connection.send_on_new_streams(1, begin).await?;
    connection.flood(&batch).await
}

async fn rapid_resets(attacker: Attacker) -> Option<()> {
    let mut connection = Http2::open(&attacker, &[]).await?;
    loop {
        connection.send_on_new_streams(100, |stream| [get(stream, "/livez"), reset(stream)].concat()).await?;
        tokio::task::yield_now().await;
    }
}

async fn large_header_lists(attacker: Attacker) -> Option<()> {
    let mut block = header_block(0x82, "/livez");
    for number in 0..14 {
        block.extend(literal(&format!("x-large-{number}"), &"a".repeat(1000)));
    }
    let mut connection = Http2::open(&attacker, &[]).await?;
    loop {
        connection.send_on_new_streams(16, |stream| frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)).await?;
        connection.read_for(Duration::from_millis(5)).await?;
    }
}
