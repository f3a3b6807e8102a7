//! What each cause is called, how it is known, and what to change.

use super::{
    Target,
    cause::{Connection, Redirect, Refusal, Tls, Trouble},
    conclude::{Seen, shown},
    http2,
};
use crate::pollers::PollerKind;
use allswell_checks::contract::TimeSpan;
use hyper::header::ALLOW;

/// A finding without those whom it concerns.
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

/// What helps whatever the app does.
const ALLSWELL_ANSWERS: &str = "Or point the health check at allswell's own port, where any Host is answered and nobody is redirected.";

pub(super) fn connection(cause: &Connection, target: &Target, concerned: &[&Seen], all: &[Seen]) -> Parts {
    let first = concerned[0];
    let address = target.address;
    match cause {
        Connection::Unreachable(why) => parts(
            "unreachable",
            format!("Nobody takes a connection at {address}"),
            why,
            [
                "Start the server. One that listens on 127.0.0.1 alone is not reached by a load balancer: let it listen on 0.0.0.0.",
                "If it runs, ask it at the port on which it listens.",
            ],
        ),
        Connection::Swallowed => parts(
            "packets_dropped",
            format!("Nobody answers at {address}"),
            first.got(),
            if address.ip().is_loopback() {
                ["Somebody listens and does not accept: the server hangs, or its queue is full (`ss -ltn`: Recv-Q above Send-Q)."]
            } else {
                [
                    "Let the clients in: the targets' security group must allow the health check's port from the balancer's; then look at network \
                  ACLs and the host's firewall. On the machine itself: does the server accept, or is its queue full?",
                ]
            },
        ),
        Connection::HungUp => parts(
            "hangs_up",
            "The server closes the connection and says nothing",
            first.got(),
            [
                "Look into its log for this moment. Servers that want the PROXY protocol, do not know the Host (nginx: `return 444`), or are out \
              of workers, hang up like this.",
            ],
        ),
        Connection::NotHttp => parts(
            "not_http",
            "What answers is no HTTP server, or a broken one",
            first.got(),
            ["Is it the right port? Otherwise its log says what it sent."],
        ),
        Connection::NotGrpc => parts(
            "not_grpc",
            "The server speaks HTTP/2, and its answer is none to a gRPC call",
            first.got(),
            ["Is there a gRPC service at this path? allswell has one at the default path, /AWS.ALB/healthcheck."],
        ),
        Connection::OtherVersion => {
            let (asked, answers) = if first.client.profile.http_2 { ("HTTP/2", "HTTP/1.1") } else { ("HTTP/1", "HTTP/2 alone") };
            parts(
                "http_version",
                format!("The server does not speak {asked}"),
                format!("it answers by {answers}"),
                [format!("Let it answer {asked} on this port, too; or, of a target group, set ProtocolVersion to what it speaks.")],
            )
        }
        Connection::EndlessBody => parts(
            "endless_body",
            "The status comes in time, and the body does not end",
            first.got(),
            ["Send Content-Length, or the last chunk, or close the connection: who polls waits for the end of the body."],
        ),
        Connection::BrokenBody => parts(
            "broken_body",
            "The body ends before its end",
            first.got(),
            ["Is Content-Length right, and does the app, or a proxy before it, die while it writes? Its log says."],
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
                "Offer TLS 1.2 with an ECDHE AES-GCM suite, want no certificate of the client's, and have a default certificate: most clients \
              send no server name.",
                "Where the server offers nothing but older suites (CBC, RSA key exchange), a balancer may speak them; the doctor does not.",
            ],
        ),
        Tls::ClientCertificate => parts(
            "client_certificate",
            "The server wants a certificate of its client's, and no client of these has one",
            first.got(),
            [
                "Answer the health check on a port without it (nginx: `ssl_verify_client optional`, and refuse by `$ssl_client_verify` elsewhere).",
                ALLSWELL_ANSWERS,
            ],
        ),
        Tls::ServerName => parts(
            "server_name",
            "The server wants to be asked by name (SNI), and this client names none",
            "with the URL's name in the TLS handshake it answers",
            [
                "Have a default certificate for whoever names nobody (nginx: the `default_server` without `ssl_reject_handshake`).",
                "HAProxy: `check-sni`. Envoy: `sni` of the cluster's transport socket. Balancers of AWS cannot.",
            ],
        ),
        Tls::OnlyTls13 => parts(
            "tls13_only",
            "The server speaks TLS 1.3 alone, and the balancer's health checks speak 1.2",
            "the handshake fails with TLS 1.2 and succeeds with 1.3",
            ["Allow TLS 1.2 beside 1.3.", "ALB: give its HTTPS listener a security policy with TLS 1.3; its health checks speak it then."],
        ),
        Tls::Certificate(why) => parts("certificate", "Who verifies the certificate does not believe it", why, certificate(why, host)),
        Tls::Unwanted => parts(
            "speaks_http",
            "The port speaks plain HTTP, and was asked by HTTPS",
            "it answers without TLS",
            ["Set the health check's protocol to HTTP, or its port to the one with TLS."],
        ),
        Tls::Wanted => parts(
            "speaks_https",
            "The port speaks TLS, and was asked without",
            first.got(),
            ["Set the health check's protocol to HTTPS, or its port to the one without TLS."],
        ),
    }
}

