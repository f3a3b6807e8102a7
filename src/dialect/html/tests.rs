//! Pages of fixed reports.

use super::{parts::layout, times::Clock, *};
use crate::{
    component::CheckName,
    dialect::{Detail, PagePlace, RenderOptions},
    pollers::{PollerOverview, PollerReport, TargetHealth},
    report::{
        Circumstances, ComponentReport, ConfigReport, FailureReport, Minute, PastFailure, Reload, Report, ServiceIdentity, Status, View,
    },
};
use allswell_checks::contract::{FailureClass, Value};
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeSet, fs, path::Path, sync::Arc, time::Duration};

const TOKEN_ONLY: &str = "FATAL: words of a <driver>";

fn now() -> Timestamp {
    "2026-11-20T03:12:05.512Z".parse().expect("a time")
}

fn before(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

/// An hour of probes that took about as long as this, with these at the given minutes before now.
fn hour(micros: u64, others: &[(usize, Option<Status>)]) -> Arc<[Minute]> {
    (0..60)
        .rev()
        .map(|ago| {
            // As good as random, and always the same.
            let slowest = Duration::from_micros(micros + micros * (ago as u64 * 7 % 11) / 9);
            let worst = others.iter().find(|(at, _)| *at == ago).map_or(Some(Status::Pass), |(_, worst)| *worst);
            Minute::new(worst, None, worst.map(|_| slowest))
        })
        .collect()
}

fn well(kind: &'static str, micros: u64) -> ComponentReport {
    ComponentReport {
        status: Status::Pass,
        kind,
        critical: true,
        duration: Some(Duration::from_micros(micros)),
        checked_at: Some(before(4)),
        since: Some(before(19 * 3600 + 1200)),
        consecutive: 6871,
        passed_once: true,
        last_hour: hour(micros, &[]),
        ..ComponentReport::default()
    }
}

fn observed(component: ComponentReport, values: &[(&'static str, Value)]) -> ComponentReport {
    ComponentReport { values: Arc::new(values.iter().map(|(name, value)| (*name, value.clone())).collect()), ..component }
}

fn failure(class: FailureClass, message: &'static str) -> FailureReport {
    FailureReport { class, message: message.into(), cause: None }
}

fn ill(component: ComponentReport, failure: FailureReport, seconds: i64) -> ComponentReport {
    let minutes = usize::try_from(seconds / 60).expect("a number").min(59);
    let fails: Vec<_> = (0..=minutes).map(|ago| (ago, Some(Status::Fail))).collect();
    ComponentReport {
        status: Status::Fail,
        since: Some(before(seconds)),
        consecutive: u64::try_from(seconds / 10).expect("a number"),
        last_hour: hour(900, &[&fails[..], &[(37, Some(Status::Fail))]].concat()),
        last_failure: Some(Arc::new(PastFailure { failure: failure.clone(), at: before(4) })),
        failure: Some(failure),
        ..component
    }
}

fn components() -> Vec<(&'static str, ComponentReport)> {
    let past = PastFailure { failure: failure(FailureClass::Timeout, "no answer within 2s"), at: before(23 * 60) };
    let unstable = ComponentReport {
        last_failure: Some(Arc::new(past)),
        since: Some(before(21 * 60 + 10)),
        last_hour: hour(4100, &[(22, Some(Status::Fail)), (21, Some(Status::Warn))]),
        ..well("rabbitmq", 4120)
    };
    vec![
        ("orders_db", observed(well("postgres", 841), &[("role", "primary".into()), ("server_version", "15.18".into())])),
        ("cache", observed(well("redis", 232), &[("role", "primary".into()), ("used_memory_bytes", 1_483_000_000_u64.into())])),
        ("broker", unstable),
        ("worker", observed(well("celery", 12_300), &[("workers", 4.into())])),
        ("media", well("s3", 38_400)),
        ("mail", ComponentReport { critical: false, ..well("tcp", 1_900) }),
        ("disk", observed(well("disk", 45), &[("free_bytes", 65_720_000_000_u64.into()), ("free_share", 0.62.into())])),
    ]
}

fn set(components: &mut [(&'static str, ComponentReport)], name: &str, change: impl FnOnce(ComponentReport) -> ComponentReport) {
    let (_, component) = components.iter_mut().find(|(other, _)| *other == name).expect("a component");
    *component = change(component.clone());
}

fn report(components: Vec<(&'static str, ComponentReport)>, since: i64, draining: bool, reload: Option<Reload>) -> Report {
    let name = |name: &str| name.parse::<CheckName>().expect("a name");
    let group = |members: &[&str]| members.iter().map(|member| name(member)).collect::<BTreeSet<_>>();
    let groups = [("ready", group(&["orders_db", "cache"])), ("uploads", group(&["media", "disk"]))];
    let service = ServiceIdentity { name: Some("orders".into()), version: Some("1.4.2".into()), instance: Some("i-0abc".into()) };
    let configuration = ConfigReport { revision: 3, loaded_at: before(4 * 3600), last_reload: reload };
    let since = |_| Some(before(since));
    let circumstances = Circumstances {
        service: service.into(),
        generated_at: now(),
        draining,
        configuration: Some(configuration.into()),
        since: &since,
        groups: Arc::new(groups.map(|(name, members)| (name.to_owned(), members)).into()),
        ..Circumstances::alive()
    };
    let components = components.into_iter().map(|(own, component)| (name(own), component)).collect();
    Report::new(&View::Whole, components, circumstances)
}

fn failing() -> Report {
    let mut all = components();
    set(&mut all, "cache", |cache| {
        let failure = FailureReport { cause: Some(TOKEN_ONLY.to_owned()), ..failure(FailureClass::Timeout, "no answer within 1s") };
        ComponentReport { duration: Some(Duration::from_millis(1000)), values: Arc::default(), ..ill(cache, failure, 12 * 60 + 20) }
    });
    set(&mut all, "mail", |mail| ill(mail, failure(FailureClass::Unreachable, "connection refused"), 95));
    set(&mut all, "disk", |disk| ComponentReport {
        status: Status::Warn,
        warning: Some("86.0 % used, more than 85 %".to_owned()),
        since: Some(before(41 * 60)),
        consecutive: 246,
        last_hour: hour(45, &(0..41).map(|ago| (ago, Some(Status::Warn))).collect::<Vec<_>>()),
        ..observed(disk, &[("free_bytes", 14_830_000_000_u64.into()), ("free_share", 0.14.into())])
    });
    report(all, 12 * 60 + 20, false, None)
}

/// Every state that a page can be in, and its name.
fn reports() -> Vec<(&'static str, Report)> {
    let mut warned = components();
    set(&mut warned, "mail", |mail| ill(mail, failure(FailureClass::Rejected, "the server rejected the credentials"), 95));
    set(&mut warned, "cache", |cache| ComponentReport {
        status: Status::Warn,
        held_left: Some(Duration::from_secs(17)),
        ..ill(cache, failure(FailureClass::Unreachable, "connection refused"), 13)
    });
    set(&mut warned, "media", |media| ComponentReport {
        status: Status::Warn,
        muted: true,
        warning: Some("muted: it is never probed".to_owned()),
        last_hour: Arc::default(),
        since: None,
        checked_at: None,
        duration: None,
        consecutive: 0,
        ..media
    });
    let refused =
        Reload { at: before(150), problems: vec!["allswell.toml:7:1: unknown key `intervall`".to_owned()], needs_restart: vec![] };
    let mut starting = components();
    for (_, component) in &mut starting {
        *component = ComponentReport {
            status: Status::Fail,
            failure: Some(failure(FailureClass::Pending, "there is no result yet")),
            duration: None,
            checked_at: None,
            since: None,
            consecutive: 0,
            passed_once: false,
            last_failure: None,
            last_hour: hour(0, &(0..60).map(|ago| (ago, None)).collect::<Vec<_>>()),
            values: Arc::default(),
            ..component.clone()
        };
    }
    let restart = Reload { at: before(3600), problems: vec![], needs_restart: vec!["server.listen".to_owned()] };
    vec![
        ("pass", report(components(), 21 * 60 + 10, false, Some(restart))),
        ("warn", report(warned, 95, false, Some(refused))),
        ("fail", failing()),
        ("starting", report(starting, 1, false, None)),
        ("draining", report(components(), 8, true, None)),
    ]
}

fn text(page: &[u8]) -> String {
    String::from_utf8(page.to_vec()).expect("text")
}

/// The page below `root`.
fn page_at(report: &Report, detail: Detail, root: &str, view: &View) -> String {
    let pollers = pollers(report.status);
    text(&render(report, &RenderOptions { detail, pollers: Some(&pollers), place: PagePlace { root, view } }))
}

fn whole(report: &Report, detail: Detail) -> String {
    page_at(report, detail, "", &View::Whole)
}

/// A load balancer with two nodes, a kubelet, and a browser.
fn pollers(status: Status) -> PollerOverview {
    let healthy = status.is_good();
    let poller = |client, last: u8, agent: &str, path: &str, interval| PollerReport {
        client,
        address: Some([10, 0, 0, last].into()),
        agent: agent.to_owned(),
        path: path.to_owned(),
        polls: 6871,
        interval: Some(Duration::from_secs(interval)),
        last_polled_at: before(3),
        last_code: if healthy { 200 } else { 500 },
        good: healthy,
        consecutive: if healthy { 6871 } else { 74 },
        health: Some(TargetHealth { healthy, since: before(12 * 60) }),
        conclusion: None,
    };
    let browser = PollerReport { interval: None, health: None, consecutive: 1, ..poller("browser", 80, "Mozilla/5.0 <b>", "/", 1) };
    let balancer = |last| poller("alb", last, "ELB-HealthChecker/2.0", "/health", 10);
    let kubelet = PollerReport {
        last_code: 200,
        good: true,
        health: Some(TargetHealth { healthy: true, since: before(3600) }),
        ..poller("kubelet", 9, "kube-probe/1.35", "/livez", 10)
    };
    let notice = "an ALB with its default thresholds considers this target unhealthy since 2026-11-20T03:00:05.512Z".to_owned();
    PollerOverview { notices: if healthy { vec![] } else { vec![notice] }, seen: vec![balancer(1), balancer(2), kubelet, browser] }
}

#[test]
fn pollers_are_shown_and_their_addresses_only_with_the_token() {
    let full = whole(&failing(), Detail::Full);
    for shown in [
        "Polled by",
        "alb",
        "2 sources, every 10.0 s, last response",
        "unhealthy",
        "kubelet",
        "/livez",
        "considers this target unhealthy since",
    ] {
        assert!(full.contains(shown), "{shown}: {full}");
    }
    for hidden in ["10.0.0.1", "ELB-HealthChecker"] {
        assert!(!full.contains(hidden), "{hidden}");
    }
    let causes = whole(&failing(), Detail::Causes);
    assert!(causes.contains("10.0.0.1") && causes.contains("Mozilla/5.0 &lt;b&gt;"), "{causes}");
    assert!(!whole(&failing(), Detail::Status).contains("alb"));
}

#[test]
fn the_parts_in_their_places_are_the_page_without_ages() {
    for (state, report) in reports() {
        let pollers = pollers(report.status);
        for detail in [Detail::Status, Detail::Causes] {
            let PageParts { layout, parts } = PageParts::render(&report, &pollers, detail);
            let mut whole = layout;
            for (id, html) in parts {
                let (before, after) = whole.split_once(&format!(" id=\"{id}\"></")).unwrap_or_else(|| panic!("{state}: {id}"));
                let (before, _) = before.rsplit_once('<').expect("a tag");
                let (_, after) = after.split_once('>').expect("a tag");
                assert!(html.contains(&format!(" id=\"{id}\"")) && !html.contains('\n'), "{state}: {html}");
                whole = format!("{before}{html}{after}");
            }
            // In the page, each age is the text up to the end of its element.
            let clock = Clock { now: report.generated_at, leaves_ages: false };
            let page = layout_of_page(&report, detail, &pollers, clock);
            let ages = page.split(" data-at=\"").map(|piece| match piece.split_once("\">") {
                Some((at, rest)) if at.bytes().all(|digit| digit.is_ascii_digit()) => {
                    format!("{at}\">{}", &rest[rest.find('<').unwrap_or_default()..])
                }
                _ => piece.to_owned(),
            });
            assert_eq!(whole, ages.collect::<Vec<_>>().join(" data-at=\""), "{state}");
        }
    }
}

fn layout_of_page(report: &Report, detail: Detail, pollers: &PollerOverview, clock: Clock) -> String {
    layout(report, detail, &mut |part| part.markup(report, Some(pollers), clock, detail)).into_string()
}

#[test]
fn a_part_that_has_only_become_older_has_not_changed() {
    let parts = |report: &Report| PageParts::render(report, &pollers(report.status), Detail::Causes);
    let report = failing();
    let mut later = failing();
    later.generated_at = now() + SignedDuration::from_secs(90);
    assert_eq!(parts(&report), parts(&later));
}

#[test]
fn pages_are_as_they_were() {
    // The files stay there: `cargo xtask pages` takes pictures of them.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/status-page");
    let assets = folder.join("health/_assets");
    fs::create_dir_all(&assets).expect("a folder");
    fs::write(assets.join("allswell.css"), STYLE).expect("a file");
    for (state, report) in reports() {
        fs::write(folder.join(state).with_extension("html"), whole(&report, Detail::Full)).expect("a file");
    }
    // A line for each element, so that a difference can be read.
    let lines = whole(&failing(), Detail::Full).replace("><", ">\n<");
    insta::assert_snapshot!(lines.replace(concat!("allswell ", env!("CARGO_PKG_VERSION")), "allswell VERSION"));
}

#[test]
fn a_page_and_its_files_are_small_and_need_no_other_server() {
    for (state, report) in reports() {
        let page = whole(&report, Detail::Causes);
        let size = page.len() + STYLE.len() + SCRIPT.len();
        assert!(size < 50_000, "{state}: {size} bytes");
        for text in [&page, STYLE, SCRIPT] {
            // The only URL is a name: that of SVG, in the icon of the browser's tab.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for foreign in ["http:", "https:", "href=\"//", "src=\"//", "url(", "@import"] {
                assert!(!text.contains(foreign), "{state}: {foreign}");
            }
        }
        for inline in ["style=", "<style", " onclick", " onload", "javascript:", "<script>"] {
            assert!(!page.contains(inline), "{state}: {inline}");
        }
    }
}

#[test]
fn no_text_from_a_backend_becomes_markup() {
    let page = whole(&failing(), Detail::Causes);
    assert!(page.contains("FATAL: words of a &lt;driver&gt;"), "{page}");
    assert!(!whole(&failing(), Detail::Full).contains("FATAL"), "causes need the token");
}

#[test]
fn without_details_a_page_has_only_names_and_statuses() {
    let page = whole(&failing(), Detail::Status);
    for name in ["orders_db", "cache", "mail", "Not well", "fail"] {
        assert!(page.contains(name), "{name}");
    }
    let values = [
        "postgres",
        "1.4.2",
        "i-0abc",
        "timeout",
        "no answer",
        "15.18",
        "primary",
        "uploads",
        "critical",
        "86.0",
        "data-at",
        "2026",
        "03:1",
    ];
    for value in values.iter().chain(&["Configuration", "allswell 0", "<svg class=\"hour\"", " ms", "title>Not well ·"]) {
        assert!(!page.contains(value), "{value}: {page}");
    }
}

#[test]
fn links_are_relative_to_the_page() {
    let report = failing();
    let name = || "cache".parse().expect("a name");
    for (root, view, events) in [
        ("", View::Whole, "data-events=\"health/_events\""),
        ("", View::Ready, "data-events=\"health/_events?of=_ready\""),
        ("../", View::Component(name()), "data-events=\"../health/_events?of=cache\""),
        ("../../", View::Group(name()), "data-events=\"../../health/_events?of=cache\""),
    ] {
        let page = page_at(&report, Detail::Full, root, &view);
        assert!(page.contains(events), "{events}: {page}");
        assert!(page.contains(&format!("href=\"{root}health/_assets/allswell.css\"")), "{page}");
        assert_eq!(page.contains("All components"), view != View::Whole);
    }
}

/// WCAG 2.2, AA: 4.5 for text, of each scheme.
#[test]
fn texts_have_enough_contrast() {
    let (light, dark) = STYLE.split_once("@media (prefers-color-scheme: dark)").expect("two schemes");
    for scheme in [light, dark] {
        let luminance = |name: &str| {
            let (_, rest) = scheme.split_once(&format!("--{name}: #")).unwrap_or_else(|| panic!("--{name}"));
            let channel = |at: usize| {
                let value = f64::from(u8::from_str_radix(&rest[at..at + 2], 16).expect("a number")) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
        };
        let contrast = |one: &str, other: &str| {
            let (one, other) = (luminance(one), luminance(other));
            (one.max(other) + 0.05) / (one.min(other) + 0.05)
        };
        let mut pairs = vec![("paper", "ink"), ("on", "pass"), ("on", "warn"), ("on", "fail")];
        for ground in ["paper", "card", "pass-tint", "warn-tint", "fail-tint"] {
            pairs.extend([(ground, "ink"), (ground, "soft")]);
        }
        for status in ["pass", "warn", "fail"] {
            pairs.extend([("paper", status), ("card", status)]);
        }
        pairs.extend([("pass-tint", "pass"), ("warn-tint", "warn"), ("fail-tint", "fail")]);
        for (ground, text) in pairs {
            let contrast = contrast(ground, text);
            assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
        }
    }
}
