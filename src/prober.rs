//! Those that poll health endpoints: how they ask, and what they take for an answer. Facts from their vendors' pages and sources.
//!
//! * AWS: <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html>, the same for
//!   [network](https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html) and
//!   [classic](https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/elb-healthchecks.html) load balancers, and
//!   [Route 53](https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html).
//! * Kubernetes: <https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/>, `pkg/probe/http`.
//! * `HAProxy`: <https://docs.haproxy.org/2.6/configuration.html#4-option%20httpchk>, and as captured from 2.6.12.
//! * Envoy: `envoy/config/core/v3/health_check.proto`. Consul: `agent/checks/check.go`.

use std::{borrow::Cow, fmt, ops::RangeInclusive, str::FromStr, time::Duration};

/// A client that polls, and acts on what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prober {
    /// AWS Application Load Balancer.
    Alb,
    /// AWS Network Load Balancer with an HTTP health check.
    Nlb,
    /// AWS Classic Load Balancer.
    ClassicElb,
    /// AWS Route 53.
    Route53,
    /// Kubernetes, by `httpGet`.
    Kubelet,
    /// `HAProxy`, by `option httpchk` with nothing but a path.
    Haproxy,
    /// Envoy, and what is made of it.
    Envoy,
    /// Consul, by an HTTP check.
    Consul,
}

/// Which `Host` a request bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// None: HTTP/1.0 asks for none.
    Absent,
    /// The target's address and port.
    Target,
    /// The load balancer's own address and the port of its listener.
    Balancer,
    /// What stands in the URL; the port only where it is not the scheme's own.
    Url,
    /// A name of the client's own configuration, such as a cluster's.
    Cluster,
}

/// What a client does with a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// It judges the status as any other.
    Judged,
    /// It follows within the same host, and takes any other for good.
    WithinHost,
    /// It follows.
    Followed,
}

/// How much of a body a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The head is enough.
    Head,
    /// So many bytes, or the end.
    Bytes(usize),
    /// All of it.
    Whole,
}

/// Status codes, as ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes(Cow<'static, [RangeInclusive<u16>]>);

impl Codes {
    const fn fixed(ranges: &'static [RangeInclusive<u16>]) -> Self {
        Self(Cow::Borrowed(ranges))
    }

    /// Whether a code is among them.
    #[must_use]
    pub fn contain(&self, code: u16) -> bool {
        self.0.iter().any(|range| range.contains(&code))
    }
}

/// As an AWS matcher has them: `200`, `200,202`, `200-299`.
impl FromStr for Codes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let code = |text: &str| text.trim().parse().ok();
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some(code(first)?..=code(last)?).filter(|range| !range.is_empty())
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        ranges.map(|ranges| Self(ranges.into())).ok_or_else(|| format!("`{text}` is no list of codes, such as 200,202 or 200-299"))
    }
}

impl fmt::Display for Codes {
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

/// How a client polls unless it is told otherwise.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its name in a sentence, with an article where it has one.
    pub title: &'static str,
    /// The method.
    pub method: &'static str,
    /// Whether it speaks HTTP/1.0; if not, HTTP/1.1.
    pub http_1_0: bool,
    /// Whether it speaks HTTP/2.
    pub http_2: bool,
    /// Whether it makes a gRPC call, by HTTP/2, and looks at the call's status.
    pub grpc: bool,
    /// Which `Host` it sends.
    pub host: Host,
    /// What else it sends, in this order.
    pub headers: &'static [(&'static str, &'static str)],
    /// How long connecting may take, where that has a limit of its own.
    pub connect: Option<Duration>,
    /// How long the rest may take, or all of it where connecting has no limit of its own.
    pub timeout: Duration,
    /// The same for HTTPS.
    pub timeout_tls: Duration,
    /// What it waits for.
    pub wanted: Wanted,
    /// Whether a body must have a length or be chunked.
    pub framed: bool,
    /// Which status codes are good: HTTP's, or gRPC's.
    pub success: Codes,
    /// What it does with a redirect.
    pub redirects: Redirects,
    /// Whether it speaks TLS 1.3.
    pub tls13: bool,
    /// Whether it sends the URL's name in the TLS handshake.
    pub server_name: bool,
    /// Whether it verifies the certificate.
    pub verifies: bool,
    /// The time between two polls.
    pub interval: Duration,
    /// How many good polls in a row make an unhealthy target healthy.
    pub healthy: u32,
    /// How many bad polls in a row make a healthy target unhealthy.
    pub unhealthy: u32,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const OK: Codes = Codes::fixed(&[200..=200]);
const UP_TO_399: Codes = Codes::fixed(&[200..=399]);

/// What most have in common.
const COMMON: Manner = Manner {
    name: "",
    title: "",
    method: "GET",
    http_1_0: false,
    http_2: false,
    grpc: false,
    host: Host::Target,
    headers: &[],
    connect: None,
    timeout: seconds(5),
    timeout_tls: seconds(5),
    wanted: Wanted::Whole,
    framed: false,
    success: OK,
    redirects: Redirects::Judged,
    tls13: true,
    server_name: false,
    verifies: false,
    interval: seconds(30),
    healthy: 5,
    unhealthy: 2,
};

impl Prober {
    /// Every one, in the order in which they are told.
    pub const ALL: [Self; 8] =
        [Self::Alb, Self::Nlb, Self::ClassicElb, Self::Route53, Self::Kubelet, Self::Haproxy, Self::Envoy, Self::Consul];

