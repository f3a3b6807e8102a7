//! `HAProxy`'s agent-check: one line for everyone who connects.

use super::Answers;
use crate::{dialect::haproxy_agent::line, engine::Aggregator, report::View};
use arc_swap::ArcSwap;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};

/// How many may be answered at a time; others wait in the listener's backlog.
const AT_ONCE: usize = 64;

/// How many are waited for to hang up; who comes beyond that is hung up on.
const LINGERING: usize = 64;

/// How many connections there are at most.
pub(crate) const MAX_CONNECTIONS: usize = AT_ONCE + LINGERING;

/// How long a peer may take to take its line in, and then to hang up.
const GOODBYE: Duration = Duration::from_secs(1);

/// Answers everyone who connects with the verdict, by the deadline after they did and with no more detail than everybody gets; never ends.
pub(crate) async fn serve(listener: TcpListener, aggregator: Aggregator, answers: Arc<ArcSwap<Answers>>) {
    let (seats, lingering) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Semaphore::new(LINGERING)));
    loop {
        // Never closed.
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        let Ok((mut stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Answers { deadline, detail, .. } = **answers.load();
        let (aggregator, lingering, until) = (aggregator.clone(), Arc::clone(&lingering), Instant::now() + deadline);
        tokio::spawn(async move {
            let report = aggregator.report_by(&View::Whole, until).await.unwrap_or_else(|| aggregator.report());
            let told = timeout(GOODBYE, tell(&mut stream, &line(&report, detail))).await;
            drop(seat);
            if let (Ok(Ok(())), Ok(_lingers)) = (told, lingering.try_acquire_owned()) {
                let _ = timeout(GOODBYE, hung_up(stream)).await;
            }
        });
    }
}

async fn tell(stream: &mut TcpStream, line: &str) -> io::Result<()> {
    stream.write_all(line.as_bytes()).await?;
    stream.shutdown().await
}

/// Waits until the peer has hung up: what it sent and nobody read would else reset the connection, and lose the line.
async fn hung_up(mut stream: TcpStream) -> io::Result<()> {
    let mut unread = [0; 256];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}
