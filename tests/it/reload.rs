//! Reloads: unchanged checks continue, an invalid configuration is refused as a whole, and no poll is lost.

use crate::{
    helpers::{Allswell, Response, eventually, get, send},
    servers::hostile::{Hostile, Slow},
};
use rustix::{fs::Mode, process::Signal};
use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

pub(crate) const TOKEN: &str = "open-sesame";

fn check(name: &str, server: &Hostile) -> String {
    format!("[checks.{name}]\nkind = \"tcp\"\naddress = \"{}\"\ninterval = \"1h\"\n", server.address)
}

pub(crate) fn write(service: &Allswell, configuration: &str) {
    // A rename, as editors and orchestrators do: the service never reads half a file.
    let new = service.directory.path().join("new");
    fs::write(&new, configuration).expect("a configuration");
    fs::rename(new, service.directory.path().join("allswell.toml")).expect("a configuration");
}

pub(crate) fn post(service: &Allswell, path: &str, token: &str) -> Response {
    let request =
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\nAuthorization: Bearer {token}\r\n\r\n");
    send(service.address, request.as_bytes())
}

fn revision(service: &Allswell, revision: u64) -> Response {
    service.await_report("/health", &format!("revision {revision}"), |response| response.json()["config"]["revision"] == revision)
}

#[test]
fn unchanged_checks_keep_their_state_and_changed_ones_start_anew() {
    let (kept, changed, new) = (Hostile::silent(), Hostile::silent(), Hostile::silent());
    let server = |fail_status: u16| format!("[server]\ntoken = \"{TOKEN}\"\nfail_status = {fail_status}\n");
    let service = Allswell::start(&(server(500) + &check("kept", &kept) + &check("changed", &changed) + &check("gone", &changed)));
    let before = service.get("/health");
    assert_eq!((before.status, &before.json()["config"]["revision"]), (200, &1.into()));
    assert_eq!(before.json()["config"]["last_reload"], serde_json::Value::Null);

    write(
        &service,
        &(server(503) + &check("kept", &kept) + &check("changed", &new) + "[checks.down]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n"),
    );
    service.signal(Signal::HUP);
    revision(&service, 2);
    let after = service.await_report("/health", "all components have a result", |response| {
        response.class("down").as_deref() == Some("unreachable") && response.json()["components"]["changed"]["consecutive"] == 1
    });
    let json = after.json();
    assert_eq!(after.status, 503, "server options change as well");
    assert_eq!(json["config"]["last_reload"]["outcome"], "applied");
    assert_eq!(json["components"]["kept"], before.json()["components"]["kept"], "state, times and counts stay");
    assert_eq!(json["components"]["gone"], serde_json::Value::Null);
    assert_eq!(json["components"]["changed"]["consecutive"], 1);
    assert_ne!(json["components"]["changed"]["since"], before.json()["components"]["changed"]["since"]);
    new.await_accepted(1);
    assert_eq!(kept.accepted(), 1, "an unchanged check is not probed for a reload");
    assert_eq!(service.get("/health/gone").status, 404);
}

#[test]
fn an_invalid_configuration_is_refused_as_a_whole() {
    let server = Hostile::silent();
    let valid = format!("[server]\ntoken = \"{TOKEN}\"\n{}", check("port", &server));
    let service = Allswell::start(&valid);
    assert_eq!(service.get("/health").status, 200);
    write(&service, &valid.replace("[server]", "[server]\nfail_status = 200\nnonsense = 1"));
    let refused = post(&service, "/admin/reload", TOKEN);
    assert_eq!((refused.status, &refused.json()["outcome"]), (422, &"refused".into()));
    let problems = refused.json()["problems"].to_string();
    assert!(
        problems.contains("allswell.toml:2:1: server.fail_status") && problems.contains("allswell.toml:3:1: server.nonsense"),
        "{problems}"
    );
    let report = service.get("/health");
    assert_eq!((report.status, &report.json()["config"]["revision"]), (200, &1.into()), "the old configuration stays");
    assert_eq!(report.json()["config"]["last_reload"]["problems"], 2);
    assert!(!report.body.contains("nonsense"), "the problems are shown only with the token: {}", report.body);
    eventually("the problem is logged", || service.log().contains("server.nonsense: unknown key").then_some(()));
}

