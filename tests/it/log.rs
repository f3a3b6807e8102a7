//! The log: one complete event per status change, and none per poll.

use crate::helpers::{Allswell, command, eventually};
use serde_json::Value;
use std::fs;

fn configuration(format: &str, path: &std::path::Path) -> String {
    format!(
        "[log]\nformat = \"{format}\"\n[defaults]\ninterval = \"100ms\"\n[checks.media]\nkind = \"storage\"\npath = \"{}\"\n",
        path.display()
    )
}

#[test]
fn a_status_change_is_one_event_with_the_previous_status_and_its_duration() {
    let folder = tempfile::tempdir().expect("a folder");
    let media = folder.path().join("media");
    fs::create_dir(&media).expect("a folder");
    let service = Allswell::start(&configuration("json", &media));
    let transitions = || service.events().into_iter().filter(|event| event["to"].is_string()).collect::<Vec<Value>>();
    eventually("the component passes", || (transitions().len() == 1).then_some(()));
    for _ in 0..50 {
        assert_eq!(service.get("/health").status, 200);
    }
    // A probe may just have a file in it.
    eventually("the folder is removed", || fs::remove_dir(&media).ok());
    eventually("the component fails", || (transitions().len() == 2).then_some(()));
    fs::create_dir(&media).expect("a folder");
    eventually("the component passes again", || (transitions().len() == 3).then_some(()));
    let [first, failed, again] = &transitions()[..] else { panic!("three transitions: {}", service.log()) };
    for (event, level, from, to) in [(first, "INFO", "pending", "pass"), (failed, "ERROR", "pass", "fail"), (again, "INFO", "fail", "pass")]
    {
        for (field, expected) in [("level", level), ("component", "media"), ("kind", "storage"), ("from", from), ("to", to)] {
            assert_eq!(event[field], expected, "{event}");
        }
        assert!(event["duration_ms"].as_f64().is_some_and(|millis| millis > 0.0), "{event}");
    }
    assert!(first["lasted_ms"].is_null(), "{first}");
    assert_eq!(failed["class"], "unhealthy", "{failed}");
    assert!(failed["message"].as_str().is_some_and(|message| message.starts_with("media fails: ") && message.len() > 14), "{failed}");
    // The previous status lasted about as long as the time between the two events.
    let at = |event: &Value| event["timestamp"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok()).expect("a time");
    for (before, event) in [(first, failed), (failed, again)] {
        let between = at(event).duration_since(at(before)).as_millis_f64();
        let lasted = event["lasted_ms"].as_f64().expect("a number");
        assert!((lasted - between).abs() < 2000.0, "{lasted} {between}");
    }
}

#[test]
fn the_text_format_logs_the_same_fields() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("allswell.toml"), configuration("text", &folder.path().join("none"))).expect("a file");
    let log = folder.path().join("log");
    let mut service = command(&folder)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stderr(fs::File::create(&log).expect("a file"))
        .spawn()
        .expect("the program starts");
    let line = eventually("a transition", || {
        let log = fs::read_to_string(&log).expect("a log");
        log.lines().find(|line| line.contains(" to=")).map(str::to_owned)
    });
    service.kill().expect("a running process");
    service.wait().expect("the process ends");
    for part in ["ERROR media fails: ", "component=\"media\"", "from=\"pending\"", "to=\"fail\"", "class=\"unhealthy\"", "duration_ms="] {
        assert!(line.contains(part), "{part}: {line}");
    }
}
