//! What clients may take in all, and how it is fitted to the descriptors that the process may have.

use super::seats::spare;
use rustix::process::{Resource, getrlimit};
use std::time::Duration;

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most connections at a time.
    pub(crate) max_connections: usize,
    /// A request's head must be complete this long after its first byte.
    pub(crate) header_timeout: Duration,
    /// Before the first request of a connection and between two.
    pub(crate) idle_timeout: Duration,
    /// Every answer is known this long after its request.
    pub(crate) deadline: Duration,
}

impl Limits {
    /// Lowers the number of connections to what the descriptors allow besides the probes of so many components and `others`, and says so.
    pub(crate) fn fit(&mut self, components: usize, others: usize) {
        let wanted = self.max_connections;
        let Fit { connections, descriptors, reserve, is_too_small } = Fit::new(wanted, components * PER_COMPONENT + others);
        self.max_connections = connections;
        if is_too_small {
            tracing::warn!(
                descriptors,
                reserve,
                connections,
                "the limit of open files is too low for these checks, so probes may fail: raise it (LimitNOFILE= of a unit, ulimit -n)"
            );
        } else if connections < wanted {
            tracing::warn!(
                descriptors,
                reserve,
                connections,
                "server.max_connections is lowered from {wanted}: the limit of open files allows no more besides the probes"
            );
        }
    }
}

/// Descriptors for everything else: some twenty are open from the start on, and files, sockets and pipes are open for a moment.
const RESERVE: usize = 32;

/// Descriptors for the probes of a component: its connection, and one more while that is replaced.
const PER_COMPONENT: usize = 2;

/// Connections that are left when the descriptors are too few for everything.
const MIN_CONNECTIONS: usize = 8;

/// How the wanted number of connections fits into the limit of descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fit {
    connections: usize,
    /// The limit of the process.
    descriptors: usize,
    /// What is kept for the probes, files and the log.
    reserve: usize,
    /// Whether not even the reserve fits, so that probes may fail.
    is_too_small: bool,
}

impl Fit {
    /// Fits to this process.
    fn new(wanted: usize, others: usize) -> Self {
        let limit = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Self::to(limit, wanted, others)
    }

    fn to(descriptors: usize, wanted: usize, others: usize) -> Self {
        let reserve = RESERVE + others;
        let free = descriptors.saturating_sub(reserve);
        // What is left by the spare ones.
        let fitting = free.saturating_sub(spare(0)) / 9 * 8;
        let connections = wanted.min(fitting).max(MIN_CONNECTIONS.min(wanted));
        Self { connections, descriptors, reserve, is_too_small: fitting < MIN_CONNECTIONS.min(wanted) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_what_the_probes_leave() {
        let fit = |descriptors, wanted, others| Fit::to(descriptors, wanted, others);
        assert_eq!(fit(1 << 20, 1024, 20_000).connections, 1024);
        let small = fit(1024, 1024, 12);
        assert_eq!((small.reserve, small.connections, small.is_too_small), (44, 864, false));
        let tiny = fit(64, 1024, 40);
        assert_eq!((tiny.connections, tiny.is_too_small), (8, true));
        assert_eq!(fit(64, 2, 40).connections, 2, "never more than wanted");
    }
}