#[test]
fn a_reload_after_refused_ones_is_applied() {
    let server = Hostile::silent();
    let valid = format!("[server]\ntoken = \"{TOKEN}\"\n{}", check("port", &server));
    let service = Allswell::start(&valid);
    write(&service, "");
    assert_eq!(post(&service, "/admin/reload", TOKEN).status, 422, "from checks to none");
    write(&service, &valid.replace("[server]", "[server]\nlisten = \"127.0.0.1:1\"\n[log]\nformat = \"text\"\n[server]"));
    assert_eq!(post(&service, "/admin/reload", TOKEN).status, 422, "a table that is given twice");
    write(&service, &valid);
    let applied = post(&service, "/admin/reload/", TOKEN);
    assert_eq!((applied.status, &applied.json()["outcome"]), (200, &"applied".into()));
    revision(&service, 2);
}

#[test]
fn a_reload_request_requires_the_token() {
    let server = Hostile::silent();
    let service = Allswell::start(&format!("[server]\ntoken = \"{TOKEN}\"\n{}", check("port", &server)));
    let unauthorized = post(&service, "/admin/reload", "wrong");
    assert_eq!((unauthorized.status, unauthorized.header("www-authenticate")), (401, Some("Bearer")));
    let wrong_method = service.get("/admin/reload");
    assert_eq!((wrong_method.status, wrong_method.header("allow")), (405, Some("POST")));
    let without = Allswell::start(&check("port", &server));
    assert_eq!(post(&without, "/admin/reload", TOKEN).status, 404);
    assert_eq!(without.get("/health").json()["config"]["revision"], 1);
}

#[test]
fn a_watched_file_is_reloaded_when_its_content_or_its_link_changes() {
    let (first, second) = (Hostile::silent(), Hostile::silent());
    let service = Allswell::start(&format!("[server]\nwatch_config = true\n{}", check("first", &first)));
    assert_eq!(service.get("/health").status, 200);
    // Kubernetes swaps a link to a folder.
    let folder = service.directory.path().join("..data");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("allswell.toml"), format!("[server]\nwatch_config = true\n{}", check("second", &second)))
        .expect("a configuration");
    let link = service.directory.path().join("link");
    symlink(folder.join("allswell.toml"), &link).expect("a link");
    fs::rename(link, service.directory.path().join("allswell.toml")).expect("a swap");
    let after = revision(&service, 2);
    assert_eq!(after.json()["components"]["first"], serde_json::Value::Null);
    // A new file with the same content is no change.
    let text = fs::read_to_string(folder.join("allswell.toml")).expect("a configuration");
    write(&service, &text);
    thread::sleep(Duration::from_secs(3)); // as long as three looks take; that nothing happens cannot be awaited
    assert_eq!(service.get("/health").json()["config"]["revision"], 2);
}

#[test]
fn settings_that_need_a_restart_are_named_and_the_others_applied() {
    let (first, second) = (Hostile::silent(), Hostile::silent());
    let checks = check("first", &first) + &check("second", &second);
    let configuration =
        |log: &str, group: &str| format!("[server]\ntoken = \"{TOKEN}\"\n[log]\n{log}\n{checks}[groups.some]\nchecks = [\"{group}\"]\n");
    let service = Allswell::start(&configuration("format = \"json\"", "first"));
    let grouped = |name: &str| service.get("/health/some").json()["components"].as_object().is_some_and(|all| all.contains_key(name));
    assert!(grouped("first"));
    write(&service, &configuration("format = \"text\"\nlevel = \"warn\"", "second"));
    let applied = post(&service, "/admin/reload", TOKEN);
    assert_eq!((applied.status, &applied.json()["needs_restart"]), (200, &serde_json::json!(["log.format"])));
    assert!(grouped("second") && !grouped("first"), "groups change");
    assert_eq!(service.get("/health").json()["config"]["last_reload"]["needs_restart"][0], "log.format");
    eventually("the log says so, in the old format", || {
        service.events().into_iter().find(|event| event["message"] == "log.format changed; restart to apply it")
    });
    // From here on the level is `warn`.
    assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
    let applications = service.events().iter().filter(|event| event["message"] == "the new configuration is applied").count();
    assert_eq!(applications, 0, "{}", service.log());
}

