//! The limits for all clients together, and how the number of connections is adapted to the limit of open files.

use super::connections::spare;
use rustix::process::{Resource, getrlimit};
use std::time::Duration;

/// The limits for all clients together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most connections at a time.
    pub(crate) max_connections: usize,
    /// A request's head must be complete this long after its first byte.
    pub(crate) header_timeout: Duration,
    /// A connection is closed after this time without a request.
    pub(crate) idle_timeout: Duration,
    /// A response leaves at most this long after its request.
    pub(crate) deadline: Duration,
    /// Whether the header of the PROXY protocol is read at the start of a connection.
    pub(crate) reads_proxy_header: bool,
}

impl Limits {
    /// Lowers the number of connections to what the limit of open files allows besides the probes of `components` components and `others` other
    /// descriptors, and logs that.
    pub(crate) fn fit(&mut self, components: usize, others: usize) {
        let configured = self.max_connections;
        let DescriptorFit { connections, descriptors, reserve, is_too_small } =
            DescriptorFit::new(configured, components * DESCRIPTORS_PER_COMPONENT + others);
        self.max_connections = connections;
        if is_too_small {
            tracing::warn!(
                descriptors,
                reserve,
                connections,
                "the limit of open files is too low for these checks, so probes may fail: raise it with LimitNOFILE= or ulimit -n"
            );
        } else if connections < configured {
            tracing::warn!(
                descriptors,
                reserve,
                connections,
                "server.max_connections is lowered from {configured}: the limit of open files allows no more besides the probes"
            );
        }
    }
}

/// Descriptors for all other files: about twenty are open from the start, and files, sockets and pipes are opened for a short time.
const RESERVED_DESCRIPTORS: usize = 32;

/// Descriptors for the probes of a component: its connection, and one more while that is replaced.
const DESCRIPTORS_PER_COMPONENT: usize = 2;

/// The number of connections if there are too few descriptors for everything.
const MIN_CONNECTIONS: usize = 8;

/// How the configured number of connections fits into the limit of descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DescriptorFit {
    connections: usize,
    /// The limit of the process.
    descriptors: usize,
    /// The number that is reserved for probes, files and the log.
    reserve: usize,
    /// Whether not even the reserve fits, so that probes may fail.
    is_too_small: bool,
}

impl DescriptorFit {
    /// For the limit of this process.
    fn new(configured: usize, others: usize) -> Self {
        let limit = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Self::within(limit, configured, others)
    }

    fn within(descriptors: usize, configured: usize, others: usize) -> Self {
        let reserve = RESERVED_DESCRIPTORS + others;
        let free = descriptors.saturating_sub(reserve);
        // Without the spare ones.
        let fitting = free.saturating_sub(spare(0)) / 9 * 8;
        let connections = configured.min(fitting).max(MIN_CONNECTIONS.min(configured));
        Self { connections, descriptors, reserve, is_too_small: fitting < MIN_CONNECTIONS.min(configured) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_get_the_descriptors_that_probes_do_not_need() {
        let fit = |descriptors, configured, others| DescriptorFit::within(descriptors, configured, others);
        assert_eq!(fit(1 << 20, 1024, 20_000).connections, 1024);
        let small = fit(1024, 1024, 12);
        assert_eq!((small.reserve, small.connections, small.is_too_small), (44, 864, false));
        let tiny = fit(64, 1024, 40);
        assert_eq!((tiny.connections, tiny.is_too_small), (8, true));
        assert_eq!(fit(64, 2, 40).connections, 2, "never more than configured");
    }
}
