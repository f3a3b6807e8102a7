//! What several kinds share on the network: addresses, connections, TLS, URLs, and protocols that more than one kind speaks.
//!
//! A kind parses its URL with `url`, keeps its TLS keys in [`tls::TlsKeys`], opens a connection with [`connect::open`] and limits what it
//! reads with [`meter`]. `resp` and `amqp` do all of this for their protocols; [`http1`] drives hyper without a task of its own. `race` tries several servers,
//! and `optional` decides when to ask a question that the verdict does not need. Nothing here knows a kind.

#[cfg(feature = "net")]
pub mod address;
#[cfg(feature = "amqp")]
pub(crate) mod amqp;
#[cfg(any(feature = "memcached", feature = "tls"))]
mod cause;
#[cfg(all(feature = "net", feature = "tls"))]
pub mod connect;
#[cfg(feature = "exchange")]
pub mod http1;
#[cfg(feature = "exchange")]
pub mod http_symptoms;
#[cfg(any(feature = "amqp", feature = "exchange", feature = "memcached", feature = "resp", feature = "sql-server"))]
pub mod meter;
#[cfg(any(feature = "memcached", feature = "redis"))]
pub(crate) mod optional;
#[cfg(feature = "net")]
pub(crate) mod race;
#[cfg(feature = "resp")]
pub(crate) mod resp;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "endpoint")]
pub(crate) mod url;
#[cfg(any(feature = "memcached", feature = "rabbitmq", feature = "redis", feature = "sql-server"))]
pub(crate) mod variables;