/// What is to be done about a certificate depends on what is wrong with it.
pub(super) fn certificate(why: &str, name: &str) -> Vec<String> {
    if why.contains("expired") {
        return vec!["Renew it.".to_owned()];
    }
    if why.contains("another name") {
        return vec![format!("Have one for `{name}`."), "Consul: set `tls_server_name` to the name that it has.".to_owned()];
    }
    vec![
        "Have one of an issuer whom the client trusts, or let the client trust this one (Consul: `ca_file`).".to_owned(),
        "Or tell the client not to verify it (Consul: `tls_skip_verify = true`).".to_owned(),
    ]
}

fn slow(concerned: &[&Seen], all: &[Seen]) -> Parts {
    let first = concerned[0];
    let answered = all.iter().filter(|one| one.polled.status().is_some()).map(|one| one.polled.took).min();
    let longest = all.iter().map(|one| one.poll.limit()).max().unwrap_or_default();
    let evidence = match answered {
        Some(took) => format!("{}; others had an answer after {}", first.got(), TimeSpan(took).whole_millis()),
        None => format!("no answer within {}, the longest that was waited", TimeSpan(longest)),
    };
    let setting = |seen: &&Seen| match seen.client.kind {
        PollerKind::Alb | PollerKind::Nlb => "HealthCheckTimeoutSeconds",
        PollerKind::ClassicElb => "the health check's Timeout",
        PollerKind::Route53 => "it waits 2 s, whatever is set",
        PollerKind::Kubelet => "timeoutSeconds",
        PollerKind::Haproxy => "`timeout check`",
        PollerKind::Envoy | PollerKind::Consul => "the health check's timeout",
    };
    let settings: Vec<_> = concerned.iter().map(|seen| format!("{}: {}", seen.client.label, setting(seen))).collect();
    parts(
        "slow",
        "The answer comes too late",
        evidence,
        [
            "Answer from memory: look at databases and queues beside the request, not in it, as allswell does.",
            "Give the health check a worker of its own: a poll that waits behind users' requests fails when they are many.",
            &*format!("Raise the time limit, and keep it below the interval ({}).", settings.join("; ")),
        ],
    )
}

