//! `allswell doctor`, against a real Django app with each fault switched on, real nginx and Apache that redirect to HTTPS, a real `HAProxy`
//! that must conclude the same, allswell itself, and servers that misbehave.

use crate::{
    helpers::{Allswell, Ran, command, eventually, free_port, no_such_name, run},
    servers::{
        Certificates, Redirecting, django, haproxy,
        hostile::{BlackHole, Hostile},
        nginx, redirecting_apache, redirecting_nginx, tls_front, tls_front_by_tls13,
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path};
use tempfile::TempDir;

const EVERYBODY: [&str; 8] = ["alb", "nlb", "classic-elb", "route53", "kubelet", "haproxy", "envoy", "consul"];

fn doctor_in(directory: &TempDir, arguments: &[&str]) -> Ran {
    run(command(directory).arg("doctor").args(arguments))
}

fn doctor(arguments: &[&str]) -> Ran {
    doctor_in(&tempfile::tempdir().expect("a folder"), arguments)
}

/// What the doctor found out, for programs.
struct Examined {
    code: Option<i32>,
    json: Value,
}

fn examine(url: &str, more: &[&str]) -> Examined {
    let ran = doctor(&[&[url, "--format", "json"], more].concat());
    let json = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr));
    Examined { code: ran.code, json }
}

impl Examined {
    fn content(&self) -> Vec<&str> {
        let clients = self.json["clients"].as_array().expect("clients").iter();
        clients.filter(|client| client["content"] == true).filter_map(|client| client["client"].as_str()).collect()
    }

    /// Whom each finding concerns, by its code.
    fn findings(&self) -> BTreeMap<&str, Vec<&str>> {
        let findings = self.json["findings"].as_array().expect("findings").iter();
        findings.map(|finding| (finding["code"].as_str().expect("a code"), texts(&finding["clients"]))).collect()
    }

    fn finding(&self, code: &str) -> &Value {
        let findings = self.json["findings"].as_array().expect("findings");
        findings.iter().find(|finding| finding["code"] == code).unwrap_or_else(|| panic!("no {code}: {:#}", self.json))
    }

    fn client(&self, name: &str) -> &Value {
        let clients = self.json["clients"].as_array().expect("clients");
        clients.iter().find(|client| client["client"] == name).unwrap_or_else(|| panic!("no {name}: {:#}", self.json))
    }

    /// Nobody but these is content, these are the codes of what was found, and the exit code says whether all are content.
    fn is(&self, what: &str, content: &[&str], codes: &[&str]) -> &Self {
        let mut expected = codes.to_vec();
        expected.sort_unstable();
        assert_eq!(self.content(), content, "{what}: {:#}", self.json);
        assert_eq!(self.findings().into_keys().collect::<Vec<_>>(), expected, "{what}: {:#}", self.json);
        let all = self.json["clients"].as_array().map_or(0, Vec::len) == content.len();
        assert_eq!((self.code, &self.json["content"]), (Some(i32::from(!all)), &json!(all)), "{what}");
        self
    }
}

fn texts(values: &Value) -> Vec<&str> {
    values.as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

fn but(without: &[&str]) -> Vec<&'static str> {
    EVERYBODY.into_iter().filter(|name| !without.contains(name)).collect()
}

fn url(port: u16, path: &str) -> String {
    format!("http://localhost:{port}{path}")
}

