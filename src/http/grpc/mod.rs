//! gRPC: the service `grpc.health.v1.Health`, and the path that an Application Load Balancer polls by default.
//!
//! `service` serves the calls by the same rules as the HTTP paths; `messages` encodes and decodes the three messages of the protocol, which
//! are so small that no library is needed.
//!
//! * The service: <https://github.com/grpc/grpc-proto/blob/master/grpc/health/v1/health.proto>
//! * The frames: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

pub(super) mod messages;
mod service;

pub(super) use service::{alb, serve};
