//! The list of pollers, as shown by `?probers`, on the status page and in the metrics.

use crate::helpers::{Allswell, Response, get_with, send};
use serde_json::Value;
use std::fs;

const TOKEN: &str = "Authorization: Bearer sesame\r\n";
const ELB: &str = "User-Agent: ELB-HealthChecker/2.0\r\n";

fn service(media: &std::path::Path) -> Allswell {
    Allswell::start(&format!(
        "[server]\ntoken = \"sesame\"\n[defaults]\ninterval = \"100ms\"\n[checks.media]\nkind = \"storage\"\npath = \"{}\"\n",
        media.display()
    ))
}

fn with_token(service: &Allswell, query: &str) -> Response {
    get_with(service.address, &format!("/health?probers{query}"), &format!("{TOKEN}User-Agent: curl/8.5\r\n"))
}

/// The only source of a client.
fn prober(service: &Allswell, client: &str) -> Value {
    let report = with_token(service, "").json();
    let seen = report["probers"]["seen"].as_array().expect("probers").clone();
    let mut of_client = seen.into_iter().filter(|prober| prober["client"] == client);
    let one = of_client.next().unwrap_or_else(|| panic!("no {client}: {report}"));
    assert_eq!(of_client.next(), None, "one {client}");
    one
}

#[test]
fn a_load_balancer_is_recognised_and_its_conclusion_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let media = folder.path().join("media");
    fs::create_dir(&media).expect("a folder");
    let service = service(&media);
    service.await_report("/health", "the component passes", |report| report.status == 200);
    for _ in 0..3 {
        assert_eq!(get_with(service.address, "/health", ELB).status, 200);
    }
    let alb = prober(&service, "alb");
    assert_eq!((&alb["address"], &alb["agent"], &alb["path"]), (&"127.0.0.1".into(), &"ELB-HealthChecker/2.0".into(), &"/health".into()));
    assert_eq!((&alb["polls"], &alb["last_code"], &alb["consecutive"], &alb["good"]), (&3.into(), &200.into(), &3.into(), &true.into()));
    assert!(alb["interval_ms"].as_f64().is_some_and(|interval| interval >= 0.0), "{alb}");
    assert!(
        alb["concludes"]
            .as_str()
            .is_some_and(|words| words.starts_with("an ALB with its default thresholds considers this target healthy since 20")),
        "{alb}"
    );

    fs::remove_dir(&media).expect("a folder");
    service.await_report("/health", "the component fails", |report| report.status == 500);
    for _ in 0..2 {
        assert_eq!(get_with(service.address, "/health", ELB).status, 500);
    }
    let report = with_token(&service, "").json();
    let notice = report["probers"]["notices"][0].as_str().unwrap_or_default().to_owned();
    assert!(notice.starts_with("an ALB with its default thresholds considers this target unhealthy since 20"), "{report}");
    let text = with_token(&service, "&format=text").body;
    assert!(text.contains(&format!("note  {notice}\n")), "{text}");
    assert!(text.lines().any(|line| line.starts_with("poll  alb          127.0.0.1  /health  every ")), "{text}");
    // Without the token the page shows the client, but not its address.
    let page = get_with(service.address, "/?format=html", "").body;
    assert!(page.contains("Polled by") && page.contains(&notice) && page.contains("<strong>alb</strong>"), "{page}");
    assert!(!page.contains("127.0.0.1") && !page.contains("ELB-HealthChecker"), "{page}");
    assert!(get_with(service.address, "/?format=html", TOKEN).body.contains("ELB-HealthChecker"));
    let metrics = get_with(service.address, "/metrics", "").body;
    for line in [
        "allswell_prober_polls_total{client=\"alb\",code=\"200\"} 3\n",
        "allswell_prober_polls_total{client=\"alb\",code=\"500\"} 2\n",
        "allswell_prober_healthy{client=\"alb\"} 0\n",
        "allswell_prober_last_poll_timestamp_seconds{client=\"alb\"} ",
        "allswell_prober_interval_seconds{client=\"alb\"} ",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[test]
fn pollers_are_only_listed_with_the_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = service(folder.path());
    for headers in ["", "Authorization: Bearer wrong\r\n"] {
        let report = get_with(service.address, "/health?probers", headers);
        assert!(report.status == 200 && report.json()["probers"].is_null(), "{}", report.text);
    }
    assert!(with_token(&service, "").json()["probers"]["seen"].is_array());
    assert!(with_token(&service, "=false").json()["probers"].is_null());
    let bare = Allswell::start("[checks.memory]\nkind = \"memory\"\n");
    assert!(get_with(bare.address, "/health?probers", TOKEN).json()["probers"].is_null(), "no token is configured");
}

#[test]
fn clients_are_listed_separately_and_requests_that_are_no_polls_are_not_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = service(folder.path());
    service.await_report("/startupz", "the component passes", |report| report.status == 200);
    let ask = |request: &str| send(service.address, request.as_bytes()).status;
    assert_eq!(ask("OPTIONS / HTTP/1.0\r\n\r\n"), 200);
    for (agent, path) in [
        ("kube-probe/1.35", "/livez"),
        ("Envoy/HC", "/health"),
        ("Consul Health Check", "/readyz/"),
        ("Amazon-Route53-Health-Check-Service (ref x; report y)", "/healthz"),
        ("ELB-HealthChecker/1.0", "/health/media"),
        ("Prometheus/3.1", "/metrics"),
        ("Mozilla/5.0", "/health/_assets/allswell.css"),
        ("Scanner/1.0", "/wp-login.php"),
    ] {
        ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n"));
    }
    for (client, path) in [
        ("haproxy", "/"),
        ("kubelet", "/livez"),
        ("envoy", "/health"),
        ("consul", "/readyz"),
        ("route53", "/healthz"),
        ("classic-elb", "/health/media"),
    ] {
        let prober = prober(&service, client);
        assert_eq!((&prober["path"], &prober["good"], &prober["polls"]), (&path.into(), &true.into(), &1.into()), "{client}");
        assert!(prober["interval_ms"].is_null(), "a single poll has no interval: {prober}");
    }
    let all = with_token(&service, "").json().to_string();
    for none in ["Prometheus", "Mozilla", "Scanner"] {
        assert!(!all.contains(none), "{none}: {all}");
    }
}
