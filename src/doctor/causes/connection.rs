//! The client gets no connection, no HTTP, or no complete response in time.

use super::explanation::{Context, Explanation, explanation};
use crate::{
    doctor::{poll::PollStep, result::ClientResult, trials::TrialPolls},
    pollers::PollerKind,
};
use allswell_checks::contract::{FailureClass, FailureDetail, TimeSpan};
use hyper::{StatusCode, header::HeaderValue};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::doctor) enum Connection {
    /// The connection fails: why.
    Unreachable(String),
    /// The server listens on another address of this machine.
    ListensElsewhere(SocketAddr),
    /// The packets that open a connection get no reply.
    PacketsDropped,
    /// The server closes the connection without a response.
    HangsUp,
    /// The response is not HTTP.
    NotHttp,
    /// The headers of the response are longer than a client accepts.
    HeadersTooLarge,
    /// The response to a gRPC call is not gRPC.
    NotGrpc,
    /// The server speaks only HTTP/2, or not HTTP/2 if the client requires it.
    HttpVersion,
    /// The headers arrive in time, the end of the body does not.
    EndlessBody,
    /// The connection closes before the end of the body.
    BrokenBody,
    /// No response within the client's timeout.
    Slow,
}

impl Connection {
    pub(super) async fn diagnose(result: &ClientResult, trials: &mut TrialPolls<'_>) -> Option<Self> {
        let failure = result.outcome.failure.as_ref()?;
        match (failure.class(), result.outcome.step) {
            (FailureClass::Timeout, PollStep::Connect) => Some(Self::PacketsDropped),
            (_, PollStep::Connect) => match other_listener(result.request.peer).await {
                Some(other) => Some(Self::ListensElsewhere(other)),
                None => Some(Self::Unreachable(failure.message().to_owned())),
            },
            (FailureClass::Timeout, PollStep::Body) => Some(Self::EndlessBody),
            (FailureClass::Timeout, _) => Some(Self::Slow),
            (_, PollStep::Body) => Some(Self::BrokenBody),
            _ if failure.detail() == Some(FailureDetail::NotGrpc) => Some(Self::NotGrpc),
            _ if failure.detail() == Some(FailureDetail::HeadersTooLarge) => Some(Self::HeadersTooLarge),
            _ if speaks_other_version(result, trials).await => Some(Self::HttpVersion),
            // A server may reject HTTP/1.0 by a response that is not HTTP/1.0.
            (FailureClass::Protocol, _) if !result.client.profile.http_1_0 => Some(Self::NotHttp),
            _ => None,
        }
    }

    /// The cause if there is no response, and no other family explains why.
    pub(super) fn without_response(result: &ClientResult) -> Self {
        match &result.outcome.failure {
            Some(failure) if failure.class() == FailureClass::Protocol => Self::NotHttp,
            _ => Self::HangsUp,
        }
    }

