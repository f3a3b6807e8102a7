//! Per cause: its code, its title, the evidence for it, and what to change.

use super::{
    Target,
    cause::{CertificateProblem, Connection, Redirect, Refusal, Tls, Trouble},
    conclude::{Seen, shown},
    http2,
};
use crate::prober::Prober;
use allswell_checks::contract::TimeSpan;
use hyper::header::ALLOW;

/// A finding without the clients that it affects.
pub(super) struct Parts {
    pub(super) code: &'static str,
    pub(super) title: String,
    pub(super) evidence: String,
    pub(super) mend: Vec<String>,
}

fn parts<M: Into<String>>(
    code: &'static str,
    title: impl Into<String>,
    evidence: impl Into<String>,
    mend: impl IntoIterator<Item = M>,
) -> Parts {
    Parts { code, title: title.into(), evidence: evidence.into(), mend: mend.into_iter().map(Into::into).collect() }
}

/// The fix that works whatever the app does.
const ALLSWELL_ANSWERS: &str = "Or point the health check at allswell's own port, which accepts any Host header and never redirects.";

pub(super) fn connection(cause: &Connection, target: &Target, concerned: &[&Seen], all: &[Seen]) -> Parts {
    let first = concerned[0];
    let address = target.address;
    match cause {
        Connection::Unreachable(why) => parts(
            "unreachable",
            format!("Cannot connect to {address}"),
            why,
            [
                "Start the server. If it listens on 127.0.0.1 only, a load balancer cannot reach it: let it listen on 0.0.0.0.",
                "If the server is running, set the health check port to the port that it listens on.",
            ],
        ),
        Connection::Swallowed => parts(
            "packets_dropped",
            format!("Connecting to {address} times out"),
            first.got(),
            if address.ip().is_loopback() {
                vec!["The server listens but does not accept: it hangs, or its accept queue is full (`ss -ltn`: Recv-Q above Send-Q)."]
            } else {
                vec![
                    "Open the firewall: the targets' security group must allow the health check port from the load balancer's security group. Then \
                     check network ACLs and the host's firewall.",
                    "On the server itself, check that the process accepts connections and that its accept queue is not full (`ss -ltn`: Recv-Q \
                     above Send-Q).",
                ]
            },
        ),
        Connection::HungUp => parts(
            "hangs_up",
            "The server closes the connection without a response",
            first.got(),
            [
                "Read the server's log for this moment. Common reasons: it expects the PROXY protocol, it rejects unknown Host headers (nginx: \
                 `return 444`), or it has no free workers.",
            ],
        ),
        Connection::NotHttp => parts(
            "not_http",
            "The port does not speak valid HTTP",
            first.got(),
            ["Check that this is the right port. If it is, the server's log shows what it sent."],
        ),
        Connection::NotGrpc => parts(
            "not_grpc",
            "The server speaks HTTP/2, but its response is not gRPC",
            first.got(),
            ["Check that a gRPC service is registered at this path. allswell has one at the default path, /AWS.ALB/healthcheck."],
        ),
        Connection::OtherVersion => {
            let (asked, answers) = if first.client.manner.http_2 { ("HTTP/2", "HTTP/1.1") } else { ("HTTP/1", "HTTP/2 only") };
            parts(
                "http_version",
                format!("The server does not speak {asked}"),
                format!("it responds over {answers}"),
                [format!("Enable {asked} on this port, or set the target group's ProtocolVersion to the version that the server speaks.")],
            )
        }
        Connection::EndlessBody => parts(
            "endless_body",
            "The response headers arrive in time, but the body does not end",
            first.got(),
            ["Send Content-Length or the last chunk, or close the connection: the client waits for the end of the body."],
        ),
        Connection::BrokenBody => parts(
            "broken_body",
            "The response body is truncated",
            first.got(),
            [
                "Check that Content-Length is correct, and that neither the app nor a proxy in front of it crashes while it sends the body: read \
                 their logs.",
            ],
        ),
        Connection::Slow => slow(concerned, all),
    }
}