#[test]
fn a_hundred_reloads_under_load_lose_no_poll_and_leak_nothing() {
    let (kept, other) = (Hostile::silent(), Hostile::silent());
    let configuration = |number: u32| {
        let changing = format!("[checks.changing]\nkind = \"tcp\"\naddress = \"{}\"\ninterval = \"{}s\"\n", other.address, 1000 + number);
        format!("[server]\ntoken = \"{TOKEN}\"\n{}{changing}", check("kept", &kept))
    };
    let service = Allswell::start(&configuration(0));
    assert_eq!(service.get("/health").status, 200);
    let held = || {
        let count = |what: &str| fs::read_dir(format!("/proc/{}/{what}", service.pid())).expect("proc").count();
        (count("task"), count("fd"))
    };
    for number in 1..=10 {
        write(&service, &configuration(number));
        assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
    }
    let early = held();
    let done = Arc::new(AtomicBool::new(false));
    let address = service.address;
    let pollers: Vec<_> = (0..4)
        .map(|_| {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                let mut polls = 0;
                while !done.load(SeqCst) {
                    let response = get(address, "/health");
                    assert_eq!(response.status, 200, "{}", response.text);
                    polls += 1;
                }
                polls
            })
        })
        .collect();
    for number in 11..=110 {
        write(&service, &configuration(number));
        assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
    }
    done.store(true, SeqCst);
    let polls: u32 = pollers.into_iter().map(|poller| poller.join().expect("no poll is lost")).sum();
    assert!(polls > 100, "{polls} polls");
    assert_eq!(revision(&service, 111).json()["components"]["kept"]["consecutive"], 1);
    assert_eq!(kept.accepted(), 1);
    eventually("threads and descriptors are as before", || {
        let late = held();
        (late.0 <= early.0 + 3 && late.1 <= early.1 + 5).then_some(())
    });
}

/// Polls while an action runs, and returns the responses whose status code differs from the first one.
pub(crate) fn poll_while(service: &Allswell, path: &'static str, action: impl FnOnce()) -> Vec<(u16, String)> {
    let (done, address) = (Arc::new(AtomicBool::new(false)), service.address);
    let first = get(address, path).status;
    let poller = thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let mut others = Vec::new();
            while !done.load(SeqCst) {
                let response = get(address, path);
                if response.status != first {
                    others.push((response.status, response.body));
                }
            }
            others
        }
    });
    action();
    done.store(true, SeqCst);
    poller.join().expect("no panic")
}

#[test]
fn a_change_of_policy_keeps_state_connection_and_verdict() {
    let slow = Slow::by(0);
    let configuration = |policy: &str| format!("[server]\ntoken = \"{TOKEN}\"\n[checks.slow]\n{}{policy}", slow.table());
    let service = Allswell::start(&configuration("interval = \"1h\"\ntimeout = \"3s\"\n"));
    let before = service.get("/health");
    assert_eq!(before.status, 200);
    // From now on a probe takes longer than the deadline of a poll.
    slow.set(1500);
    let others = poll_while(&service, "/health", || {
        for policy in ["interval = \"1h\"\ntimeout = \"4s\"\n", "fall = 3\nhold = \"1m\"\ninterval = \"1h\"\n", "interval = \"2h\"\n"] {
            write(&service, &configuration(policy));
            assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
        }
    });
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(revision(&service, 4).json()["components"], before.json()["components"]);
    // A shorter interval applies at once.
    slow.set(0);
    write(&service, &configuration("interval = \"200ms\"\ntimeout = \"3s\"\n"));
    assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
    let probed =
        service.await_report("/health", "the component is probed again", |report| report.json()["components"]["slow"]["consecutive"] == 2);
    assert_eq!((probed.status, &probed.json()["components"]["slow"]["since"]), (200, &before.json()["components"]["slow"]["since"]));
    assert_eq!(slow.server.accepted(), 1, "on the same connection");
}

#[test]
fn a_new_check_counts_from_its_first_result_or_its_timeout() {
    let (old, slow, never) = (Hostile::silent(), Slow::by(1000), Slow::by(60_000));
    let server = format!("[server]\ntoken = \"{TOKEN}\"\n{}", check("old", &old));
    let service = Allswell::start(&server);
    assert_eq!(service.get("/health").status, 200);
    let others = poll_while(&service, "/health", || {
        write(&service, &format!("{server}[checks.slow]\n{}timeout = \"5s\"\n", slow.table()));
        assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
        let pending = service.get("/health");
        assert_eq!((pending.status, pending.class("slow").as_deref()), (200, Some("pending")), "{}", pending.body);
        assert_eq!(pending.json()["summary"], "1 component passes; 1 without a result since the reload: slow");
        assert!(pending.took < Duration::from_millis(500), "no poll waits for the new check: {:?}", pending.took);
        service.await_report("/health", "the component has a result", |report| report.json()["components"]["slow"]["status"] == "pass");
    });
    assert!(others.is_empty(), "{others:?}");
    write(&service, &format!("{server}[checks.never]\n{}timeout = \"500ms\"\n", never.table()));
    assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
    let failed = service.await_report("/health", "the timeout of the new check is over", |report| report.status == 500);
    assert!(matches!(failed.class("never").as_deref(), Some("pending" | "timeout")), "{}", failed.body);
}