    /// Who asks so. An NLB calls itself as an ALB does, and is taken for one.
    #[must_use]
    pub fn of(agent: &[u8], method: &str, http_1_0: bool) -> Option<Self> {
        const AGENTS: [(&[u8], Prober); 7] = [
            (b"ELB-HealthChecker/1.", Prober::ClassicElb),
            (b"ELB-HealthChecker/", Prober::Alb),
            (b"Amazon-Route53-Health-Check-Service", Prober::Route53),
            (b"Amazon Route 53 Health Check Service", Prober::Route53),
            (b"kube-probe/", Prober::Kubelet),
            (b"Envoy/HC", Prober::Envoy),
            (b"Consul Health Check", Prober::Consul),
        ];
        match AGENTS.iter().find(|(beginning, _)| agent.starts_with(beginning)) {
            Some((_, prober)) => Some(*prober),
            // It has no name, and asks as nobody else does.
            None if agent.is_empty() && (http_1_0 || method == "OPTIONS") => Some(Self::Haproxy),
            None => None,
        }
    }

    /// Whether it distributes traffic; if not, it watches.
    #[must_use]
    pub const fn is_balancer(self) -> bool {
        !matches!(self, Self::Kubelet | Self::Consul | Self::Route53)
    }

    /// Its name, as on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.manner().name
    }

