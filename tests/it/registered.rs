//! Lists of kinds for tests of "every kind", derived from the registry: a new kind is tested without being listed anywhere.

use allswell::registry::{Kind, Registry};
use allswell_checks::contract::Category;

fn names(select: impl Fn(&Kind) -> bool) -> Vec<&'static str> {
    Registry::builtin().kinds().filter(|kind| select(kind)).map(|kind| kind.name).collect()
}

/// Whether a kind has a key.
pub(crate) fn has_key(kind: &Kind, key: &str) -> bool {
    kind.schema["properties"][key].is_object()
}

fn opens_connections(kind: &Kind) -> bool {
    ["url", "address", "endpoint", "broker"].iter().any(|key| has_key(kind, key))
}

/// Kinds that open connections: they have a key for an address.
pub(crate) fn networked_kinds() -> Vec<&'static str> {
    names(opens_connections)
}

/// Networked kinds with a server of their own, and so a compose service: all but `tcp`, which accepts any server.
pub(crate) fn kinds_with_own_server() -> Vec<&'static str> {
    names(|kind| opens_connections(kind) && !has_key(kind, "expect_banner"))
}

/// Networked kinds whose test servers are processes. Those of object storages run within the test process.
pub(crate) fn kinds_with_server_process() -> Vec<&'static str> {
    names(|kind| opens_connections(kind) && kind.category != Category::Storage)
}

/// Kinds whose replies we or their drivers parse. Object storages reply by HTTP, and `tcp` reads a banner only.
pub(crate) fn kinds_with_own_protocol() -> Vec<&'static str> {
    names(|kind| opens_connections(kind) && kind.category != Category::Storage && !has_key(kind, "expect_banner"))
}

/// Kinds whose server sends the first bytes. The only list of kinds that is not derived from the registry.
pub(crate) fn speaks_first(kind: &str) -> bool {
    ["mysql", "tcp"].contains(&kind)
}