pub(super) fn tls(cause: &Tls, target: &Target, concerned: &[&Seen]) -> Parts {
    let first = concerned[0];
    let host = target.url.host_str().unwrap_or_default();
    match cause {
        Tls::Handshake(why) => parts(
            "tls_handshake",
            "The TLS handshake fails",
            why,
            [
                "Offer TLS 1.2 with an ECDHE AES-GCM cipher suite, do not require a client certificate, and configure a default certificate: most \
                 clients send no server name (SNI).",
                "If the server offers only older cipher suites (CBC, RSA key exchange), a load balancer may support them; the doctor does not.",
            ],
        ),
        Tls::ClientCertificate => parts(
            "client_certificate",
            "The server requires a client certificate, and none of these clients sends one",
            first.got(),
            [
                "Serve the health check without client certificates (nginx: `ssl_verify_client optional`, and check `$ssl_client_verify` in every \
                 other location), or on a port of its own.",
                ALLSWELL_ANSWERS,
            ],
        ),
        Tls::ServerName => parts(
            "server_name",
            "The server requires a server name (SNI), and this client sends none",
            "the server responds if the TLS handshake contains the URL's host name",
            [
                "Configure a default certificate for clients without SNI (nginx: a `default_server` without `ssl_reject_handshake`).",
                "HAProxy: `check-sni`. Envoy: `sni` of the cluster's transport socket. AWS load balancers cannot send SNI in health checks.",
            ],
        ),
        Tls::OnlyTls13 => parts(
            "tls13_only",
            "The server accepts only TLS 1.3, but the load balancer's health checks use TLS 1.2",
            "the handshake fails with TLS 1.2 and succeeds with TLS 1.3",
            [
                "Allow TLS 1.2 as well as TLS 1.3.",
                "ALB: give the HTTPS listener a security policy with TLS 1.3; its health checks then use TLS 1.3.",
            ],
        ),
        Tls::Certificate { why, problem } => {
            parts("certificate", "The server's certificate fails verification", why, certificate(*problem, host))
        }
        Tls::Unwanted => parts(
            "speaks_http",
            "The port speaks plain HTTP, but the health check uses HTTPS",
            "the server responds without TLS",
            ["Set the health check protocol to HTTP, or the health check port to one with TLS."],
        ),
        Tls::Wanted => parts(
            "speaks_https",
            "The port expects TLS, but the health check uses plain HTTP",
            first.got(),
            ["Set the health check protocol to HTTPS, or the health check port to one without TLS."],
        ),
    }
}

/// The fix depends on why the certificate fails verification.
pub(super) fn certificate(problem: CertificateProblem, name: &str) -> Vec<String> {
    match problem {
        CertificateProblem::Expired => vec!["Renew the certificate.".to_owned()],
        CertificateProblem::OtherName => vec![
            format!("Use a certificate for `{name}`."),
            "Consul: set `tls_server_name` to a name that the certificate contains.".to_owned(),
        ],
        CertificateProblem::Untrusted => vec![
            "Use a certificate from an issuer that the client trusts, or add the issuer to the client's trusted CAs (Consul: `ca_file`)."
                .to_owned(),
            "Or turn off certificate verification in the client (Consul: `tls_skip_verify = true`).".to_owned(),
        ],
    }
}

