//! The main job: five real backends, each of which dies, hangs and returns.

use crate::{
    helpers::{Allswell, Response, eventually},
    servers::{Server, mariadb, postgres, rabbitmq, redis},
};
use std::{
    fs,
    time::{Duration, Instant},
};

const PASSWORD: &str = "correct-horse";
/// The interval of every check. With the timeout it bounds the time until a change is detected.
const INTERVAL: Duration = Duration::from_millis(1000);
const TIMEOUT: Duration = Duration::from_millis(1000);
/// The delay that a busy machine may add.
const NOISE: Duration = Duration::from_secs(5);

fn fails_alone(response: &Response, name: &str, classes: &[&str]) -> bool {
    let json = response.json();
    let others_pass =
        json["components"].as_object().is_some_and(|all| all.iter().all(|(other, one)| other == name || one["status"] == "pass"));
    response.status == 500
        && others_pass
        && json["summary"] == format!("1 of 5 components fails: {name}")
        && response.class(name).is_some_and(|class| classes.contains(&class.as_str()))
}

/// Waits for a change and asserts that it was detected in time.
fn within(limit: Duration, service: &Allswell, what: &str, is: impl Fn(&Response) -> bool) -> Response {
    let start = Instant::now();
    let response = service.await_report("/health", what, is);
    let took = start.elapsed();
    assert!(took < limit + NOISE, "{what} took {took:?}");
    response
}

#[test]
fn five_real_backends_are_reported_as_they_die_hang_and_return() {
    let (mut postgres, mut mariadb, mut redis, mut rabbitmq) = (postgres(PASSWORD), mariadb(PASSWORD), redis(PASSWORD), rabbitmq(PASSWORD));
    let media = tempfile::tempdir().expect("a temporary directory");
    let media_path = media.path().join("media");
    fs::create_dir(&media_path).expect("a directory");
    let service = Allswell::start(&format!(
        r#"
        [server]
        drain = "1s"
        [defaults]
        interval = "{INTERVAL:?}"
        timeout = "{TIMEOUT:?}"
        [checks.orders_db]
        kind = "postgres"
        url = "postgres://app:{PASSWORD}@127.0.0.1:{}/orders"
        [checks.reports_db]
        kind = "mysql"
        url = "mysql://app@127.0.0.1:{}/orders"
        password = "{PASSWORD}"
        [checks.cache]
        kind = "redis"
        url = "redis://:{PASSWORD}@127.0.0.1:{}/0"
        [checks.jobs]
        kind = "rabbitmq"
        url = "amqp://app:{PASSWORD}@127.0.0.1:{}/"
        [checks.media]
        kind = "storage"
        path = "{}"
        "#,
        postgres.port,
        mariadb.port,
        redis.port,
        rabbitmq.port,
        media_path.display(),
    ));

    // The first response is complete: it waits for the first results.
    let first = service.get("/health");
    assert_eq!(first.status, 200, "{}", first.text);
    assert_eq!(first.json()["summary"], "all 5 components pass");
    assert_eq!(first.json()["components"]["orders_db"]["observed"]["role"], "primary");
    assert_eq!(first.json()["components"]["reports_db"]["observed"]["read_only"], false);
    assert_eq!(first.json()["components"]["cache"]["observed"]["role"], "primary");

    let limit = INTERVAL + TIMEOUT;
    let servers: [(&str, &mut Server); 4] =
        [("orders_db", &mut postgres), ("reports_db", &mut mariadb), ("cache", &mut redis), ("jobs", &mut rabbitmq)];
    for (name, server) in servers {
        server.pause();
        let paused = within(limit, &service, &format!("{name} hangs"), |response| fails_alone(response, name, &["timeout"]));
        assert!(paused.took < TIMEOUT, "a poll waited for the hanging backend: {:?}", paused.took);
        for _ in 0..20 {
            let poll = service.get("/health");
            assert!(poll.took < TIMEOUT, "a poll waited for the hanging backend: {:?}", poll.took);
        }
        server.resume();
        within(limit, &service, &format!("{name} is back after its pause"), |response| response.status == 200);

        server.kill();
        within(limit, &service, &format!("{name} is dead"), |response| fails_alone(response, name, &["unreachable"]));
        server.restart();
        within(limit, &service, &format!("{name} is back after its death"), |response| response.status == 200);
    }

    fs::rename(&media_path, media.path().join("gone")).expect("a directory");
    within(limit, &service, "the directory is gone", |response| fails_alone(response, "media", &["unhealthy"]));
    fs::rename(media.path().join("gone"), &media_path).expect("a directory");
    within(limit, &service, "the directory is back", |response| response.status == 200);
    assert_eq!(fs::read_dir(&media_path).expect("a directory").count(), 0, "nothing is left behind");

    // One line per status change and none per poll: five first results, then two per fault.
    let faults = 4 * 2 + 1;
    let expected = 5 + 2 * faults..=5 + 2 * faults + 4;
    let transitions = || service.events().iter().filter(|event| event["to"].is_string()).count();
    eventually("every transition is logged", || (transitions() >= *expected.start()).then_some(()));
    assert!(expected.contains(&transitions()), "{} transitions:\n{}", transitions(), service.log());
}

#[test]
fn a_backend_that_restarts_between_two_probes_causes_no_alarm() {
    let mut redis = redis(PASSWORD);
    let service = Allswell::start(&format!(
        "[checks.cache]\nkind = \"redis\"\nurl = \"redis://127.0.0.1:{}\"\npassword = \"{PASSWORD}\"\ninterval = \"1h\"\ntimeout = \"20s\"\n",
        redis.port
    ));
    assert_eq!(service.get("/health").status, 200);
    redis.kill();
    redis.restart();
    // The kept connection is dead; the probe opens another one before it fails.
    let fresh = service.get("/health?fresh");
    assert_eq!(fresh.status, 200, "{}", fresh.text);
    assert_eq!(fresh.json()["components"]["cache"]["consecutive"], 2);
}