#[test]
fn a_django_app_that_redirects_and_refuses_hosts() {
    // The address that balancers send is refused; who sends the URL's own Host gets to the redirect.
    let server = django(&["localhost", "trust"]);
    let at = |path: &str| url(server.port, path);
    let health = examine(&at("/health/"), &[]);
    // Without a Host, Django takes its own, which is `localhost`.
    health.is("strict", &["route53", "haproxy"], &["host", "https_redirect", "redirect_taken_for_good"]);
    assert_eq!(health.findings()["host"], ["alb", "nlb", "classic-elb", "kubelet", "envoy"]);
    let evidence = format!("with `Host: 127.0.0.1:{0}` it answers 400 Bad Request; with `Host: localhost:{0}` 301", server.port);
    assert_eq!(health.finding("host")["evidence"], evidence);
    assert_eq!(health.findings()["https_redirect"], ["consul"]);
    assert_eq!(health.client("alb")["says"], "unhealthy, Target.ResponseCodeMismatch: Health checks failed with these codes: [400]");
    assert_eq!(health.client("nlb")["host"], "192.0.2.1:80");
    let redirect = health.finding("https_redirect");
    assert!(
        redirect["evidence"].as_str().is_some_and(|text| text.contains("with `X-Forwarded-Proto: https` it does not, but")),
        "{redirect}"
    );
    assert!(texts(&redirect["mend"]).contains(&"Django: SECURE_REDIRECT_EXEMPT = [r\"^health/$\"]."), "{redirect}");
    // Another redirect behind it is another matter.
    let slash = examine(&at("/private"), &["--as", "consul"]);
    assert_eq!(slash.findings().into_keys().collect::<Vec<_>>(), ["https_redirect"], "{:#}", slash.json);
    // The exempt path has no fault but the Host.
    let open = examine(&at("/open/"), &[]);
    open.is("exempt", &["route53", "haproxy", "consul"], &["host"]);
    let evidence = format!("with `Host: 127.0.0.1:{0}` it answers 400 Bad Request; with `Host: localhost:{0}` 200", server.port);
    assert_eq!(open.finding("host")["evidence"], evidence);
}

#[test]
fn a_django_app_that_allows_no_host_that_we_know() {
    for words in [&["plain"][..], &["plain", "debug"]] {
        let server = django(if words.len() == 1 { &["plain"] } else { &["plain", "debug"] });
        let seen = examine(&url(server.port, "/health/"), &[]);
        seen.is("nobody's Host", &[], &["host"]);
        assert_eq!(seen.findings()["host"], EVERYBODY);
        let haproxy = examine(&url(server.port, "/health/"), &["--as", "haproxy"]);
        let mend = "HAProxy: `http-check send meth GET uri /health/ ver HTTP/1.1 hdr Host www.example.com` below `option httpchk`.";
        assert_eq!(haproxy.finding("host")["mend"][0], mend);
    }
}

#[test]
fn a_django_app_that_redirects_everybody_for_ever() {
    let server = django(&["any-host"]);
    let seen = examine(&url(server.port, "/health/"), &[]);
    // These take the redirect itself for an answer.
    seen.is(
        "no header is trusted",
        &["nlb", "route53", "haproxy"],
        &["https_redirect", "forwarded_proto_ignored", "redirect_taken_for_good"],
    );
    let trial = seen.finding("https_redirect")["evidence"].as_str().expect("evidence");
    assert!(trial.ends_with("with `X-Forwarded-Proto: https` it does so as well"), "{trial}");
    // The kubelet follows within the host, to where no TLS is spoken.
    let kubelet = seen.client("kubelet");
    assert_eq!(kubelet["redirects"][0]["to"], format!("https://127.0.0.1:{}/health/", server.port), "{kubelet}");
    assert!(texts(&seen.finding("forwarded_proto_ignored")["mend"])[0].contains("SECURE_PROXY_SSL_HEADER"));
}

#[test]
fn each_fault_of_an_app_has_its_name() {
    let server = django(&["any-host", "plain"]);
    let at = |path: &str| examine(&url(server.port, path), &[]);
    at("/health/").is("well", &EVERYBODY, &[]);
    let took_redirect = ["nlb", "route53", "kubelet", "haproxy", "consul"];
    let slash = at("/health");
    slash.is("slash", &took_redirect, &["slash", "redirect_taken_for_good"]);
    assert_eq!(slash.finding("slash")["title"], "The right path is `/health/`");
    assert_eq!(slash.client("consul")["redirects"][0]["status"], 301);
    let method = at("/get/");
    method.is("method", &but(&["haproxy"]), &["method", "head_refused"]);
    let finding = method.finding("method");
    assert_eq!(finding["evidence"], "405 Method Not Allowed; it allows GET");
    assert_eq!(finding["mend"][0], "HAProxy: `option httpchk GET /get/`.");
    let login = at("/private/");
    login.is("login", &took_redirect, &["login", "login_taken_for_good"]);
    assert_eq!(login.findings()["login_taken_for_good"], took_redirect);
    at("/csrf/").is("CSRF", &[], &["csrf"]);
    at("/forbidden/").is("forbidden", &[], &["forbidden"]);
    at("/error/").is("error", &[], &["server_error"]);
    at("/none/").is("missing", &[], &["not_found"]);
    at("/stream/").is("no length", &but(&["classic-elb"]), &["no_content_length"]);
    at("/empty/").is("no content", &["nlb", "route53", "kubelet", "haproxy", "consul"], &["unexpected_status"]);
    // Consul takes 429 for a warning, and goes on.
    at("/limited/").is("limited", &["consul"], &["rate_limited"]);
    let round = at("/round/");
    round.is("loop", &["nlb", "route53", "haproxy"], &["redirect_loop", "redirect_taken_for_good"]);
    assert_eq!(round.client("consul")["redirects"].as_array().map(Vec::len), Some(9));
    at("/moved/").is("moved", &took_redirect, &["redirect", "redirect_taken_for_good"]);
    let slow = at("/slow/");
    // A second and a half of the two that HAProxy and Route 53 wait.
    slow.is("slow", &but(&["kubelet", "envoy"]), &["slow", "nearly_slow"]);
    assert_eq!(slow.findings()["nearly_slow"], ["haproxy"]);
    let evidence = slow.finding("slow")["evidence"].as_str().expect("evidence");
    assert!(evidence.contains("no answer within 1s; others had an answer after 1s 5"), "{evidence}");
    assert!(slow.client("kubelet")["says"].as_str().is_some_and(|says| says.contains("context deadline exceeded")));
}

