//! Load: the effect of many pollers and misbehaving clients on the polls of a load balancer, on backends, and on memory.

use super::{NOISE, is_full, table::print_lines, trial::Resources};
use crate::{
    helpers::{Allswell, get},
    servers::hostile::Hostile,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
    time::{sleep, timeout},
};

/// The deadline of a response.
const DEADLINE: Duration = Duration::from_millis(800);
const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

/// What each client repeats until the time is over.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Polls as fast as possible on a kept connection.
    Polls,
    /// Connects and disconnects.
    Drops,
    /// Sends requests and does not read.
    SlowReader,
    /// Sends a request byte by byte.
    SlowWriter,
    /// Sends a thousand requests at once.
    Pipelines,
    /// Sends endless headers.
    Headers,
    /// Sends an endless URL.
    LongUrl,
}

#[test]
fn polls_of_a_load_balancer_are_answered_under_load() {
    raise_descriptor_limit();
    let backend = Hostile::silent();
    let service = Allswell::start(&format!(
        "[server]\nmax_connections = 2048\n[defaults]\ninterval = \"1h\"\n[checks.backend]\nkind = \"tcp\"\naddress = \"{}\"\n[checks.memory]\nkind = \"memory\"\n",
        backend.address
    ));
    service.await_report("/health", "the component passes", |report| report.status == 200);
    let runtime = Runtime::new().expect("a runtime");
    let lasts = Duration::from_secs(if is_full() { 20 } else { 3 });
    let before = Resources::by(service.pid());
    let mut lines = String::new();
    for (what, crowd, manners) in [
        ("pollers that keep their connections", 1000, Behaviour::Polls),
        ("connections opened and dropped, 10,000 and more", 200, Behaviour::Drops),
        ("clients that do not read responses", 1000, Behaviour::SlowReader),
        ("clients that send one byte at a time", 1000, Behaviour::SlowWriter),
        ("floods of a thousand requests at once", 100, Behaviour::Pipelines),
        ("floods of headers", 100, Behaviour::Headers),
        ("endless URLs", 100, Behaviour::LongUrl),
    ] {
        let crowd_of = runtime.spawn(misbehave(service.address, crowd, manners, lasts));
        let (mut polls, mut slowest) = (0, Duration::ZERO);
        let start = Instant::now();
        while start.elapsed() < lasts {
            let poll = get(service.address, "/health");
            assert_eq!(poll.status, 200, "{what}: {}", poll.text);
            slowest = slowest.max(poll.took);
            polls += 1;
            std::thread::sleep(Duration::from_millis(50));
        }
        let done = runtime.block_on(crowd_of).expect("no panic");
        assert!(polls > 0 && slowest < DEADLINE + NOISE, "{what}: the slowest of {polls} polls took {slowest:?}");
        let resident = Resources::by(service.pid()).mebibytes();
        assert!(resident < 192, "{what}: {resident} MiB");
        let enough = if matches!(manners, Behaviour::Drops) && is_full() { 10_000 } else { 1 };
        assert!(done >= enough, "{what}: {done} repetitions");
        lines += &format!("| {crowd} {what} | {done} | {polls} | {:.0} ms | {resident} MiB |\n", slowest.as_secs_f64() * 1e3);
    }
    assert_eq!(backend.accepted(), 1, "not one probe more");
    crate::helpers::eventually("all resources are released", || Resources::by(service.pid()).gave_back(before).then_some(()));
    print_lines("8-load", &lines);
}

/// The connections of all clients, and a few more.
pub(crate) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("a limit");
}

/// Returns how often the clients did it altogether.
async fn misbehave(address: SocketAddr, crowd: usize, manners: Behaviour, lasts: Duration) -> usize {
    let mut everybody = JoinSet::new();
    for _ in 0..crowd {
        everybody.spawn(async move {
            let (start, mut done) = (Instant::now(), 0);
            while start.elapsed() < lasts {
                let left = lasts.saturating_sub(start.elapsed());
                // A client that is refused tries again.
                match timeout(left, once(address, manners)).await {
                    Ok(Some(times)) => done += times,
                    Ok(None) => sleep(Duration::from_millis(20)).await,
                    Err(_) => done += 1,
                }
            }
            done
        });
    }
    everybody.join_all().await.into_iter().sum()
}

async fn once(address: SocketAddr, manners: Behaviour) -> Option<usize> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    match manners {
        Behaviour::Polls => {
            let mut answer = [0; 4096];
            for times in 0..100 {
                stream.write_all(REQUEST).await.ok()?;
                if stream.read(&mut answer).await.ok()? == 0 {
                    return Some(times);
                }
            }
            return Some(100);
        }
        Behaviour::Drops => {
            sleep(Duration::from_millis(1)).await;
        }
        Behaviour::SlowReader => {
            // Until the send buffer is full.
            while timeout(Duration::from_millis(200), stream.write_all(REQUEST)).await.ok()?.is_ok() {}
        }
        Behaviour::SlowWriter => {
            for byte in REQUEST {
                stream.write_all(&[*byte]).await.ok()?;
                sleep(Duration::from_millis(100)).await;
            }
        }
        Behaviour::Pipelines => {
            stream.write_all(&REQUEST.repeat(1000)).await.ok()?;
            sleep(Duration::from_millis(50)).await;
        }
        Behaviour::Headers => {
            stream.write_all(b"GET /health HTTP/1.1\r\n").await.ok()?;
            while stream.write_all(b"X-Flood: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").await.is_ok() {}
        }
        Behaviour::LongUrl => {
            stream.write_all(b"GET /").await.ok()?;
            while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
        }
    }
    Some(1)
}
