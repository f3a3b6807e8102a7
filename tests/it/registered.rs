//! Lists of kinds for tests of "every kind", derived from the registry: a new kind is tested without being listed anywhere.

use allswell::Registry;
use allswell_checks::contract::Category;
use serde_json::Value;

/// The names of the kinds that a predicate selects by schema and category.
fn names(select: impl Fn(&Value, Category) -> bool) -> Vec<&'static str> {
    Registry::builtin().kinds().filter(|kind| select(&kind.schema, kind.category)).map(|kind| kind.name).collect()
}

/// Whether the schema of a kind has a key.
pub(crate) fn has_key(schema: &Value, key: &str) -> bool {
    schema["properties"][key].is_object()
}

fn opens_connections(schema: &Value) -> bool {
    ["url", "address", "endpoint", "broker"].iter().any(|key| has_key(schema, key))
}

/// Kinds that open connections: they have a key for an address.
pub(crate) fn networked_kinds() -> Vec<&'static str> {
    names(|schema, _| opens_connections(schema))
}

/// Networked kinds with a server of their own, and so a compose service: all but `tcp`, which accepts any server.
pub(crate) fn kinds_with_own_server() -> Vec<&'static str> {
    names(|schema, _| opens_connections(schema) && !has_key(schema, "expect_banner"))
}

/// Networked kinds whose test servers are processes. Those of object storages run within the test process.
pub(crate) fn kinds_with_server_process() -> Vec<&'static str> {
    names(|schema, category| opens_connections(schema) && category != Category::Storage)
}

/// Kinds whose replies we or their drivers parse. Object storages reply by HTTP, and `tcp` reads a banner only.
pub(crate) fn kinds_with_own_protocol() -> Vec<&'static str> {
    names(|schema, category| opens_connections(schema) && category != Category::Storage && !has_key(schema, "expect_banner"))
}

/// Whether the server of a kind sends the first bytes of a connection.
pub(crate) fn speaks_first(kind: &str) -> bool {
    Registry::builtin().get(kind).is_some_and(|kind| kind.speaks_first)
}