#[test]
fn a_changed_url_keeps_the_verdict_until_its_first_result() {
    let (well, slow) = (Hostile::silent(), Slow::by(1000));
    let dead = format!("[server]\ntoken = \"{TOKEN}\"\n{}[checks.app]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n", check("well", &well));
    let service = Allswell::start(&dead);
    service.await_report("/health", "the component fails", |report| report.class("app").as_deref() == Some("unreachable"));
    write(&service, &format!("[server]\ntoken = \"{TOKEN}\"\n{}[checks.app]\n{}timeout = \"5s\"\n", check("well", &well), slow.table()));
    assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
    let pending = service.get("/health");
    assert_eq!((pending.status, pending.class("app").as_deref()), (500, Some("pending")), "the verdict stays until the first result");
    assert_eq!(service.get("/health/app").status, 500);
    service.await_report("/health", "the component passes", |report| report.status == 200);
    // And back: a passing component keeps its status until the first result.
    slow.set(0);
    write(&service, &dead);
    assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
    service.await_report("/health", "the component fails again", |report| report.class("app").as_deref() == Some("unreachable"));
}

#[test]
fn a_removed_check_is_in_no_response_after_the_reload() {
    let (kept, gone) = (Hostile::silent(), Slow::by(0));
    let with = format!("[server]\ntoken = \"{TOKEN}\"\n{}", check("kept", &kept));
    let configuration = format!("{with}[checks.gone]\n{}interval = \"50ms\"\n[groups.some]\nchecks = [\"gone\"]\n", gone.table());
    let service = Allswell::start(&with);
    for _ in 0..20 {
        write(&service, &configuration);
        assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
        service.await_report("/health/gone", "the component is there", |report| report.status == 200);
        write(&service, &with);
        assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
        for path in ["/health", "/readyz", "/startupz", "/metrics", "/health?format=text", "/health?format=atom"] {
            let answer = service.get(path);
            assert!(!answer.body.contains("gone"), "{path}: {}", answer.body);
        }
        assert_eq!((service.get("/health/gone").status, service.get("/health/some").status), (404, 404));
    }
}

#[test]
fn settings_that_need_a_restart_are_compared_with_those_of_the_start() {
    let server = Hostile::silent();
    let configuration = |format: &str| format!("[server]\ntoken = \"{TOKEN}\"\n[log]\nformat = \"{format}\"\n{}", check("port", &server));
    let service = Allswell::start(&configuration("json"));
    let needs_restart = |format: &str| {
        write(&service, &configuration(format));
        post(&service, "/admin/reload", TOKEN).json()["needs_restart"].clone()
    };
    assert_eq!(needs_restart("text"), serde_json::json!(["log.format"]));
    assert_eq!(needs_restart("text"), serde_json::json!(["log.format"]), "the change still needs a restart");
    assert_eq!(needs_restart("json"), serde_json::Value::Null, "the setting of the start needs no restart");
}

/// Replaces the configuration with a pipe: reading it blocks until something is written.
fn hang(service: &Allswell) {
    let pipe = service.directory.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("a pipe");
    fs::rename(pipe, service.directory.path().join("allswell.toml")).expect("a pipe in its place");
}

