//! Findings: what is wrong, how that is known, and what to change.

use super::{
    Target,
    cause::{Cause, Redirect},
    conclude::Seen,
    diagnosis::{answers_any_path, cause, is_login, refuses_head},
    mend::{self, Parts, connection, redirect, refusal, tls, trouble},
    trials::Trials,
};
use crate::pollers::ResponsePart;
use allswell_checks::contract::{ByteSize, TimeSpan};
use serde::Serialize;
use std::collections::BTreeMap;

/// Something to change, or to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A word for scripts.
    pub code: &'static str,
    /// Whether it keeps a client from being content; if not, it is a caution: a client is content that should not be, or may not stay so.
    pub failing: bool,
    /// Whom it concerns.
    pub clients: Vec<String>,
    /// What is wrong, in a sentence.
    pub title: String,
    /// How that is known.
    pub evidence: String,
    /// What to change; any one of them helps, the best first.
    pub mend: Vec<String>,
}

/// The share of its time limit after which an answer is late.
const NEARLY: f64 = 0.6;

/// Days that a certificate should last.
const SOON: i64 = 21;

/// Finds out why clients are not content, and what makes others content that should not be.
pub async fn find(target: &Target, seen: &[Seen]) -> Vec<Finding> {
    let mut trials = Trials::new(target);
    // Of several paths, as target groups have them, each has its own.
    let mut causes: BTreeMap<(Cause, &str), Vec<&Seen>> = BTreeMap::new();
    for one in seen.iter().filter(|one| !one.content) {
        causes.entry((cause(one, &mut trials).await, one.path())).or_default().push(one);
    }
    let mut found: Vec<Finding> = causes.iter().map(|((cause, _), concerned)| finding(target, cause, concerned, seen)).collect();
    let ignores_proxy: Vec<_> =
        causes.iter().filter(|((cause, _), _)| matches!(cause, Cause::Redirect(Redirect::Https { believes_proxy: Some(false) }))).collect();
    if let Some((_, concerned)) = ignores_proxy.first() {
        found.push(ends_in_a_loop(concerned));
    }
    found.extend(taken_for_good(seen));
    if let Some(one) = seen.iter().find(|one| one.content && one.polled.hops.is_empty() && one.status() == Some(200)) {
        if answers_any_path(one, &mut trials).await {
            found.push(any_path(seen));
        }
        if refuses_head(one, &mut trials).await {
            found.push(head_refused(one));
        }
    }
    found.extend(seen.iter().find_map(says_fail_by_200));
    found.extend(nearly_slow(seen));
    found.extend(large_body(seen));
    found.extend(certificate(seen));
    found
}

fn labels<'a>(seen: impl IntoIterator<Item = &'a Seen>) -> Vec<String> {
    seen.into_iter().map(|one| one.client.label.clone()).collect()
}

fn finding(target: &Target, cause: &Cause, concerned: &[&Seen], all: &[Seen]) -> Finding {
    let first = concerned[0];
    let Parts { code, title, evidence, mend } = match cause {
        Cause::Connection(cause) => connection(cause, target, concerned, all),
        Cause::Tls(cause) => tls(cause, target, concerned),
        Cause::Redirect(cause) => redirect(cause, first),
        Cause::Refusal(cause) => refusal(cause, concerned),
        Cause::Trouble(cause) => trouble(cause, concerned),
    };
    Finding { code, failing: true, clients: labels(concerned.iter().copied()), title, evidence, mend }
}

fn ends_in_a_loop(concerned: &[&Seen]) -> Finding {
    Finding {
        code: "forwarded_proto_ignored",
        failing: false,
        clients: labels(concerned.iter().copied()),
        title: "Behind a balancer that ends TLS, users would be redirected for ever".to_owned(),
        evidence: "a request with `X-Forwarded-Proto: https`, as a balancer forwards it, is redirected to HTTPS again".to_owned(),
        mend: vec![
            "Django: SECURE_PROXY_SSL_HEADER = (\"HTTP_X_FORWARDED_PROTO\", \"https\"), where only the balancer can reach the app."
                .to_owned(),
            "nginx: redirect `if ($http_x_forwarded_proto = http)`. Apache: `RewriteCond %{HTTP:X-Forwarded-Proto} =http`.".to_owned(),
        ],
    }
}

/// Those who take a redirect for a good answer, or land on a page for logging in.
fn taken_for_good(seen: &[Seen]) -> Vec<Finding> {
    let mut logins = Vec::new();
    let mut redirects = Vec::new();
    for one in seen.iter().filter(|one| one.content) {
        let led = one.polled.answer.as_ref().and_then(|answer| answer.location()).and_then(|to| one.poll.url.join(to).ok());
        let landed = one.polled.hops.last().map(|hop| &hop.to);
        if led.as_ref().or(landed).is_some_and(is_login) {
            logins.push(one);
        } else if led.is_some() {
            redirects.push(one);
        }
    }
    let caution = |code, concerned: &[&Seen], title: &str, mend: fn(&str) -> Vec<String>| {
        let first = concerned.first()?;
        let mend = mend(first.path());
        let evidence = first.got();
        Some(Finding { code, failing: false, clients: labels(concerned.iter().copied()), title: title.to_owned(), evidence, mend })
    };
    let login =
        caution("login_taken_for_good", &logins, "A page for logging in is taken for a good answer: it says nothing of the app", |path| {
            vec![format!("Let `{path}` be seen without logging in, and answer it with 200 or 500.")]
        });
    let redirect = caution(
        "redirect_taken_for_good",
        &redirects,
        "A redirect is taken for a good answer: it says nothing of what it leads to",
        |path| {
            vec![
                format!("Answer `{path}` itself with 200 or 500."),
                "Narrow the success codes to 200, where the client has a list of them.".to_owned(),
            ]
        },
    );
    login.into_iter().chain(redirect).collect()
}

