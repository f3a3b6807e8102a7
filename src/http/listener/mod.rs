//! The listener: accepts connections, bounds everything that a client can hold, and decides who loses it when there is too little.
//!
//! `axum::serve` bounds none of this. The contract: whatever any number of other clients do, a poll on a new connection is answered.
//!
//! | resource | bound | who loses it |
//! | --- | --- | --- |
//! | connections (`seats`) | `server.max_connections`, three quarters of them for one address | half-sent requests, half-read answers, subscribers, idle connections, then the oldest |
//! | HTTP/2 streams (`activity`) | 100 for a connection, four of them at work, and twice as many as connections in total | the connection that [`Seats`](seats::Seats) chooses among those with several streams |
//! | HTTP/2 frames (`frames`) | a rate beyond the answers that they lead to | the connection, with `ENHANCE_YOUR_CALM` |
//! | TLS handshakes (`handshakes`) | 1,024 that wait, 256 of one address; one computed at a time, addresses in turn | the oldest that waits, of the address with most |
//! | rendered bodies ([`memory`](super::memory)) | `server.response_memory` | the connection that has read its answer for longest |
//!
//! A new connection is always accepted, and another one is closed for it. A wrong choice costs an honest client a
//! connection, but no rule can keep a poll out.

mod activity;
mod body;
mod frames;
mod handshakes;
mod limits;
mod seats;
mod server;
mod stream;

pub(crate) use limits::Limits;
pub(crate) use server::Server;
