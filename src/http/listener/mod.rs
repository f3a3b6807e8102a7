//! The listener: accepts connections, bounds every resource that a client can hold, and decides which client loses it at the bound.
//!
//! The contract: a poll on a new connection gets its response, whatever any number of other clients do. `axum::serve` bounds nothing.
//!
//! | resource | bound | which client loses it |
//! | --- | --- | --- |
//! | connections (`connections`) | `server.max_connections`, three quarters of them for one address | half-sent requests, half-read responses, subscribers, idle connections, then the oldest |
//! | HTTP/2 streams (`activity`) | 100 for a connection, four of them in progress, and in total twice the number of connections | the connection that [`Connections`](connections::Connections) chooses among those with several streams |
//! | HTTP/2 frames (`frames`) | a rate, besides those that lead to responses | the connection, with `ENHANCE_YOUR_CALM` |
//! | TLS handshakes (`handshakes`) | 1,024 waiting, 256 of one address; one is computed at a time, and addresses take turns | the oldest waiting one of the address with most |
//! | rendered bodies ([`memory`](super::memory)) | `server.response_memory` | the connection that has been reading its response for longest |
//!
//! A new connection is always accepted; at the limit another one is closed for it. A wrong choice costs an honest client a connection, but no
//! rule can keep a poll out.

mod activity;
mod body;
mod connecting;
mod connections;
mod frames;
mod handshakes;
mod limits;
mod opening;
mod proxy_header;
mod refusal;
mod server;
mod serving;
mod stage;
mod stream;

pub(crate) use limits::Limits;
pub(crate) use server::Server;
