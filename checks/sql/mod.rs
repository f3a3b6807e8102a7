//! What the SQL kinds share: queries and their errors. For databases with a server, also the statements about it, TLS and migrations.
//!
//! A kind classifies error codes and passes that to `failure`; a kind with a server runs `server::SqlQueries` with its own
//! `server::SqlServer`.

mod client;
#[cfg(feature = "sql-server")]
pub(crate) mod migrations;
#[cfg(feature = "sql-server")]
pub(crate) mod server;
#[cfg(feature = "sql-server")]
pub(crate) mod variables;

#[cfg(feature = "sql-server")]
pub(crate) use client::no_row;
pub(crate) use client::{expect, failure, needs_query};