pub(super) fn redirect(cause: &Redirect, first: &Seen) -> Parts {
    let path = first.poll.url.path();
    match cause {
        Redirect::Https { believes_proxy } => {
            let trial = match believes_proxy {
                Some(true) => "with `X-Forwarded-Proto: https` it does not, but no balancer sends that header with a health check",
                Some(false) => "with `X-Forwarded-Proto: https` it does so as well",
                None => "asked with `X-Forwarded-Proto: https` it does not answer",
            };
            let exempt = path.trim_start_matches('/');
            parts(
                "https_redirect",
                "Plain HTTP is redirected to HTTPS",
                format!("{}; {trial}", first.got()),
                [
                    &*format!("Django: SECURE_REDIRECT_EXEMPT = [r\"^{exempt}$\"]."),
                    &*format!("nginx: put the `return 301` into `location /`, and `location = {path}` beside it."),
                    &*format!("Apache: `RewriteCond %{{REQUEST_URI}} !^{path}$` before the RewriteRule that redirects."),
                    ALLSWELL_ANSWERS,
                ],
            )
        }
        Redirect::Loop => parts(
            "redirect_loop",
            "RedirectRule lead round and round",
            first.got(),
            [
                "Let one place alone redirect: a balancer that ends TLS and a server that wants HTTPS send users back and forth.",
                &*format!("Answer `{path}` before any redirect."),
            ],
        ),
        Redirect::Slash(right) => {
            parts("slash", format!("The right path is `{right}`"), first.got(), [format!("Set the health check's path to `{right}`.")])
        }
        Redirect::Login(to) => parts(
            "login",
            "The path wants a user who is logged in",
            format!("it redirects to {}", shown(to)),
            [
                &*format!("Let `{path}` be seen without logging in (Django: `@login_not_required` on its view, or no `login_required`)."),
                ALLSWELL_ANSWERS,
            ],
        ),
        Redirect::Elsewhere(to) => parts(
            "redirect",
            "The path redirects",
            format!("it redirects to {}", shown(to)),
            [
                &*format!("Answer `{path}` itself with 200: load balancers do not follow redirects, and who does got no further."),
                if to.contains("://") {
                    "Where that is the redirect of whoever asks for an unknown Host, answer the path in the default server."
                } else {
                    "Or set the health check's path to where it leads."
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
            "A protection against forged requests refuses the poll",
            first.got(),
            [format!("Exempt `{path}` (Django: `@csrf_exempt` on its view), and answer it to GET: who polls has no token.")],
        ),
        Refusal::Credentials => parts(
            "credentials",
            "The path wants credentials, and no client sends any",
            first.got(),
            [format!("Exempt `{path}` from authentication (nginx: `auth_basic off;`, Apache: `Require all granted` in its location).")],
        ),
        Refusal::Forbidden => parts(
            "forbidden",
            "The server forbids the poll",
            first.got(),
            [
                &*format!(
                    "Let everybody see `{path}`: lists of allowed addresses, permissions of the app, and folders without an index answer so."
                ),
                "A web application firewall does as well: let the client's user agent pass.",
            ],
        ),
        Refusal::Method => method(first, path),
        Refusal::NotFound => {
            parts("not_found", format!("There is nothing at `{path}`"), first.got(), ["Set the health check's path to one that exists."])
        }
        Refusal::OldVersion => parts(
            "http_1_0",
            "HTTP/1.0 without a Host is refused, and HTTP/1.1 with one is not",
            first.told(),
            [format!(
                "HAProxy: `http-check send meth GET uri {} ver HTTP/1.1 hdr Host www.example.com` below `option httpchk`.",
                first.asked_for()
            )],
        ),
        Refusal::EnvoyTold => parts(
            "envoy_told_to_fail",
            "A header tells Envoy to take the answer for a failure",
            "x-envoy-immediate-health-check-fail is set",
            ["End the drain behind it (Envoy: POST /healthcheck/ok to its admin port), or leave the header out."],
        ),
        Refusal::Unframed => parts(
            "no_content_length",
            "The body has no length, and ends with the connection",
            "neither Content-Length nor Transfer-Encoding is set",
            ["Set Content-Length, 0 for an empty body, or send it chunked."],
        ),
        Refusal::Announced(status) => parts(
            "announced",
            format!("{status} comes before the answer, and HAProxy takes it for the answer"),
            first.got(),
            ["Send no 1xx to who asks by HTTP/1.0: it knows none (RFC 9110, section 15.2)."],
        ),
        Refusal::Grpc(code) => parts(
            "grpc_status",
            format!("The call ends with {code} {}, which is none of the codes that are good", http2::name(*code)),
            format!("{} takes {}", first.client.label, first.client.profile.success),
            [if *code == 12 {
                "Is there such a method? Set HealthCheckPath to one that the server has, and GrpcCode to what that answers."
            } else {
                "Look into the server's log. allswell answers 12 at the default path, /AWS.ALB/healthcheck, when all is well, and 14 when not."
            }],
        ),
        Refusal::Unexpected(status) => {
            // Nobody wants a refusal to be taken for good.
            let also =
                (200..300).contains(status).then(|| format!("Or add {status} to the client's success codes, where it has a list of them."));
            parts(
                "unexpected_status",
                format!("{status} is none of the codes that are good"),
                format!("{}; {} takes {}", first.told(), first.client.label, first.client.profile.success),
                ["Answer with 200; the server's log may say why it does not.".to_owned()].into_iter().chain(also),
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
            "The server limits how often it answers",
            first.got(),
            [format!("Exempt `{path}` from the limit: every node of a balancer polls by itself.")],
        ),
        Trouble::SaysFail => parts(
            "says_fail",
            "The endpoint reports that not all is well",
            concerned.iter().find_map(|seen| summary(seen)).unwrap_or_else(|| first.got()),
            ["Mend what it names; `curl -v` on it, or `allswell check` beside it, tells more."],
        ),
        Trouble::SaysWarn(status) => parts(
            "warning_status",
            format!("The endpoint warns by {status}, which is none of the codes that are good"),
            concerned.iter().find_map(|seen| summary(seen)).unwrap_or_else(|| first.got()),
            [
                &*format!("Add {status} to the client's success codes, where it has a list of them."),
                "Or leave allswell's `server.warn_status` at 200.",
            ],
        ),
        Trouble::Gateway(_) => parts(
            "bad_gateway",
            "A proxy answers, and has no answer of the app's",
            first.told(),
            ["Is the app running, and does the proxy ask it at the right place? The proxy's log says what it tried."],
        ),
        Trouble::Flapping(_) => parts(
            "flapping",
            "The same request is answered well a moment later",
            first.told(),
            [
                "Behind a proxy, one of several servers may be ill; or the server limits how often it answers (nginx: `limit_req`). Poll again, \
                 and look into its log.",
            ],
        ),
        Trouble::ServerError(_) => {
            parts("server_error", "The server fails", first.told(), ["Look into its log for this moment: however it is asked, it fails."])
        }
    }
}

/// The summary of a report of allswell's.
fn summary(seen: &Seen) -> Option<String> {
    let report: serde_json::Value = serde_json::from_slice(&seen.polled.answer.as_ref()?.body).ok()?;
    report["summary"].as_str().map(shown)
}

fn host(concerned: &[&Seen], accepted: Option<&(String, u16)>, path: &str) -> Parts {
    let first = concerned[0];
    let sent = first.host().map_or_else(|| "no Host at all".to_owned(), |host| format!("`Host: {host}`"));
    let mut evidence = format!("with {sent} it answers {}", first.got());
    if let Some((accepted, code)) = accepted {
        evidence += &format!("; with `Host: {accepted}` {code}");
    }
    let mut mend = Vec::new();
    let accepted = accepted.map_or("www.example.com", |(accepted, _)| accepted);
    let are = |kind| concerned.iter().any(|seen| seen.client.kind == kind);
    for (kind, how) in [
        (PollerKind::Kubelet, "kubelet: `httpHeaders: [{ name: Host, value: NAME }]` of the `httpGet`."),
        (PollerKind::Envoy, "Envoy: `host: NAME` of the `http_health_check`."),
        (PollerKind::Route53, "Route 53: specify the endpoint by its domain name."),
        (PollerKind::Consul, "Consul: `header = { Host = [\"NAME\"] }` of the check."),
    ] {
        if are(kind) {
            mend.push(how.replace("NAME", accepted));
        }
    }
    if are(PollerKind::Haproxy) {
        mend.push(format!(
            "HAProxy: `http-check send meth GET uri {} ver HTTP/1.1 hdr Host {accepted}` below `option httpchk`.",
            first.asked_for()
        ));
    }
    mend.extend([
        format!("Django: answer `{path}` in a middleware above SecurityMiddleware and CommonMiddleware, before anybody asks for the Host."),
        "Django: add the machine's own address to ALLOWED_HOSTS when it starts: a balancer sends the target's address, an NLB its own."
            .to_owned(),
        format!("nginx: `location = {path}` in the server that has `listen … default_server`, with a `proxy_set_header Host` that the app allows."),
        ALLSWELL_ANSWERS.to_owned(),
    ]);
    parts("host", "The server refuses the Host that the poll bears", evidence, mend)
}

fn method(first: &Seen, path: &str) -> Parts {
    let method = first.client.profile.method;
    let allowed = first.polled.answer.as_ref().and_then(|answer| answer.header(ALLOW));
    let allowed = allowed.map_or_else(String::new, |allowed| format!("; it allows {}", shown(allowed)));
    let mend = if method == "GET" {
        vec![format!("Answer GET at `{path}`: who polls sends nothing else.")]
    } else {
        vec![
            format!("HAProxy: `option httpchk GET {}`.", first.asked_for()),
            format!("Answer {method} at `{path}` as GET is answered, with 200."),
        ]
    };
    parts("method", format!("The path does not take {method}"), format!("{}{allowed}", first.got()), mend)
}
