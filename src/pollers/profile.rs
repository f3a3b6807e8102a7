//! What is known about each kind of poller: the request that it sends, the responses that it accepts, its timeout and its thresholds. The
//! facts come from the vendors' pages and sources.
//!
//! * AWS: <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html>, the same for
//!   [network](https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html) and
//!   [classic](https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/elb-healthchecks.html) load balancers, and
//!   [Route 53](https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html).
//! * Kubernetes: <https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/>, `pkg/probe/http`.
//! * `HAProxy`: <https://docs.haproxy.org/2.6/configuration.html#4-option%20httpchk>, and as captured from 2.6.12.
//! * Envoy: `envoy/config/core/v3/health_check.proto`. Consul: `agent/checks/check.go`.

use std::{borrow::Cow, fmt, ops::RangeInclusive, str::FromStr, time::Duration};

/// A kind of client that polls health endpoints and acts on the responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PollerKind {
    /// AWS Application Load Balancer.
    Alb,
    /// AWS Network Load Balancer with an HTTP health check.
    Nlb,
    /// AWS Classic Load Balancer.
    ClassicElb,
    /// AWS Route 53.
    Route53,
    /// Kubernetes, with an `httpGet` probe.
    Kubelet,
    /// `HAProxy`, with `option httpchk` and only a path.
    Haproxy,
    /// Envoy, and everything that is built on it.
    Envoy,
    /// Consul, with an HTTP check.
    Consul,
}

/// The header `Host` of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// None: HTTP/1.0 does not require one.
    Absent,
    /// The target's address and port.
    Target,
    /// The load balancer's own address and the port of its listener.
    Balancer,
    /// The host of the URL, with the port unless it is the scheme's default.
    Url,
    /// A name from the client's own configuration, such as that of a cluster.
    Cluster,
}

/// What a client does with a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectRule {
    /// It judges the status code like any other.
    Judged,
    /// It follows a redirect to the same host, and accepts one to another host as success.
    WithinHost,
    /// It follows the redirect.
    Followed,
}

/// The part of a response that a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponsePart {
    /// Status line and headers.
    Head,
    /// This many bytes of the body, or all of a shorter one.
    Bytes(usize),
    /// The whole body.
    Whole,
}

/// The status codes that a client accepts as success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuccessCodes(Cow<'static, [RangeInclusive<u16>]>);

impl SuccessCodes {
    const fn fixed(ranges: &'static [RangeInclusive<u16>]) -> Self {
        Self(Cow::Borrowed(ranges))
    }

    /// Whether a status code is one of them.
    #[must_use]
    pub fn contains(&self, code: u16) -> bool {
        self.0.iter().any(|range| range.contains(&code))
    }
}

/// Reads codes as AWS writes them in a matcher: `200`, `200,202`, `200-299`.
impl FromStr for SuccessCodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let code = |text: &str| text.trim().parse().ok();
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some(code(first)?..=code(last)?).filter(|range| !range.is_empty())
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        ranges.map(|ranges| Self(ranges.into())).ok_or_else(|| format!("`{text}` is not a list of status codes: write 200,202 or 200-299"))
    }
}

impl fmt::Display for SuccessCodes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            formatter.write_str(if index == 0 { "" } else { "," })?;
            if range.start() == range.end() {
                write!(formatter, "{}", range.start())?;
            } else {
                write!(formatter, "{}-{}", range.start(), range.end())?;
            }
        }
        Ok(())
    }
}