#[test]
fn without_a_redirect_a_missing_slash_is_found_as_well() {
    let server = django(&["any-host", "plain", "no-append"]);
    let seen = examine(&url(server.port, "/health"), &["--as", "alb,haproxy"]);
    seen.is("404", &[], &["slash"]);
    assert_eq!(seen.finding("slash")["title"], "The right path is `/health/`");
}

#[test]
fn an_app_that_answers_any_path_is_found_out() {
    let server = django(&["any-host", "plain", "any-path"]);
    let seen = examine(&url(server.port, "/health/"), &[]);
    seen.is("any path", &EVERYBODY, &["any_path"]);
    assert_eq!(seen.finding("any_path")["failing"], false);
}

#[test]
fn nginx_and_apache_redirect_with_and_without_an_exemption() {
    for (name, Redirecting { server, strict, sparing }) in [("nginx", redirecting_nginx()), ("Apache", redirecting_apache())] {
        let seen = examine(&url(strict, "/health"), &["--as", "alb,nlb,classic-elb,route53,kubelet,haproxy,envoy"]);
        let codes = ["https_redirect", "forwarded_proto_ignored", "redirect_taken_for_good"];
        // The kubelet follows to port 443 of the same host, where nobody listens.
        seen.is(name, &["nlb", "route53", "haproxy"], &codes);
        assert_eq!(seen.client("alb")["status"], 301);
        let mend = texts(&seen.finding("https_redirect")["mend"]).join("\n");
        assert!(
            mend.contains("nginx: put the `return 301` into `location /`")
                && mend.contains("Apache: `RewriteCond %{REQUEST_URI} !^/health$`"),
            "{mend}"
        );
        examine(&url(sparing, "/health"), &[]).is(name, &EVERYBODY, &[]);
        drop(server);
    }
}

#[test]
fn a_server_that_hangs_up_on_strangers_is_asked_by_its_own_name() {
    let Redirecting { server, .. } = redirecting_nginx();
    let seen = examine(&url(server.nginx_for_friends(), "/"), &[]);
    seen.is("return 444", &["route53", "consul"], &["any_path", "host"]);
    assert!(
        seen.finding("host")["evidence"]
            .as_str()
            .is_some_and(|text| text.contains("connection closed before a response; with `Host: localhost:"))
    );
}

