//! Reloading: what did not change goes on, what is wrong is refused whole, and no poll is lost.

use crate::{
    helpers::{Allswell, Response, eventually, get, send},
    servers::hostile::Hostile,
};
use rustix::process::Signal;
use std::{
    fs,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

const TOKEN: &str = "open-sesame";

fn check(name: &str, server: &Hostile) -> String {
    format!("[checks.{name}]\nkind = \"tcp\"\naddress = \"{}\"\ninterval = \"1h\"\n", server.address)
}

fn write(service: &Allswell, configuration: &str) {
    // As editors and orchestrators do: never half a file.
    let new = service.directory.path().join("new");
    fs::write(&new, configuration).expect("a configuration");
    fs::rename(new, service.directory.path().join("allswell.toml")).expect("a configuration");
}

fn post(service: &Allswell, path: &str, token: &str) -> Response {
    let request =
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\nAuthorization: Bearer {token}\r\n\r\n");
    send(service.address, request.as_bytes())
}

fn revision(service: &Allswell, revision: u64) -> Response {
    service.await_report("/health", &format!("revision {revision}"), |response| response.json()["config"]["revision"] == revision)
}

#[test]
fn what_did_not_change_keeps_its_state_and_what_did_starts_anew() {
    let (kept, changed, new) = (Hostile::closing(), Hostile::closing(), Hostile::closing());
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
    let after = service.await_report("/health", "all have answered", |response| response.class("down").as_deref() == Some("unreachable"));
    let json = after.json();
    assert_eq!(after.status, 503, "server options change as well");
    assert_eq!(json["config"]["last_reload"]["outcome"], "applied");
    assert_eq!(json["components"]["kept"], before.json()["components"]["kept"], "state, times and counts stay");
    assert_eq!(json["components"]["gone"], serde_json::Value::Null);
    assert_eq!(json["components"]["changed"]["consecutive"], 1);
    assert_ne!(json["components"]["changed"]["since"], before.json()["components"]["changed"]["since"]);
    new.await_accepted(1);
    assert_eq!(kept.accepted(), 1, "what did not change is not probed for a reload");
    assert_eq!(service.get("/health/gone").status, 404);
}

#[test]
fn what_is_wrong_is_refused_whole_and_told() {
    let server = Hostile::closing();
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
    assert_eq!((report.status, &report.json()["config"]["revision"]), (200, &1.into()), "the old one goes on");
    assert_eq!(report.json()["config"]["last_reload"]["problems"], 2);
    assert!(!report.body.contains("nonsense"), "what the problems are is for who shows the token: {}", report.body);
    assert!(service.log().contains("server.nonsense: there is no such key"), "{}", service.log());

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
fn reloading_takes_the_token() {
    let server = Hostile::closing();
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
fn a_watched_file_is_reloaded_when_its_content_changes_also_by_a_link() {
    let (first, second) = (Hostile::closing(), Hostile::closing());
    let service = Allswell::start(&format!("[server]\nwatch_config = true\n{}", check("first", &first)));
    assert_eq!(service.get("/health").status, 200);
    // As Kubernetes does it: a link to a folder is swapped.
    let folder = service.directory.path().join("..data");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("allswell.toml"), format!("[server]\nwatch_config = true\n{}", check("second", &second)))
        .expect("a configuration");
    let link = service.directory.path().join("link");
    symlink(folder.join("allswell.toml"), &link).expect("a link");
    fs::rename(link, service.directory.path().join("allswell.toml")).expect("a swap");
    let after = revision(&service, 2);
    assert_eq!(after.json()["components"]["first"], serde_json::Value::Null);
    // The same content again is no change, however young the file is.
    let text = fs::read_to_string(folder.join("allswell.toml")).expect("a configuration");
    write(&service, &text);
    thread::sleep(std::time::Duration::from_secs(3)); // as long as three looks take; that nothing happens cannot be awaited
    assert_eq!(service.get("/health").json()["config"]["revision"], 2);
}

#[test]
fn what_needs_a_restart_is_said_and_the_rest_is_applied() {
    let (first, second) = (Hostile::closing(), Hostile::closing());
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
        service.events().into_iter().find(|event| event["message"] == "log.format changed; this takes a restart")
    });
    // From here on only warnings are logged.
    assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
    let applications = service.events().iter().filter(|event| event["message"] == "the new configuration is applied").count();
    assert_eq!(applications, 0, "{}", service.log());
}

#[test]
fn a_hundred_reloads_under_load_lose_no_poll_and_leak_nothing() {
    let (kept, other) = (Hostile::closing(), Hostile::closing());
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
