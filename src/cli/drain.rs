//! Draining while a file exists: how deployment scripts take a machine out of traffic without a token.

use crate::{
    config::Settings,
    engine::{Aggregator, Drainer},
};
use arc_swap::ArcSwap;
use std::{sync::Arc, time::Duration};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(500);

/// Looks for the file once.
pub(super) async fn look(aggregator: &Aggregator, settings: &ArcSwap<Settings>) {
    let path = settings.load().server.drain_file.clone();
    let exists = match path {
        Some(path) => spawn_blocking(move || path.try_exists()).await,
        None => Ok(Ok(false)),
    };
    // What cannot be known leaves all as it is.
    if let Ok(Ok(exists)) = exists {
        aggregator.want_drain(Drainer::File, exists);
    }
}

/// Looks for the file again and again; never ends.
pub(super) async fn follow(aggregator: Aggregator, settings: Arc<ArcSwap<Settings>>) {
    let mut looks = interval(LOOK);
    // One look at a time: on a mount that hangs, the next waits.
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        look(&aggregator, &settings).await;
    }
}