fn slow(concerned: &[&Seen], all: &[Seen]) -> Parts {
    let first = concerned[0];
    let answered = all.iter().filter(|one| one.polled.status().is_some()).map(|one| one.polled.took).min();
    let longest = all.iter().map(|one| one.poll.limit()).max().unwrap_or_default();
    let evidence = match answered {
        Some(took) => format!("{}; another client got a response after {}", first.got(), TimeSpan(took).whole_millis()),
        None => format!("no response within {}, the longest timeout of these clients", TimeSpan(longest)),
    };
    let setting = |seen: &&Seen| match seen.client.prober {
        Prober::Alb | Prober::Nlb => "HealthCheckTimeoutSeconds",
        Prober::ClassicElb => "the health check's Timeout",
        Prober::Route53 => "fixed at 2 s",
        Prober::Kubelet => "timeoutSeconds",
        Prober::Haproxy => "`timeout check`",
        Prober::Envoy | Prober::Consul => "the health check's timeout",
    };
    let settings: Vec<_> = concerned.iter().map(|seen| format!("{}: {}", seen.client.label, setting(seen))).collect();
    parts(
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

pub(super) fn redirect(cause: &Redirect, first: &Seen) -> Parts {
    let path = first.poll.url.path();
    match cause {
        Redirect::Https { believes_proxy } => {
            let trial = match believes_proxy {
                Some(true) => {
                    "with `X-Forwarded-Proto: https` it does not redirect, but no load balancer sends that header in a health check"
                }
                Some(false) => "with `X-Forwarded-Proto: https` it redirects as well",
                None => "with `X-Forwarded-Proto: https` it does not respond",
            };
            let exempt = path.trim_start_matches('/');
            parts(
                "https_redirect",
                "The server redirects HTTP to HTTPS",
                format!("{}; {trial}", first.got()),
                [
                    &*format!("Django: SECURE_REDIRECT_EXEMPT = [r\"^{exempt}$\"]."),
                    &*format!("nginx: move the `return 301` into `location /`, and add a `location = {path}` without it."),
                    &*format!("Apache: add `RewriteCond %{{REQUEST_URI}} !^{path}$` before the RewriteRule that redirects."),
                    ALLSWELL_ANSWERS,
                ],
            )
        }
        Redirect::Loop => parts(
            "redirect_loop",
            "The redirects form a loop",
            first.got(),
            [
                "Redirect in one place only: a load balancer that terminates TLS and a server that requires HTTPS send users back and forth.",
                &*format!("Respond to `{path}` before any redirect rule applies."),
            ],
        ),
        Redirect::Slash(right) => parts(
            "slash",
            format!("Trailing slash: the correct path is `{right}`"),
            first.got(),
            [format!("Set the health check path to `{right}`.")],
        ),
        Redirect::Login(to) => parts(
            "login",
            "The path requires a login",
            format!("it redirects to {}", shown(to)),
            [
                &*format!(
                    "Allow anonymous access to `{path}` (Django: add `@login_not_required` to its view, or remove `@login_required` from it)."
                ),
                ALLSWELL_ANSWERS,
            ],
        ),
        Redirect::Elsewhere(to) => parts(
            "redirect",
            "The health check path redirects",
            format!("it redirects to {}", shown(to)),
            [
                &*format!(
                    "Respond to `{path}` itself with 200: load balancers do not follow redirects, and clients that do got no healthy response."
                ),
                if to.contains("://") {
                    "If the server redirects requests with an unknown Host header, respond to the path in its default server."
                } else {
                    "Or set the health check path to the redirect's target."
                },
            ],
        ),
    }
}

pub(super) fn refusal(cause: &Refusal, concerned: &[&Seen]) -> Parts {
    let first = concerned[0];
    let path = first.poll.url.path();
    match cause {
        Refusal::Host(accepted) => host(concerned, accepted.as_ref(), path),
        Refusal::Csrf => parts(
            "csrf",
            "CSRF protection rejects the health check",
            first.got(),
            [format!(
                "Exempt `{path}` from CSRF protection (Django: `@csrf_exempt` on its view), and respond to GET: clients send no CSRF token."
            )],
        ),
        Refusal::Credentials => parts(
            "credentials",
            "The path requires authentication, but health checks send no credentials",
            first.got(),
            [format!("Exempt `{path}` from authentication (nginx: `auth_basic off;`, Apache: `Require all granted` in its location).")],
        ),
        Refusal::Forbidden => parts(
            "forbidden",
            "The server forbids the health check",
            first.got(),
            [
                &*format!(
                    "Allow access to `{path}`: IP allow lists, permissions of the app, and directories without an index file return this status."
                ),
                "A web application firewall returns it as well: allow the client's user agent.",
            ],
        ),
        Refusal::Method => method(first, path),
        Refusal::NotFound => parts(
            "not_found",
            format!("The path `{path}` does not exist"),
            first.got(),
            ["Set the health check path to a path that exists."],
        ),
        Refusal::OldVersion => parts(
            "http_1_0",
            "The server rejects HTTP/1.0 without a Host header, but accepts HTTP/1.1 with one",
            first.told(),
            [format!(
                "HAProxy: add `http-check send meth GET uri {} ver HTTP/1.1 hdr Host www.example.com` below `option httpchk`.",
                first.asked_for()
            )],
        ),
        Refusal::EnvoyTold => parts(
            "envoy_told_to_fail",
            "A response header makes Envoy fail the health check",
            "the response has the header x-envoy-immediate-health-check-fail",
            [
                "If an Envoy in front of the app is draining, end the drain (POST /healthcheck/ok to its admin port). Otherwise remove the header.",
            ],
        ),
        Refusal::Unframed => parts(
            "no_content_length",
            "The response body has no length: it ends only when the connection closes",
            "neither Content-Length nor Transfer-Encoding is set",
            ["Set Content-Length (0 for an empty body), or use chunked encoding."],
        ),
        Refusal::Announced(status) => parts(
            "announced",
            format!("HAProxy takes the informational response {status} for the final response"),
            first.got(),
            ["Send no 1xx response to an HTTP/1.0 client: HTTP/1.0 does not define them (RFC 9110, section 15.2)."],
        ),
        Refusal::Grpc(code) => parts(
            "grpc_status",
            format!("The gRPC call returns {code} {}, which is not a success code", http2::name(*code)),
            format!("{} accepts {}", first.client.label, first.client.manner.success),
            [if *code == 12 {
                "Check that the method exists: set HealthCheckPath to one that the server implements, and GrpcCode to the status that it returns."
            } else {
                "Read the server's log. allswell returns 12 at the default path, /AWS.ALB/healthcheck, if it is healthy, and 14 if not."
            }],
        ),
        Refusal::Unexpected(status) => {
            // An error must not become a success code.
            let also =
                (200..300).contains(status).then(|| format!("Or add {status} to the client's success codes, if they can be configured."));
            parts(
                "unexpected_status",
                format!("{status} is not a success code"),
                format!("{}; {} accepts {}", first.told(), first.client.label, first.client.manner.success),
                ["Respond with 200; the server's log may show why it does not.".to_owned()].into_iter().chain(also),
            )
        }
    }
}

pub(super) fn trouble(cause: &Trouble, concerned: &[&Seen]) -> Parts {
    let first = concerned[0];
    let path = first.poll.url.path();
    match cause {
        Trouble::TooMany => parts(
            "rate_limited",
            "The server rate-limits the health check",
            first.got(),
            [format!("Exempt `{path}` from the rate limit: every node of a load balancer polls independently.")],
        ),
        Trouble::SaysFail => parts(
            "says_fail",
            "The endpoint reports that it is unhealthy",
            concerned.iter().find_map(|seen| summary(seen)).unwrap_or_else(|| first.got()),
            ["Fix the components it lists; `curl -v` on the endpoint, or `allswell check` on its machine, shows details."],
        ),
        Trouble::SaysWarn(status) => parts(
            "warning_status",
            format!("The endpoint reports a warning with status {status}, which is not a success code"),
            concerned.iter().find_map(|seen| summary(seen)).unwrap_or_else(|| first.got()),
            [
                &*format!("Add {status} to the client's success codes, if they can be configured."),
                "Or leave allswell's `server.warn_status` at 200.",
            ],
        ),
        Trouble::Gateway(_) => parts(
            "bad_gateway",
            "A proxy responds, but gets no response from the app",
            first.told(),
            ["Check that the app is running and that the proxy's upstream address is correct. The proxy's log shows what it tried."],
        ),
        Trouble::Flapping(_) => parts(
            "flapping",
            "The same request succeeds a moment later",
            first.told(),
            [
                "Behind a proxy, one of several servers may be unhealthy; or the server limits the request rate (nginx: `limit_req`). Poll again, \
                 and read the server's log.",
            ],
        ),
        Trouble::ServerError(_) => parts(
            "server_error",
            "The server returns a server error (5xx)",
            first.told(),
            ["Read the server's log for this moment: no other form of the request succeeded."],
        ),
    }
}

/// The summary in a report of allswell's.
fn summary(seen: &Seen) -> Option<String> {
    let report: serde_json::Value = serde_json::from_slice(&seen.polled.answer.as_ref()?.body).ok()?;
    report["summary"].as_str().map(shown)
}

fn host(concerned: &[&Seen], accepted: Option<&(String, u16)>, path: &str) -> Parts {
    let first = concerned[0];
    let sent = first.host().map_or_else(|| "without a Host header".to_owned(), |host| format!("with `Host: {host}`"));
    let mut evidence = format!("{sent}: {}", first.got());
    if let Some((accepted, code)) = accepted {
        evidence += &format!("; with `Host: {accepted}`: {code}");
    }
    let mut mend = Vec::new();
    let accepted = accepted.map_or("www.example.com", |(accepted, _)| accepted);
    let are = |prober| concerned.iter().any(|seen| seen.client.prober == prober);
    for (prober, how) in [
        (Prober::Kubelet, "kubelet: add `httpHeaders: [{ name: Host, value: NAME }]` to the `httpGet`."),
        (Prober::Envoy, "Envoy: set `host: NAME` in the `http_health_check`."),
        (Prober::Route53, "Route 53: specify the endpoint by domain name."),
        (Prober::Consul, "Consul: add `header = { Host = [\"NAME\"] }` to the check."),
    ] {
        if are(prober) {
            mend.push(how.replace("NAME", accepted));
        }
    }
    if are(Prober::Haproxy) {
        mend.push(format!(
            "HAProxy: add `http-check send meth GET uri {} ver HTTP/1.1 hdr Host {accepted}` below `option httpchk`.",
            first.asked_for()
        ));
    }
    mend.extend([
        format!("Django: respond to `{path}` in a middleware above SecurityMiddleware and CommonMiddleware, which validate the Host header."),
        "Django: add the machine's own address to ALLOWED_HOSTS at startup: a load balancer sends the target's address, an NLB its own."
            .to_owned(),
        format!(
            "nginx: add `location = {path}` to the server with `listen … default_server`, with a `proxy_set_header Host` that the app accepts."
        ),
        ALLSWELL_ANSWERS.to_owned(),
    ]);
    parts("host", "The server rejects the health check's Host header", evidence, mend)
}

fn method(first: &Seen, path: &str) -> Parts {
    let method = first.client.manner.method;
    let allowed = first.polled.answer.as_ref().and_then(|answer| answer.header(ALLOW));
    let allowed = allowed.map_or_else(String::new, |allowed| format!("; Allow: {}", shown(allowed)));
    let mend = if method == "GET" {
        vec![format!("Respond to GET at `{path}`: the client sends no other method.")]
    } else {
        vec![
            format!("HAProxy: `option httpchk GET {}`.", first.asked_for()),
            format!("Respond to {method} at `{path}` with 200, as to GET."),
        ]
    };
    parts("method", format!("The path does not accept {method}"), format!("{}{allowed}", first.got()), mend)
}