#[test]
fn a_configuration_that_cannot_be_run_is_no_reason_not_to_ask_somebody_else() {
    let directory = tempfile::tempdir().expect("a folder");
    fs::write(directory.path().join("allswell.toml"), "[server]\ntoken = \"${NOT_SET}\"\n").expect("a configuration");
    let ran = doctor_in(&directory, &[&url(free_port(), "/"), "--as", "kubelet"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("NOT_SET") && ran.stderr.contains("own configuration is left out"), "{}", ran.stderr);
    assert_eq!(doctor_in(&directory, &[]).code, Some(2));
}

#[test]
fn allswell_itself_contents_everybody_while_all_is_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let media = folder.path().join("media");
    fs::create_dir(&media).expect("a folder");
    let configuration = format!("[defaults]\ninterval = \"100ms\"\n[checks.media]\nkind = \"storage\"\npath = \"{}\"\n", media.display());
    let service = Allswell::start(&configuration);
    service.await_report("/health", "it passes", |report| report.status == 200);
    for path in ["/health", "/", "/readyz", "/livez/", "/healthz", "/health/media"] {
        examine(&format!("http://{}{path}", service.address), &[]).is(path, &EVERYBODY, &[]);
    }
    fs::remove_dir(&media).expect("a folder");
    service.await_report("/health", "it fails", |report| report.status == 500);
    let seen = examine(&format!("http://{}/health", service.address), &[]);
    seen.is("failing", &[], &["says_fail"]);
    assert_eq!(seen.finding("says_fail")["evidence"], "1 of 1 component fails: media");
    // Without a URL it asks whom the configuration tells of.
    let directory = tempfile::tempdir().expect("a folder");
    fs::write(directory.path().join("allswell.toml"), format!("[server]\nlisten = \"{}\"\n", service.address)).expect("a configuration");
    let ran = doctor_in(&directory, &["--as", "kubelet"]);
    assert!(
        ran.code == Some(1) && ran.stdout.starts_with(&format!("http://{}/health at", service.address)),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn every_client_asks_as_it_does() {
    let mut asked = String::new();
    for name in EVERYBODY {
        let (server, heard) = Hostile::listening("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let seen = examine(&url(server.port(), "/health?deep=1"), &["--as", name]);
        assert_eq!(seen.content(), [name]);
        let request = heard.recv().expect("a request").replace(&server.port().to_string(), "PORT");
        asked += &format!("--- {name}\n{}", request.replace("\r\n", "\n"));
    }
    insta::assert_snapshot!(asked);
}

#[test]
fn haproxy_concludes_the_same() {
    let service = Allswell::start("[checks.memory]\nkind = \"memory\"\n");
    let (web, ..) = nginx();
    let refused = free_port();
    // What becomes of HAProxy's default probe, which asks for `/`, in its own words.
    for (port, word) in [
        (service.address.port(), "L7OK"),
        (web.port, "L7STS"),
        (refused, "L4CON"),
        (Hostile::babbling().port(), "L7RSP"),
        (Hostile::silent().port(), "L7TOUT"),
    ] {
        let proxy = haproxy(port, free_port());
        eventually(&format!("HAProxy says {word}"), || (proxy.haproxy_state("both").check == word).then_some(()));
        let seen = examine(&url(port, "/"), &["--as", "haproxy"]);
        let says = seen.client("haproxy")["says"].as_str().expect("words").to_owned();
        assert!(says.split([' ', '/', ':', ',']).any(|said| said == word), "{word}: {says}");
    }
}

#[test]
fn servers_that_misbehave() {
    let at = |port: u16, clients: &str| examine(&url(port, "/health"), &["--as", clients]);
    let refused = at(free_port(), "alb,kubelet,haproxy");
    refused.is("refused", &[], &["unreachable"]);
    assert!(refused.client("haproxy")["says"].as_str().is_some_and(|says| says.contains("L4CON")));
    at(BlackHole::new().port, "kubelet,haproxy").is("black hole", &[], &["packets_dropped"]);
    at(Hostile::silent().port(), "kubelet,haproxy").is("silent", &[], &["slow"]);
    at(Hostile::hanging_up().port(), "kubelet,haproxy").is("hangs up", &[], &["hangs_up"]);
    at(Hostile::resetting().port(), "kubelet").is("resets", &[], &["hangs_up"]);
    at(Hostile::babbling().port(), "kubelet,haproxy").is("babbles", &[], &["not_http"]);
    // A body that never ends is an answer for who waits for its head, and none for who waits for its end; a kubelet reads 10 KiB.
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";
    at(Hostile::endless(head, b"x").port(), "kubelet,haproxy,route53").is(
        "endless",
        &["kubelet", "haproxy", "route53"],
        &["any_path", "large_body"],
    );
    at(Hostile::trickling(head, b"x").port(), "haproxy,kubelet,envoy").is("trickles", &["haproxy"], &["any_path", "endless_body"]);
    at(Hostile::trickling(b"HTTP/1.1 200 OK\r\nX: ", b"x").port(), "kubelet,haproxy").is("endless head", &[], &["slow"]);
    at(Hostile::endless(b"HTTP/1.1 200 OK\r\nX: ", b"x").port(), "kubelet").is("huge head", &[], &["not_http"]);
    // Whatever is in a header, a terminal gets no control characters and no end of text.
    let shouting = "HTTP/1.1 302 Found\r\nLocation: /\x1b]0;owned\x07\x1b[31m\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (server, _heard) = Hostile::listening(shouting);
    let ran = doctor(&[&url(server.port(), "/health"), "--as", "alb"]);
    assert!(ran.code == Some(1) && !ran.stdout.contains(['\x1b', '\x07']), "{:?}", ran.stdout);
}

#[test]
fn trouble_with_tls() {
    let (web, tls_port, certificates) = nginx();
    let folder = tempfile::tempdir().expect("a folder");
    let old = tls_front(web.port, &Certificates::expired(folder.path()));
    let secure = |port: u16| format!("https://localhost:{port}/");
    // Nobody but Consul looks at the certificate; the others are told.
    let all_but_haproxy = "alb,nlb,classic-elb,route53,kubelet,envoy,consul";
    let untrusted = examine(&secure(tls_port), &["--as", all_but_haproxy]);
    untrusted.is("untrusted", &["alb", "nlb", "classic-elb", "route53", "kubelet", "envoy"], &["certificate", "certificate_unverified"]);
    assert_eq!(untrusted.finding("certificate")["evidence"], "the certificate's issuer is not trusted");
    assert_eq!(untrusted.findings()["certificate"], ["consul"]);
    let expired = examine(&secure(old), &["--as", "alb,consul"]);
    expired.is("expired", &["alb"], &["certificate", "certificate_unverified"]);
    assert_eq!(expired.finding("certificate")["evidence"], "the certificate has expired");
    let plain = examine(&url(tls_port, "/"), &["--as", "alb,kubelet"]);
    plain.is("plain to a TLS port of nginx", &[], &["speaks_https"]);
    let front = tls_front(web.port, &certificates);
    examine(&url(front, "/"), &["--as", "alb,kubelet"]).is("plain to a TLS port", &[], &["speaks_https"]);
    examine(&secure(web.port), &["--as", "alb,kubelet"]).is("TLS to a plain port", &[], &["speaks_http"]);
    // Whose issuer is trusted has nothing to hear of it, also from those who ask for an address.
    let directory = tempfile::tempdir().expect("a folder");
    let ran =
        run(command(&directory).env("SSL_CERT_FILE", &certificates.authority).args(["doctor", "--as", all_but_haproxy, &secure(tls_port)]));
    assert!(ran.code == Some(0) && !ran.stdout.contains("certificate"), "{}{}", ran.stdout, ran.stderr);
    let strict = django(&["plain"]);
    examine(&secure(strict.port), &["--as", "alb,consul"]).is("TLS to a plain port that refuses the Host", &[], &["speaks_http"]);
    let modern = tls_front_by_tls13(web.port, &certificates);
    examine(&secure(modern), &["--as", "alb,kubelet"]).is("TLS 1.3 alone", &["kubelet"], &["tls13_only", "certificate_unverified"]);
}

#[test]
fn what_cannot_be_meant_is_told() {
    let directory = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        fs::write(directory.path().join(name), text).expect("a file");
        name.to_owned()
    };
    let (broken, other, matcher) = (
        file("broken.json", "{ \"TargetGroups\": ["),
        file("other.json", "{ \"LoadBalancers\": [] }"),
        file(
            "matcher.json",
            "{ \"TargetGroups\": [ { \"TargetGroupName\": \"x\", \"Protocol\": \"HTTP\", \"Matcher\": { \"HttpCode\": \"2xx\" } } ] }",
        ),
    );
    let huge = file(
        "huge.json",
        "{ \"TargetGroups\": [ { \"TargetGroupName\": \"a\\u001b[31mb\", \"HealthCheckIntervalSeconds\": 10000000000000000000 } ] }",
    );
    let empty = file("empty.json", "{ \"TargetGroups\": [] }");
    let mut said = String::new();
    for arguments in [
        &["localhost:8080/health"][..],
        &["ftp://localhost/"],
        &["http://user:secret@localhost/"],
        &["http://localhost/", "--as", "elb"],
        &["--alb-json", "none.json"],
        &["--alb-json", &broken],
        &["--alb-json", &other],
        &["--alb-json", &matcher],
        &["--alb-json", &empty],
        &["--alb-json", &huge],
    ] {
        let ran = doctor_in(&directory, arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ran.stderr);
        said += &format!("$ allswell doctor {}\n{}\n", arguments.join(" "), ran.stderr);
    }
    assert!(!said.replace("user:secret@localhost/\n", "").contains("secret"), "{said}");
    insta::assert_snapshot!(said);
    let ran = doctor(&[&format!("http://{}/", no_such_name())]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), "error: the name does not resolve\n"));
}

