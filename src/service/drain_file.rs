//! Drains while a file exists, so that deployment scripts can take a machine out of traffic without a token: `server.drain_file`.

use crate::{
    config::Settings,
    engine::{Aggregator, DrainReason},
};
use arc_swap::ArcSwap;
use std::{io, path::Path, sync::Arc, time::Duration};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

/// How often the service checks whether the file exists.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Checks once whether the file exists, and drains or stops draining.
pub(super) async fn check(aggregator: &Aggregator, settings: &ArcSwap<Settings>) {
    let path = settings.load().server.drain_file.clone();
    let exists = match path {
        Some(path) => spawn_blocking(move || exists(&path)).await,
        None => Ok(Ok(false)),
    };
    // If the answer is unknown, nothing changes.
    if let Ok(Ok(exists)) = exists {
        aggregator.set_drain(DrainReason::File, exists);
    }
}

/// Whether there is anything at a path, also a link that leads nowhere.
fn exists(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Checks again and again whether the file exists; never ends.
pub(super) async fn watch(aggregator: Aggregator, settings: Arc<ArcSwap<Settings>>) {
    let mut ticks = interval(CHECK_INTERVAL);
    // One check at a time: if the file system hangs, the next one waits.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        check(&aggregator, &settings).await;
    }
}
