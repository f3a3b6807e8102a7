//! `HAProxy`'s agent check: one line for each connection.

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

/// The most connections that are served at a time; others wait in the listener's backlog.
const MAX_SERVED: usize = 64;

/// The most served connections that stay open until the client closes them. Beyond that we close them.
const MAX_LINGERING: usize = 64;

/// The most connections at a time.
pub(crate) const MAX_CONNECTIONS: usize = MAX_SERVED + MAX_LINGERING;

/// The time that a client has to receive its line, and the same again to close the connection.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends the verdict to every client that connects, by the deadline and with the level of detail of clients without the token. Never ends.
pub(crate) async fn serve(listener: TcpListener, aggregator: Aggregator, answers: Arc<ArcSwap<Answers>>) {
    let (served, lingering) = (Arc::new(Semaphore::new(MAX_SERVED)), Arc::new(Semaphore::new(MAX_LINGERING)));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&served).acquire_owned().await else { return };
        let Ok((mut stream, _)) = listener.accept().await else {
            // Most likely there are no more descriptors.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Answers { deadline, detail, .. } = **answers.load();
        let (aggregator, lingering, until) = (aggregator.clone(), Arc::clone(&lingering), Instant::now() + deadline);
        tokio::spawn(async move {
            let report = aggregator.report_by(&View::Whole, until).await.unwrap_or_else(|| aggregator.report());
            let sent = timeout(CLIENT_TIMEOUT, send(&mut stream, &line(&report, detail))).await;
            drop(permit);
            if let (Ok(Ok(())), Ok(_lingers)) = (sent, lingering.try_acquire_owned()) {
                let _ = timeout(CLIENT_TIMEOUT, closed_by_client(stream)).await;
            }
        });
    }
}

async fn send(stream: &mut TcpStream, line: &str) -> io::Result<()> {
    stream.write_all(line.as_bytes()).await?;
    stream.shutdown().await
}

/// Waits until the client has closed the connection. If we closed it with unread bytes, TCP would reset it and the client could lose the line.
async fn closed_by_client(mut stream: TcpStream) -> io::Result<()> {
    let mut unread = [0; 256];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}