#[test]
fn a_person_reads_it_from_top_to_bottom() {
    let server = django(&["localhost", "plain"]);
    let ran = doctor(&[&url(server.port, "/get/"), "--as", "alb,route53,haproxy"]);
    let text = ran.stdout.replace(&server.port.to_string(), "PORT");
    let text: Vec<_> = text.split(' ').collect();
    let without_times: Vec<_> = text
        .iter()
        .enumerate()
        .map(|(at, word)| if text.get(at + 1).is_some_and(|next| next.starts_with("ms\n")) { "TIME" } else { word })
        .collect();
    insta::assert_snapshot!(without_times.join(" "));
}

fn target_group(directory: &Path, change: impl FnOnce(&mut Value)) -> String {
    let mut group = json!({
        "TargetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/orders/73e2d6bc24d8a067",
        "TargetGroupName": "orders",
        "Protocol": "HTTP",
        "Port": 8080,
        "VpcId": "vpc-3ac0fb5f",
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPort": "traffic-port",
        "HealthCheckEnabled": true,
        "HealthCheckIntervalSeconds": 30,
        "HealthCheckTimeoutSeconds": 5,
        "HealthyThresholdCount": 5,
        "UnhealthyThresholdCount": 2,
        "HealthCheckPath": "/health",
        "Matcher": { "HttpCode": "200" },
        "LoadBalancerArns": ["arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/orders/50dc6c495c0c9188"],
        "TargetType": "instance",
        "ProtocolVersion": "HTTP1",
        "IpAddressType": "ipv4"
    });
    change(&mut group);
    let file = directory.join("groups.json");
    fs::write(&file, json!({ "TargetGroups": [group] }).to_string()).expect("a file");
    file.display().to_string()
}