/// Requests a reload on another thread, which returns the response and its duration.
fn reload_on_another_thread(service: &Allswell) -> thread::JoinHandle<(Response, Duration)> {
    let (address, start) = (service.address, Instant::now());
    let request = format!(
        "POST /admin/reload HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    thread::spawn(move || (send(address, request.as_bytes()), start.elapsed()))
}

#[test]
fn hung_files_delay_neither_polls_nor_a_second_reload() {
    let server = Hostile::silent();
    let configuration = format!("[server]\ntoken = \"{TOKEN}\"\n{}", check("port", &server));
    let service = Allswell::start(&configuration);
    assert_eq!(service.get("/health").status, 200);
    hang(&service);
    let others = poll_while(&service, "/health", || {
        let first = reload_on_another_thread(&service);
        thread::sleep(Duration::from_secs(1)); // so that it comes while the first one hangs
        let second = reload_on_another_thread(&service);
        for reload in [first, second] {
            let (refused, took) = reload.join().expect("no panic");
            assert_eq!(refused.status, 422, "{}", refused.body);
            assert!(refused.body.contains("the files could not be read within 8s: a file system may hang"), "{}", refused.body);
            assert!(took < Duration::from_secs(15), "the reloads do not wait for each other: {took:?}");
        }
    });
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(service.get("/health").json()["config"]["last_reload"]["outcome"], "refused");
    // From here on every reader of the pipe gets the configuration.
    let pipe = service.directory.path().join("allswell.toml");
    thread::spawn(move || {
        while let Ok(mut pipe) = fs::OpenOptions::new().write(true).open(&pipe) {
            let _ = pipe.write_all(configuration.as_bytes());
            drop(pipe);
            thread::sleep(Duration::from_millis(50));
        }
    });
    service.await_report("/health", "the reload is repeated", |report| report.json()["config"]["last_reload"]["outcome"] == "applied");
}

#[test]
fn a_hung_read_does_not_block_the_next_reload() {
    let server = Hostile::silent();
    let configuration = format!("[server]\ntoken = \"{TOKEN}\"\n{}", check("port", &server));
    let service = Allswell::start(&configuration);
    hang(&service);
    assert_eq!(post(&service, "/admin/reload", TOKEN).status, 422);
    // The first read still blocks on the pipe, which has been replaced.
    write(&service, &configuration);
    assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
}

#[test]
fn a_secret_file_that_is_empty_or_no_regular_file_is_refused_at_once() {
    let server = Hostile::silent();
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, TOKEN).expect("a token");
    let checks = check("port", &server);
    let service = Allswell::start(&format!("[server]\ntoken_file = \"{}\"\nwatch_config = true\n{checks}", token.display()));
    let refused = |what: &str| {
        let refused = post(&service, "/admin/reload", TOKEN);
        assert!(refused.status == 422 && refused.body.contains(what), "{}", refused.body);
    };
    fs::write(&token, "").expect("an empty file");
    refused("the file is empty: write the secret into it");
    fs::remove_file(&token).expect("a file");
    symlink("/dev/zero", &token).expect("a link");
    refused("this is a pipe or a device, not a regular file");
    thread::sleep(Duration::from_secs(3)); // as long as three looks of the watcher take
    let status = fs::read_to_string(format!("/proc/{}/status", service.pid())).expect("proc");
    let resident: u32 =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok()).expect("memory");
    assert!(resident < 500 * 1024, "{resident} KiB");
}

#[test]
fn a_reload_does_not_end_a_waiting_poll_early() {
    let slow = Slow::by(500);
    let configuration = format!("[server]\ntoken = \"{TOKEN}\"\ndeadline = \"20s\"\n[checks.slow]\n{}timeout = \"20s\"\n", slow.table());
    let service = Allswell::start(&configuration);
    // One poll waits for the first result, the other for a fresh one.
    for path in ["/health", "/health?fresh"] {
        slow.set(3000);
        let address = service.address;
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        let poll = thread::spawn(move || send(address, request.as_bytes()));
        thread::sleep(Duration::from_millis(300)); // so that it waits when the reload comes
        assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
        let answer = poll.join().expect("no panic");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert!(answer.took > Duration::from_millis(400), "{path}: the response has old results: {:?}", answer.took);
        slow.set(0);
    }
}

#[test]
fn a_watched_secret_is_read_again_when_its_file_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    // Kubernetes swaps a link to a folder, through which the file is a link.
    let version = |name: &str, token: &str| {
        let data = folder.path().join(name);
        fs::create_dir(&data).expect("a folder");
        fs::write(data.join("token"), token).expect("a token");
        let link = folder.path().join("..data_tmp");
        symlink(&data, &link).expect("a link");
        fs::rename(link, folder.path().join("..data")).expect("a swap");
    };
    version("..1", TOKEN);
    let token = folder.path().join("token");
    symlink("..data/token", &token).expect("a link");
    let server = Hostile::silent();
    let checks = check("port", &server);
    let service = Allswell::start(&format!("[server]\ntoken_file = \"{}\"\nwatch_config = true\n{checks}", token.display()));
    let before = service.get("/health").json()["components"].clone();
    version("..2", "another-token");
    revision(&service, 2);
    assert_eq!((post(&service, "/admin/drain", TOKEN).status, post(&service, "/admin/drain", "another-token").status), (401, 200));
    assert_eq!(service.get("/health").json()["components"], before, "checks keep their state");
}