fn any_path(seen: &[Seen]) -> Finding {
    Finding {
        code: "any_path",
        failing: false,
        clients: labels(seen.iter().filter(|one| one.content)),
        title: "Every path is answered as if it were the right one: such an answer says nothing".to_owned(),
        evidence: "a path that nobody has, /allswell-doctor-…, is answered as good".to_owned(),
        mend: vec![
            "Poll a path that looks at what the app needs; single-page apps and default pages answer 200 to anything.".to_owned(),
            "nginx: `try_files $uri /index.html` also answers health checks of an app that is gone: proxy the health path to the app."
                .to_owned(),
        ],
    }
}

fn head_refused(one: &Seen) -> Finding {
    Finding {
        code: "head_refused",
        failing: false,
        clients: Vec::new(),
        title: "HEAD is refused, which other clients send: monitors, and HAProxy by `option httpchk HEAD`".to_owned(),
        evidence: format!("asked as {} asks, but by HEAD, it answers 405 or 501", one.client.label),
        mend: vec![format!("Answer HEAD at `{}` as GET, without the body.", one.path())],
    }
}

/// A report that says that not all is well, in an answer that says the opposite.
fn says_fail_by_200(one: &Seen) -> Option<Finding> {
    let answer = one.polled.answer.as_ref().filter(|_| one.content)?;
    let report: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let status = report.get("status")?.as_str()?.to_ascii_lowercase();
    ["fail", "down", "error", "unhealthy", "critical", "out_of_service"].contains(&status.as_str()).then(|| Finding {
        code: "fails_by_200",
        failing: false,
        clients: Vec::new(),
        title: "The body says that not all is well, and the status says that it is: no load balancer reads the body".to_owned(),
        evidence: one.told(),
        mend: vec!["Answer with 500 or 503 when not all is well.".to_owned()],
    })
}

/// Who answered, and would not have on a worse day.
fn nearly_slow(seen: &[Seen]) -> Option<Finding> {
    let near: Vec<&Seen> = seen.iter().filter(|one| one.content && one.polled.took > one.poll.limit().mul_f64(NEARLY)).collect();
    let first = near.first()?;
    Some(Finding {
        code: "nearly_slow",
        failing: false,
        evidence: format!(
            "{} had its answer after {:.0} ms, and waits {}",
            first.client.label,
            first.took_ms(),
            TimeSpan(first.poll.limit())
        ),
        clients: labels(near),
        title: "The answer comes just in time: under load, or to several nodes at once, it will not".to_owned(),
        mend: vec!["Answer from memory: look at databases and queues beside the request, not in it, as allswell does.".to_owned()],
    })
}

/// A body of which a client reads only the beginning, and then closes the connection.
fn large_body(seen: &[Seen]) -> Option<Finding> {
    let cut_off = |one: &Seen| match (one.client.profile.awaited, &one.polled.answer) {
        (ResponsePart::Bytes(window), Some(answer)) => answer.body.len() >= window,
        _ => false,
    };
    let concerned: Vec<&Seen> = seen.iter().filter(|one| one.content && cut_off(one)).collect();
    let ResponsePart::Bytes(window) = concerned.first()?.client.profile.awaited else { return None };
    Some(Finding {
        code: "large_body",
        failing: false,
        clients: labels(concerned),
        title: "The body is larger than what the client reads: it closes the connection in the middle".to_owned(),
        evidence: format!("{} or more", ByteSize(window as u64)),
        mend: vec!["Answer with a small body; the server's log shows resets and broken pipes otherwise.".to_owned()],
    })
}

/// What most clients do not look at, and those who look will not believe, now or soon.
fn certificate(seen: &[Seen]) -> Option<Finding> {
    let blind: Vec<&Seen> = seen.iter().filter(|one| one.polled.certificate.is_some() && !one.client.profile.verifies).collect();
    let shown: Vec<_> = seen.iter().filter_map(|one| Some((&one.poll.name, one.polled.certificate.as_ref()?))).collect();
    let doubted = shown.iter().find_map(|(name, certificate)| Some((name, certificate.trouble.clone()?)));
    let expires =
        shown.iter().find_map(|(name, certificate)| Some((name, certificate.days_left.filter(|days| (0..=SOON).contains(days))?)));
    let finding =
        |code, clients, title: &str, evidence, mend| Finding { code, failing: false, clients, title: title.to_owned(), evidence, mend };
    match (doubted, expires) {
        (Some((name, trouble)), _) => Some(finding(
            "certificate_unverified",
            labels(blind),
            "The certificate would not be believed by who verifies it; these clients do not",
            trouble.clone(),
            mend::certificate(&trouble, name),
        )),
        (None, Some((_, days))) => Some(finding(
            "certificate_expires",
            labels(seen.iter().filter(|one| one.polled.certificate.is_some())),
            "The certificate expires soon",
            format!("in {days} days"),
            vec!["Renew it.".to_owned()],
        )),
        (None, None) => None,
    }
}
