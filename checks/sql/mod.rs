//! What the SQL kinds share: queries and their errors, and for databases with a server also its connection, TLS and migrations.

mod client;
#[cfg(feature = "sql-server")]
pub(crate) mod migrations;
#[cfg(feature = "sql-server")]
pub(crate) mod server;

pub(crate) use client::{expect, failure, needs_query};
