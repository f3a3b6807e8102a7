//! Measures requests that name components, with up to ten thousand of them: gRPC's List and Watch, the path of one component, and the latency of
//! `/livez` at the same time.

use crate::{
    crowd::ConnectionLog,
    figures::{Figures, HumanDuration},
    helpers::get,
    service::Service,
    start::tcp,
    table::print_line,
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

const NUMBERS_OF_CHECKS: [u32; 3] = [1000, 4000, 10_000];
const ROUNDS: u32 = 7;
/// The number of clients that call List in a loop while `/livez` is polled.
const LISTING_CLIENTS: usize = 4;

/// A table of the cost by number of checks.
pub(crate) fn growth() -> String {
    let server = ConnectionLog::new();
    let mut text = String::from(
        "| checks | gRPC `List` | `/livez` p50 while 4 clients list | slowest | `/health/NAME` p99 | processor with one `Watch` | without |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let runtime = Runtime::new().expect("a runtime");
    for checks in NUMBERS_OF_CHECKS {
        let service = Service::allswell(&tcp(0..checks, server.port));
        service.await_status(200);
        thread::sleep(Duration::from_secs(10));
        let lists: Figures = (0..ROUNDS)
            .map(|_| {
                let began = Instant::now();
                runtime.block_on(call(service.address, "List", Duration::from_secs(60)));
                began.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        let polls = latency_during_lists(&runtime, service.address);
        let named = wrk(service.address, Load { path: "/health/tcp_1", connections: 1, ..Load::KEPT }).p99;
        let idle = processor_share(&service);
        let watch = runtime.spawn(call(service.address, "Watch", Duration::from_secs(3600)));
        let watched = processor_share(&service);
        watch.abort();
        let row = format!(
            "| {checks} | {} ms | {:.2} ms | {:.2} ms | {} | {:.1} % | {:.1} % |",
            lists.to_text(1),
            polls.quantile(0.5),
            polls.quantile(1.0),
            HumanDuration(named),
            watched * 100.0,
            idle * 100.0
        );
        print_line(&row);
        let _ = writeln!(text, "{row}");
    }
    text
}

/// The latencies of `/livez` in milliseconds, each poll on a new connection, while other clients call List in a loop.
fn latency_during_lists(runtime: &Runtime, address: SocketAddr) -> Figures {
    let listing: Vec<_> = (0..LISTING_CLIENTS)
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

/// The share of a processor that a service uses, measured for ten seconds.
fn processor_share(service: &Service) -> f64 {
    let (before, began) = (service.processor_time(), Instant::now());
    thread::sleep(Duration::from_secs(10));
    service.processor_time().saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64()
}

/// Calls a method of gRPC's health service for all components, and reads the response until it ends or `time` has passed.
async fn call(address: SocketAddr, method: &'static str, time: Duration) {
    let stream = TcpStream::connect(address).await.expect("a connection");
    // Otherwise Nagle's algorithm delays a frame until the previous one is acknowledged.
    stream.set_nodelay(true).expect("an option");
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    let serving = tokio::spawn(connection);
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        // An empty message: the empty name stands for all components.
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