/// How a client polls by default.
#[derive(Clone, Debug)]
pub struct PollerProfile {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its name in a sentence, with its article if it needs one.
    pub title: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// Whether it sends HTTP/1.0; otherwise HTTP/1.1.
    pub http_1_0: bool,
    /// Whether it sends HTTP/2.
    pub http_2: bool,
    /// Whether it makes a gRPC call and judges the call's status.
    pub grpc: bool,
    /// The `Host` that it sends.
    pub host: HostHeader,
    /// The other headers that it sends, in this order.
    pub headers: &'static [(&'static str, &'static str)],
    /// The timeout for connecting, if there is a separate one.
    pub connect: Option<Duration>,
    /// The timeout for the rest, or for everything if connecting has no separate timeout.
    pub timeout: Duration,
    /// The same with HTTPS.
    pub timeout_tls: Duration,
    /// The part of a response that it waits for.
    pub awaited: ResponsePart,
    /// Whether a body must have a `Content-Length` or be chunked.
    pub framed: bool,
    /// The status codes that it accepts: those of HTTP or of gRPC.
    pub success: SuccessCodes,
    /// What it does with a redirect.
    pub redirects: RedirectRule,
    /// Whether it supports TLS 1.3.
    pub tls13: bool,
    /// Whether it sends the host of the URL in the TLS handshake (SNI).
    pub server_name: bool,
    /// Whether it verifies the certificate.
    pub verifies: bool,
    /// The time between two polls.
    pub interval: Duration,
    /// The number of successful polls in a row that make an unhealthy target healthy.
    pub healthy: u32,
    /// The number of failed polls in a row that make a healthy target unhealthy.
    pub unhealthy: u32,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const ONLY_200: SuccessCodes = SuccessCodes::fixed(&[200..=200]);
const FROM_200_TO_399: SuccessCodes = SuccessCodes::fixed(&[200..=399]);

/// What most kinds have in common.
const BASE_PROFILE: PollerProfile = PollerProfile {
    name: "",
    title: "",
    method: "GET",
    http_1_0: false,
    http_2: false,
    grpc: false,
    host: HostHeader::Target,
    headers: &[],
    connect: None,
    timeout: seconds(5),
    timeout_tls: seconds(5),
    awaited: ResponsePart::Whole,
    framed: false,
    success: ONLY_200,
    redirects: RedirectRule::Judged,
    tls13: true,
    server_name: false,
    verifies: false,
    interval: seconds(30),
    healthy: 5,
    unhealthy: 2,
};

impl PollerKind {
    /// Every kind, in the order in which the doctor reports them.
    pub const ALL: [Self; 8] =
        [Self::Alb, Self::Nlb, Self::ClassicElb, Self::Route53, Self::Kubelet, Self::Haproxy, Self::Envoy, Self::Consul];

    /// The kind of poller that sends requests with this user agent, method and version. An NLB has the user agent of an ALB, and counts as one.
    #[must_use]
    pub fn recognize(agent: &[u8], method: &str, http_1_0: bool) -> Option<Self> {
        const AGENT_PREFIXES: [(&[u8], PollerKind); 7] = [
            (b"ELB-HealthChecker/1.", PollerKind::ClassicElb),
            (b"ELB-HealthChecker/", PollerKind::Alb),
            (b"Amazon-Route53-Health-Check-Service", PollerKind::Route53),
            (b"Amazon Route 53 Health Check Service", PollerKind::Route53),
            (b"kube-probe/", PollerKind::Kubelet),
            (b"Envoy/HC", PollerKind::Envoy),
            (b"Consul Health Check", PollerKind::Consul),
        ];
        match AGENT_PREFIXES.iter().find(|(prefix, _)| agent.starts_with(prefix)) {
            Some((_, kind)) => Some(*kind),
            // HAProxy sends no user agent, and no other client sends such requests.
            None if agent.is_empty() && (http_1_0 || method == "OPTIONS") => Some(Self::Haproxy),
            None => None,
        }
    }

    /// Whether it distributes traffic; the others only watch.
    #[must_use]
    pub const fn is_balancer(self) -> bool {
        !matches!(self, Self::Kubelet | Self::Consul | Self::Route53)
    }

    /// Its name, as on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.profile().name
    }

