//! What several kinds share on the network: addresses, connections, TLS, URLs, and the protocols that more than one kind speaks.
//!
//! A kind parses its URL by [`url`], keeps its keys for TLS in [`tls::TlsKeys`], opens a connection by [`connect::open`], and measures it by
//! [`meter`]; [`http1`], [`resp`] and [`amqp`] stand on these.

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
#[cfg(any(feature = "amqp", feature = "exchange", feature = "memcached", feature = "resp"))]
pub mod meter;
#[cfg(feature = "resp")]
pub(crate) mod resp;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "endpoint")]
pub(crate) mod url;