    pub(super) fn explain(&self, context: &Context<'_>) -> Explanation {
        let first = context.first();
        let address = context.target.address;
        match self {
            Self::Unreachable(why) => explanation(
                "unreachable",
                format!("Cannot connect to {address}"),
                why,
                [
                    "Start the server. If it listens on 127.0.0.1 only, a load balancer cannot reach it: let it listen on 0.0.0.0.",
                    "If the server is running, set the health check port to the port that it listens on.",
                ],
            ),
            Self::ListensElsewhere(other) => explanation(
                "listens_elsewhere",
                format!("The server accepts connections at {other}, but not at {address}"),
                format!("{address}: {}; {other} accepts connections", first.received()),
                ["Let the server listen on all addresses: `0.0.0.0`, and `::` for IPv6. Many frameworks listen on 127.0.0.1 unless they \
                     are given another host (`--host`, `--bind`, `HOST`)."],
            ),
            Self::PacketsDropped => explanation(
                "packets_dropped",
                format!("Connecting to {address} times out"),
                first.received(),
                if address.ip().is_loopback() {
                    vec!["The server listens but does not accept: it hangs, or its accept queue is full (`ss -ltn`: Recv-Q above Send-Q)."]
                } else {
                    vec![
                        "Open the firewall: the targets' security group must allow the health check port from the load balancer's \
                         security group. Then check network ACLs and the host's firewall.",
                        "On the server itself, check that the process accepts connections and that its accept queue is not full (`ss \
                         -ltn`: Recv-Q above Send-Q).",
                    ]
                },
            ),
            Self::HangsUp => explanation(
                "hangs_up",
                "The server closes the connection without a response",
                first.received(),
                ["Read the server's log for this moment. Common reasons: it expects the PROXY protocol, it rejects unknown Host \
                  headers (nginx: `return 444`), or it has no free workers."],
            ),
            Self::NotHttp => explanation(
                "not_http",
                "The port does not speak valid HTTP",
                first.received(),
                ["Check that this is the right port. If it is, the server's log shows what it sent."],
            ),
            Self::HeadersTooLarge => explanation(
                "headers_too_large",
                "The response headers are too large",
                "they have more than 64 KiB or more than 100 fields",
                [
                    "Send fewer and shorter headers at the health check path: usual reasons are cookies, debug output, and a header that a loop adds.",
                ],
            ),
            Self::NotGrpc => explanation(
                "not_grpc",
                "The server speaks HTTP/2, but its response is not gRPC",
                first.received(),
                ["Check that a gRPC service is registered at this path. allswell has one at the default path, /AWS.ALB/healthcheck."],
            ),
            Self::HttpVersion => {
                let (required, spoken) = if first.client.profile.http_2 { ("HTTP/2", "HTTP/1.1") } else { ("HTTP/1", "HTTP/2 only") };
                explanation(
                    "http_version",
                    format!("The server does not speak {required}"),
                    format!("it responds over {spoken}"),
                    [format!(
                        "Enable {required} on this port, or set the target group's ProtocolVersion to the version that the server speaks."
                    )],
                )
            }
            Self::EndlessBody => explanation(
                "endless_body",
                "The response headers arrive in time, but the body does not end",
                first.received(),
                ["Send Content-Length or the last chunk, or close the connection: the client waits for the end of the body."],
            ),
            Self::BrokenBody => explanation(
                "broken_body",
                "The response body is truncated",
                first.received(),
                ["Check that Content-Length is correct, and that neither the app nor a proxy in front of it crashes while it sends \
                  the body: read their logs."],
            ),
            Self::Slow => slow(context),
        }
    }
}

/// Bounds a connection within this machine.
const MAX_LOCAL_CONNECT: Duration = Duration::from_millis(500);

/// A loopback address that accepts connections on the port of an address, if that address is one of this machine's own.
async fn other_listener(address: SocketAddr) -> Option<SocketAddr> {
    // Only an address of this machine can be bound.
    UdpSocket::bind((address.ip(), 0)).ok()?;
    for loopback in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let other = SocketAddr::new(loopback, address.port());
        if other != address && timeout(MAX_LOCAL_CONNECT, TcpStream::connect(other)).await.is_ok_and(|connected| connected.is_ok()) {
            return Some(other);
        }
    }
    None
}

/// Whether the server responds to the other version of HTTP.
async fn speaks_other_version(result: &ClientResult, trials: &mut TrialPolls<'_>) -> bool {
    let mut other = result.request.clone();
    (other.profile.http_2, other.profile.http_1_0, other.profile.grpc) = (!result.client.profile.http_2, false, false);
    other.host.get_or_insert(HeaderValue::from_static("localhost"));
    trials.status(&other).await.is_some_and(|status| status != StatusCode::BAD_REQUEST)
}

fn slow(context: &Context<'_>) -> Explanation {
    let first = context.first();
    let fastest = context.all.iter().filter(|result| result.outcome.status().is_some()).map(|result| result.outcome.took).min();
    let longest = context.all.iter().map(|result| result.request.timeout()).max().unwrap_or_default();
    let evidence = match fastest {
        Some(took) => format!("{}; another client got a response after {}", first.received(), TimeSpan(took).whole_millis()),
        None => format!("no response within {}, the longest timeout of these clients", TimeSpan(longest)),
    };
    let setting = |result: &&ClientResult| match result.client.poller {
        PollerKind::Alb | PollerKind::Nlb => "HealthCheckTimeoutSeconds",
        PollerKind::ClassicElb => "the health check's Timeout",
        PollerKind::Route53 => "fixed at 2 s",
        PollerKind::Kubelet => "timeoutSeconds",
        PollerKind::Haproxy => "`timeout check`",
        PollerKind::Envoy | PollerKind::Consul => "the health check's timeout",
    };
    let settings: Vec<_> = context.affected.iter().map(|result| format!("{}: {}", result.client.label, setting(result))).collect();
    explanation(
        "slow",
        "The response takes longer than the health check timeout",
        evidence,
        [
            "Respond from memory: query databases and queues in the background, not during the request, as allswell does.",
            "Reserve a worker for health checks: a poll that queues behind users' requests fails under load.",
            &*format!("Raise the timeout, but keep it below the interval ({}).", settings.join("; ")),
        ],
    )
}