/// What a target group comes to, beside a configuration where there is one.
fn advice(configuration: &str, more: &[&str], change: impl FnOnce(&mut Value)) -> (Option<i32>, Value) {
    let directory = tempfile::tempdir().expect("a folder");
    if !configuration.is_empty() {
        fs::write(directory.path().join("allswell.toml"), configuration).expect("a configuration");
    }
    let file = target_group(directory.path(), change);
    let ran = doctor_in(&directory, &[&["--alb-json", &file, "--format", "json"], more].concat());
    let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr));
    (ran.code, json)
}

const OWN: &str =
    "[server]\nlisten = \"0.0.0.0:8080\"\ndrain = \"65s\"\n[checks.db]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\ntimeout = \"2s\"\n";

#[test]
fn a_target_group_is_computed_alone_and_with_our_own_settings() {
    let (code, told) = advice("", &[], |_| {});
    let group = &told["target_groups"][0];
    assert_eq!(code, Some(0), "{told:#}");
    // Two bad polls after a good one, the second of which hangs.
    assert_eq!((&group["detection_ms"], &group["recovery_ms"]), (&json!(65_000), &json!(155_000)));
    assert_eq!((&group["drain_ms"], &group["deregistration_delay_ms"]), (&json!(65_000), &Value::Null));
    assert_eq!((&group["component_detection_ms"], &told["clients"]), (&Value::Null, &json!([])), "nobody was polled");

    let (code, told) = advice(OWN, &[], |_| {});
    let group = &told["target_groups"][0];
    assert_eq!(code, Some(0), "{told:#}");
    // A probe's interval with its jitter, its timeout, two polls, and our deadline.
    assert_eq!(group["component_detection_ms"], json!(11_000 + 2_000 + 60_000 + 800));
    assert_eq!(group["recovery_ms"], json!(11_000 + 2_000 + 150_000 + 800));
    assert_eq!(group["drain_ms"], json!(60_800));

    // A container is configured by variables alone.
    let variables = tempfile::NamedTempFile::new().expect("a file");
    fs::write(variables.path(), "ALLSWELL_CHECKS__MEMORY__KIND=memory\nALLSWELL_CHECKS__MEMORY__TIMEOUT=3s\n").expect("variables");
    let (_, told) = advice("", &["--env-file", variables.path().to_str().expect("text")], |_| {});
    assert_eq!(told["target_groups"][0]["component_detection_ms"], json!(11_000 + 3_000 + 60_000 + 800), "{told:#}");
}