    /// How it polls by default.
    #[must_use]
    pub fn manner(self) -> Manner {
        match self {
            // As captured by tcpdump on a target. Its checks speak TLS 1.2 unless the listener has a policy with 1.3.
            Self::Alb => Manner {
                name: "alb",
                title: "an ALB",
                headers: &[("Connection", "close"), ("User-Agent", "ELB-HealthChecker/2.0"), ("Accept-Encoding", "gzip, compressed")],
                tls13: false,
                ..COMMON
            },
            Self::Nlb => Manner {
                name: "nlb",
                title: "an NLB",
                host: Host::Balancer,
                headers: &[("Connection", "close"), ("User-Agent", "ELB-HealthChecker/2.0")],
                timeout: seconds(6),
                timeout_tls: seconds(10),
                success: UP_TO_399,
                tls13: false,
                ..COMMON
            },
            Self::ClassicElb => Manner {
                name: "classic-elb",
                title: "a classic ELB",
                headers: &[("User-Agent", "ELB-HealthChecker/1.0"), ("Accept", "*/*"), ("Connection", "keep-alive")],
                framed: true,
                tls13: false,
                healthy: 10,
                ..COMMON
            },
            // The head within 2 s of a connection within 4 s; a body only where a string is looked for.
            Self::Route53 => Manner {
                name: "route53",
                title: "Route 53",
                host: Host::Url,
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
                wanted: Wanted::Head,
                success: UP_TO_399,
                // Of its API's reference; another of its pages names no upper end.
                tls13: false,
                server_name: true,
                healthy: 3,
                unhealthy: 3,
                ..COMMON
            },
            Self::Kubelet => Manner {
                name: "kubelet",
                title: "the kubelet",
                headers: &[("User-Agent", "kube-probe/1.35"), ("Accept", "*/*"), ("Connection", "close")],
                timeout: seconds(1),
                timeout_tls: seconds(1),
                wanted: Wanted::Bytes(10 * 1024),
                success: UP_TO_399,
                redirects: Redirects::WithinHost,
                interval: seconds(10),
                healthy: 1,
                unhealthy: 3,
                ..COMMON
            },
            // `inter` is the time limit, too, where there is no `timeout check`.
            Self::Haproxy => Manner {
                name: "haproxy",
                title: "HAProxy",
                method: "OPTIONS",
                http_1_0: true,
                host: Host::Absent,
                timeout: seconds(2),
                timeout_tls: seconds(2),
                wanted: Wanted::Head,
                success: UP_TO_399,
                interval: seconds(2),
                healthy: 2,
                unhealthy: 3,
                ..COMMON
            },
            // Time limit, interval and thresholds have no default: these are what its examples have.
            Self::Envoy => Manner {
                name: "envoy",
                title: "Envoy",
                host: Host::Cluster,
                headers: &[("User-Agent", "Envoy/HC")],
                timeout: seconds(1),
                timeout_tls: seconds(1),
                interval: seconds(10),
                healthy: 2,
                // For a status that is not expected the threshold does not count.
                unhealthy: 1,
                ..COMMON
            },
            Self::Consul => Manner {
                name: "consul",
                title: "Consul",
                host: Host::Url,
                headers: &[
                    ("User-Agent", "Consul Health Check"),
                    ("Accept", "text/plain, text/*, */*"),
                    ("Accept-Encoding", "gzip"),
                    ("Connection", "close"),
                ],
                timeout: seconds(10),
                timeout_tls: seconds(10),
                // It reads the body for its log; the status alone decides.
                wanted: Wanted::Head,
                success: Codes::fixed(&[200..=299, 429..=429]),
                redirects: Redirects::Followed,
                server_name: true,
                verifies: true,
                interval: seconds(10),
                healthy: 1,
                unhealthy: 1,
                ..COMMON
            },
        }
    }
}

impl fmt::Display for Prober {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Prober {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|prober| prober.name() == text.trim())
            .ok_or_else(|| format!("there is no client `{text}`; there are {}", known()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for prober in Prober::ALL {
            assert_eq!(prober.name().parse(), Ok(prober));
        }
        let error = "elb".parse::<Prober>().expect_err("no such client");
        assert_eq!(error, "there is no client `elb`; there are alb, nlb, classic-elb, route53, kubelet, haproxy, envoy, consul");
    }

    #[test]
    fn codes_are_read_as_aws_writes_them() {
        for (text, good, bad) in [("200", 200, 201), ("200,202", 202, 201), ("200-299,301", 301, 300), (" 0 - 99 ", 12, 100)] {
            let codes: Codes = text.parse().expect(text);
            assert!(codes.contain(good) && !codes.contain(bad), "{text}");
            assert_eq!(codes.to_string(), text.replace(' ', ""));
        }
        for wrong in ["", "2xx", "299-200", "200,", "200-"] {
            assert!(wrong.parse::<Codes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn clients_are_known_by_how_they_ask() {
        for prober in Prober::ALL {
            let manner = prober.manner();
            let agent = manner.headers.iter().find(|(name, _)| *name == "User-Agent").map_or("", |(_, agent)| agent);
            let expected = if prober == Prober::Nlb { Prober::Alb } else { prober };
            assert_eq!(Prober::of(agent.as_bytes(), manner.method, manner.http_1_0), Some(expected), "{prober}");
        }
        assert_eq!(Prober::of(b"", "HEAD", true), Some(Prober::Haproxy));
        for (agent, http_1_0) in [(&b"curl/8.5"[..], true), (b"", false), (b"xELB-HealthChecker/2.0", false)] {
            assert_eq!(Prober::of(agent, "GET", http_1_0), None);
        }
    }

    #[test]
    fn what_everybody_takes_is_200() {
        assert!(Prober::ALL.into_iter().all(|prober| prober.manner().success.contain(200) && !prober.manner().success.contain(500)));
    }
}
