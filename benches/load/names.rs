//! Very many components, asked for by name: gRPC's List and Watch, one component's path, and what a poll of `/livez` notices of them.

use crate::{
    crowd::Called,
    figures::{Figures, Shown},
    helpers::get,
    service::Service,
    start::tcp,
    table::tell,
    wrk::{Load, wrk},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    fmt::Write as _,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, runtime::Runtime, time::timeout};

const MANY: [u32; 3] = [1000, 4000, 10_000];
const ROUNDS: u32 = 7;
/// How many list at the same time while `/livez` is polled.
const LISTING: usize = 4;

/// How the cost of names grows with their number.
pub(crate) fn growth() -> String {
    let called = Called::new();
    let mut text = String::from(
        "| checks | gRPC `List` | `/livez` beside 4 that list, p50 | the slowest | `/health/NAME` p99 | processor with one `Watch` | without |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let runtime = Runtime::new().expect("a runtime");
    for checks in MANY {
        let service = Service::allswell(&tcp(0..checks, called.port));
        service.await_status(200);
        thread::sleep(Duration::from_secs(10));
        let lists: Figures = (0..ROUNDS)
            .map(|_| {
                let began = Instant::now();
                runtime.block_on(call(service.address, "List", Duration::from_secs(60)));
                began.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        let polls = polls_beside_lists(&runtime, service.address);
        let named = wrk(service.address, Load { path: "/health/tcp_1", connections: 1, ..Load::KEPT }).p99;
        let idle = share(&service);
        let watch = runtime.spawn(call(service.address, "Watch", Duration::from_secs(3600)));
        let watched = share(&service);
        watch.abort();
        let row = format!(
            "| {checks} | {} ms | {:.2} ms | {:.2} ms | {} | {:.1} % | {:.1} % |",
            lists.shown(1),
            polls.quantile(0.5),
            polls.quantile(1.0),
            Shown(named),
            watched * 100.0,
            idle * 100.0
        );
        tell(&row);
        let _ = writeln!(text, "{row}");
    }
    text
}

/// In milliseconds, how long polls of `/livez` take, each on a connection of its own, while others list all the time.
fn polls_beside_lists(runtime: &Runtime, address: SocketAddr) -> Figures {
    let listing: Vec<_> = (0..LISTING)
        .map(|_| {
            runtime.spawn(async move {
                loop {
                    call(address, "List", Duration::from_secs(60)).await;
                }
            })
        })
        .collect();
    let polls = (0..300).map(|_| {
        thread::sleep(Duration::from_millis(10));
        get(address, "/livez").took.as_secs_f64() * 1e3
    });
    let polls = polls.collect();
    listing.iter().for_each(tokio::task::JoinHandle::abort);
    polls
}

/// The share of a processor that a service takes for ten seconds.
fn share(service: &Service) -> f64 {
    let (before, began) = (service.processor_time(), Instant::now());
    thread::sleep(Duration::from_secs(10));
    service.processor_time().saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64()
}

/// Calls a method of the health service for everything, and reads what comes until it ends or for a time.
async fn call(address: SocketAddr, method: &'static str, time: Duration) {
    let stream = TcpStream::connect(address).await.expect("a connection");
    // Otherwise a frame waits for the acknowledgement of the one before.
    stream.set_nodelay(true).expect("an option");
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    let serving = tokio::spawn(connection);
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        // An empty message: the empty name is everything.
        .body(Full::new(Bytes::from_static(&[0; 5])))
        .expect("a request");
    let _ = timeout(time, async {
        let mut body = sender.send_request(request).await.expect("a response").into_body();
        let mut size = 0;
        while let Some(Ok(frame)) = body.frame().await {
            size += frame.data_ref().map_or(0, Bytes::len);
        }
        assert!(method != "List" || size > 1000, "a list of {size} bytes");
    })
    .await;
    serving.abort();
}