#[test]
fn settings_that_contradict_each_other_are_named() {
    let set = |key: &'static str, value: Value| move |group: &mut Value| group[key] = value;
    let own = |more: &str| OWN.replace("[server]\n", &format!("[server]\n{more}\n"));
    let codes = |(code, told): (Option<i32>, Value)| {
        let findings = told["target_groups"][0]["findings"].as_array().expect("findings").clone();
        let codes: Vec<String> = findings.iter().map(|finding| finding["code"].as_str().expect("a code").to_owned()).collect();
        (code, codes)
    };
    let contradicts = |code: &str| (Some(1), vec![code.to_owned()]);
    let cautions = |code: &str| (Some(0), vec![code.to_owned()]);
    assert_eq!(codes(advice(OWN, &[], set("HealthCheckTimeoutSeconds", json!(30)))), contradicts("timeout_above_interval"));
    assert_eq!(codes(advice(OWN, &[], set("Matcher", json!({ "HttpCode": "0-99" })))).1, ["matcher_never_matches"]);
    assert_eq!(codes(advice(OWN, &[], set("Matcher", json!({ "HttpCode": "204" })))), contradicts("matcher_never_matches"));
    assert_eq!(codes(advice(&own("warn_status = 218"), &[], |_| {})), contradicts("matcher_misses_warnings"));
    assert_eq!(codes(advice(&own("deadline = \"5s\""), &[], |_| {})), contradicts("deadline_above_timeout"));
    let network = |group: &mut Value| {
        group["Protocol"] = json!("TCP");
        group["Matcher"] = json!({ "HttpCode": "200-599" });
        group["LoadBalancerArns"] = json!(["arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/net/orders/5"]);
    };
    assert_eq!(codes(advice(OWN, &[], network)), contradicts("matcher_always_matches"));
    assert_eq!(codes(advice(&OWN.replace("65s", "5s"), &[], |_| {})), cautions("drain_too_short"));
    let attributes = set("Attributes", json!([{ "Key": "deregistration_delay.timeout_seconds", "Value": "20" }]));
    assert_eq!(codes(advice(OWN, &[], attributes)), contradicts("deregistration_below_drain"));
    let hasty = |group: &mut Value| {
        group["HealthCheckIntervalSeconds"] = json!(5);
        group["HealthCheckTimeoutSeconds"] = json!(2);
    };
    assert_eq!(codes(advice(OWN, &[], hasty)), contradicts("one_probe_takes_it_out"));
    assert_eq!(codes(advice(&OWN.replace("[checks.db]", "[checks.db]\nfall = 2"), &[], hasty)), (Some(0), vec![]));
    let flapping = |group: &mut Value| {
        hasty(group);
        group["HealthyThresholdCount"] = json!(2);
    };
    assert_eq!(codes(advice("", &[], flapping)), contradicts("thresholds_flap"));
    assert_eq!(codes(advice(OWN, &[], set("HealthCheckPath", json!("/livez")))), contradicts("path_never_fails"));
    assert_eq!(codes(advice(OWN, &[], set("HealthCheckPath", json!("/health/orders")))), contradicts("path_unknown"));
    assert_eq!(codes(advice(OWN, &[], set("HealthCheckPath", json!("/health?format=rss")))), contradicts("path_never_fails"));
    assert_eq!(codes(advice(OWN, &[], set("HealthCheckPath", json!("/health/live")))), contradicts("path_never_fails"));
    assert_eq!(codes(advice(OWN, &[], set("HealthCheckPath", json!("/health/ready/")))), (Some(0), vec![]));
    let grpc = |group: &mut Value| {
        group["ProtocolVersion"] = json!("GRPC");
        group["HealthCheckPath"] = json!("/AWS.ALB/healthcheck");
        group["Matcher"] = json!({ "GrpcCode": "12" });
    };
    assert_eq!(codes(advice(OWN, &[], grpc)), (Some(0), vec![]));
    assert_eq!(codes(advice(OWN, &[], set("HealthCheckPath", json!("/health/db?x=1")))), (Some(0), vec![]));
    assert_eq!(codes(advice(OWN, &[], set("HealthCheckPort", json!("9090")))), cautions("other_port"));
    assert_eq!(codes(advice(OWN, &[], set("HealthCheckProtocol", json!("TCP")))), cautions("port_only"));
    assert_eq!(codes(advice(OWN, &[], set("HealthCheckEnabled", json!(false)))), cautions("checks_disabled"));
}