    /// How it polls by default.
    #[must_use]
    pub fn profile(self) -> PollerProfile {
        match self {
            // As captured by tcpdump on a target. Its health checks use TLS 1.2 unless the listener has a policy with 1.3.
            Self::Alb => PollerProfile {
                name: "alb",
                title: "an ALB",
                headers: &[("Connection", "close"), ("User-Agent", "ELB-HealthChecker/2.0"), ("Accept-Encoding", "gzip, compressed")],
                tls13: false,
                ..BASE_PROFILE
            },
            Self::Nlb => PollerProfile {
                name: "nlb",
                title: "an NLB",
                host: HostHeader::Balancer,
                headers: &[("Connection", "close"), ("User-Agent", "ELB-HealthChecker/2.0")],
                timeout: seconds(6),
                timeout_tls: seconds(10),
                success: FROM_200_TO_399,
                tls13: false,
                ..BASE_PROFILE
            },
            Self::ClassicElb => PollerProfile {
                name: "classic-elb",
                title: "a classic ELB",
                headers: &[("User-Agent", "ELB-HealthChecker/1.0"), ("Accept", "*/*"), ("Connection", "keep-alive")],
                framed: true,
                tls13: false,
                healthy: 10,
                ..BASE_PROFILE
            },
            // It connects within 4 s and waits 2 s for status line and headers; it reads a body only if it searches for a string.
            Self::Route53 => PollerProfile {
                name: "route53",
                title: "Route 53",
                host: HostHeader::Url,
                headers: &[
                    (
                        "User-Agent",
                        "Amazon-Route53-Health-Check-Service (ref 00000000-0000-0000-0000-000000000000; report http://amzn.to/1vsZADi)",
                    ),
                    ("Accept", "*/*"),
                    ("Accept-Encoding", "*"),
                ],
                connect: Some(seconds(4)),
                timeout: seconds(2),
                timeout_tls: seconds(2),
                awaited: ResponsePart::Head,
                success: FROM_200_TO_399,
                // From the reference of its API; another page of the vendor names no upper end.
                tls13: false,
                server_name: true,
                healthy: 3,
                unhealthy: 3,
                ..BASE_PROFILE
            },
            Self::Kubelet => PollerProfile {
                name: "kubelet",
                title: "the kubelet",
                headers: &[("User-Agent", "kube-probe/1.35"), ("Accept", "*/*"), ("Connection", "close")],
                timeout: seconds(1),
                timeout_tls: seconds(1),
                awaited: ResponsePart::Bytes(10 * 1024),
                success: FROM_200_TO_399,
                redirects: RedirectRule::WithinHost,
                interval: seconds(10),
                healthy: 1,
                unhealthy: 3,
                ..BASE_PROFILE
            },
            // Without `timeout check`, `inter` is also the timeout.
            Self::Haproxy => PollerProfile {
                name: "haproxy",
                title: "HAProxy",
                method: "OPTIONS",
                http_1_0: true,
                host: HostHeader::Absent,
                timeout: seconds(2),
                timeout_tls: seconds(2),
                awaited: ResponsePart::Head,
                success: FROM_200_TO_399,
                interval: seconds(2),
                healthy: 2,
                unhealthy: 3,
                ..BASE_PROFILE
            },
            // Timeout, interval and thresholds have no defaults: these are from its examples.
            Self::Envoy => PollerProfile {
                name: "envoy",
                title: "Envoy",
                host: HostHeader::Cluster,
                headers: &[("User-Agent", "Envoy/HC")],
                timeout: seconds(1),
                timeout_tls: seconds(1),
                interval: seconds(10),
                healthy: 2,
                // An unexpected status code fails the target at once, whatever the threshold is.
                unhealthy: 1,
                ..BASE_PROFILE
            },
            Self::Consul => PollerProfile {
                name: "consul",
                title: "Consul",
                host: HostHeader::Url,
                headers: &[
                    ("User-Agent", "Consul Health Check"),
                    ("Accept", "text/plain, text/*, */*"),
                    ("Accept-Encoding", "gzip"),
                    ("Connection", "close"),
                ],
                timeout: seconds(10),
                timeout_tls: seconds(10),
                // It reads the body for its log; only the status code decides.
                awaited: ResponsePart::Head,
                success: SuccessCodes::fixed(&[200..=299, 429..=429]),
                redirects: RedirectRule::Followed,
                server_name: true,
                verifies: true,
                interval: seconds(10),
                healthy: 1,
                unhealthy: 1,
                ..BASE_PROFILE
            },
        }
    }
}

impl fmt::Display for PollerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for PollerKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text.trim())
            .ok_or_else(|| format!("unknown client `{text}`: write one of {}", known()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_parsed_back_to_its_kind() {
        for kind in PollerKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        let error = "elb".parse::<PollerKind>().expect_err("no such client");
        assert_eq!(error, "unknown client `elb`: write one of alb, nlb, classic-elb, route53, kubelet, haproxy, envoy, consul");
    }

    #[test]
    fn status_codes_are_parsed_as_aws_writes_them() {
        for (text, good, bad) in [("200", 200, 201), ("200,202", 202, 201), ("200-299,301", 301, 300), (" 0 - 99 ", 12, 100)] {
            let codes: SuccessCodes = text.parse().expect(text);
            assert!(codes.contains(good) && !codes.contains(bad), "{text}");
            assert_eq!(codes.to_string(), text.replace(' ', ""));
        }
        for wrong in ["", "2xx", "299-200", "200,", "200-"] {
            assert!(wrong.parse::<SuccessCodes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn pollers_are_recognized_by_their_requests() {
        for kind in PollerKind::ALL {
            let profile = kind.profile();
            let agent = profile.headers.iter().find(|(name, _)| *name == "User-Agent").map_or("", |(_, agent)| agent);
            let expected = if kind == PollerKind::Nlb { PollerKind::Alb } else { kind };
            assert_eq!(PollerKind::recognize(agent.as_bytes(), profile.method, profile.http_1_0), Some(expected), "{kind}");
        }
        assert_eq!(PollerKind::recognize(b"", "HEAD", true), Some(PollerKind::Haproxy));
        for (agent, http_1_0) in [(&b"curl/8.5"[..], true), (b"", false), (b"xELB-HealthChecker/2.0", false)] {
            assert_eq!(PollerKind::recognize(agent, "GET", http_1_0), None);
        }
    }

    #[test]
    fn every_poller_accepts_200_and_rejects_500() {
        assert!(PollerKind::ALL.into_iter().all(|kind| kind.profile().success.contains(200) && !kind.profile().success.contains(500)));
    }
}
