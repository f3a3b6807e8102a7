//! What the connections have to know about the service: whether it drains, and whether it ends.

use std::{future::pending, time::Duration};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// The stage in the life of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    /// Clients are asked to use other connections for their next requests.
    Draining,
    /// There are no new connections.
    Ending,
}

/// How long a drain lasts before a client of HTTP/2 is asked to leave. Until then its `Watch` calls have got `NOT_SERVING`.
const GOAWAY_DELAY: Duration = Duration::from_millis(250);

/// How long to wait at most until a connection that could not be left is looked at again.
const MAX_RECHECK: Duration = Duration::from_secs(4);

/// How long an idle connection stays open at the end: a request may be on its way. It is longer than a round trip across a continent.
pub(super) const IDLE_GRACE: Duration = Duration::from_millis(200);

/// Waits until a connection should take no more requests. `may_leave`: its client may be asked to use another connection.
pub(super) async fn leave(stages: &mut watch::Receiver<Stage>, may_leave: impl Fn() -> bool) {
    let mut delay = GOAWAY_DELAY;
    loop {
        let stage = stages.wait_for(|stage| *stage != Stage::Open).await.map(|stage| *stage);
        match stage {
            Ok(Stage::Open) => {}
            Ok(Stage::Draining) => {
                let changed = timeout(delay, stages.wait_for(|stage| *stage != Stage::Draining)).await.is_ok();
                if !changed && may_leave() {
                    return;
                }
                // Seldom: a drain may last for days, and most connections are never left before its end.
                delay = MAX_RECHECK.min(delay * 2);
            }
            Ok(Stage::Ending) => return sleep(IDLE_GRACE).await,
            // The server has been dropped, and with it this connection.
            Err(_) => return pending().await,
        }
    }
}