#[test]
fn attributes_are_read_from_a_file_of_their_own() {
    let directory = tempfile::tempdir().expect("a folder");
    let group = target_group(directory.path(), |_| {});
    let attributes = directory.path().join("attributes.json");
    fs::write(&attributes, json!({ "Attributes": [{ "Key": "deregistration_delay.timeout_seconds", "Value": "20" }] }).to_string())
        .expect("a file");
    let ran = doctor_in(&directory, &["--alb-json", &group, "--alb-json", &attributes.display().to_string()]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn a_target_group_polls_as_it_is_set() {
    let server = django(&["any-host", "plain"]);
    let polled = |change: fn(&mut Value)| {
        let directory = tempfile::tempdir().expect("a folder");
        let file = target_group(directory.path(), change);
        examine(&url(server.port, "/"), &["--alb-json", &file])
    };
    let path = polled(|group| group["HealthCheckPath"] = json!("/none/"));
    path.is("its own path", &[], &["not_found"]);
    assert_eq!(path.client("orders")["path"], "/none/");
    let matched = polled(|group| {
        group["HealthCheckPath"] = json!("/empty/");
        group["Matcher"] = json!({ "HttpCode": "200,204" });
    });
    matched.is("its own codes", &["orders"], &[]);
    let hasty = polled(|group| {
        group["HealthCheckPath"] = json!("/slow/");
        group["HealthCheckTimeoutSeconds"] = json!(1);
    });
    hasty.is("its own time limit", &[], &["slow"]);
    let port = polled(|group| group["HealthCheckProtocol"] = json!("TCP"));
    assert_eq!(port.json["not_polled"], json!(["orders: its health checks are by TCP, which says no more than that somebody listens"]));
    let grpc = polled(|group| group["ProtocolVersion"] = json!("GRPC"));
    grpc.is("gRPC to who knows none", &[], &["http_version"]);
}

#[test]
fn a_target_group_of_grpc_calls_as_it_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let media = folder.path().join("media");
    fs::create_dir(&media).expect("a folder");
    let configuration = format!("[defaults]\ninterval = \"100ms\"\n[checks.media]\nkind = \"storage\"\npath = \"{}\"\n", media.display());
    let service = Allswell::start(&configuration);
    let polled = |path: Option<&str>, code: Option<&str>| {
        let directory = tempfile::tempdir().expect("a folder");
        let file = target_group(directory.path(), |group| {
            group["ProtocolVersion"] = json!("GRPC");
            group["HealthCheckPath"] = json!(path);
            group["Matcher"] = code.map_or(Value::Null, |code| json!({ "GrpcCode": code }));
        });
        examine(&format!("http://{}/", service.address), &["--alb-json", &file])
    };
    service.await_report("/health", "it passes", |report| report.status == 200);
    polled(None, None).is("the default", &["orders"], &[]);
    polled(Some("/none/none"), Some("0")).is("no such method", &[], &["not_grpc"]);
    fs::remove_dir(&media).expect("a folder");
    service.await_report("/health", "it fails", |report| report.status == 500);
    let failing = polled(None, None);
    failing.is("failing", &[], &["grpc_status"]);
    assert_eq!(failing.client("orders")["got"], "grpc-status 14 UNAVAILABLE");
    // The call succeeds, and says NOT_SERVING: who looks at its status alone is never told.
    let check = polled(Some("/grpc.health.v1.Health/Check"), Some("0"));
    assert_eq!((check.content(), check.code), (vec!["orders"], Some(1)));
    assert_eq!(check.json["target_groups"][0]["findings"][0]["code"], "path_never_fails");
}
