//! `warn_stuck`, with real workers whose pool hangs.

use super::{on, on_both_brokers};
use crate::{
    helpers::eventually,
    probing::Probed,
    servers::{Worker, send_tasks},
};
use rustix::process::Signal;

const STUCK: &str = "tasks are reserved, but none was started for 3s by the worker b@test";

/// Without a pool process, a worker still takes messages, replies and sends heartbeats.
#[test]
fn a_worker_whose_pool_is_stopped_is_stuck_until_it_runs_again() {
    on_both_brokers("stopped-pool", |broker| {
        let url = &*broker.url();
        let worker = Worker { name: "b@test", pool: "prefork", ..Worker::at(url) }.start();
        let probed = Probed::new(&on(url, "workers = [\"b@test\"]\nwarn_stuck = \"3s\""));
        let unaware = Probed::new(&on(url, "workers = [\"b@test\"]"));
        for _ in 0..30 {
            assert_eq!(probed.pass().warning(), None, "an idle worker is not stuck");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        worker.signal_pool(Signal::STOP);
        send_tasks(url, "celery", &["nothing()"; 3]);
        eventually("the worker is stuck", || (probed.pass().warning() == Some(STUCK)).then_some(()));
        assert_eq!(unaware.pass().warning(), None);
        worker.signal_pool(Signal::CONT);
        eventually("it works again", || probed.pass().warning().is_none().then_some(()));
        worker.assert_no_errors();
    });
}

#[test]
fn a_worker_that_starts_one_task_after_the_other_is_not_stuck() {
    on_both_brokers("busy-pool", |broker| {
        let url = &*broker.url();
        let worker = Worker { name: "b@test", pool: "prefork", ..Worker::at(url) }.start();
        let probed = Probed::new(&on(url, "workers = [\"b@test\"]\nwarn_stuck = \"5s\""));
        send_tasks(url, "celery", &["nap(2)"; 6]);
        let mut looks = 0;
        eventually("all tasks are done", || {
            assert_eq!(probed.pass().warning(), None);
            std::thread::sleep(std::time::Duration::from_millis(100));
            looks += 1;
            (worker.log_text().matches(" succeeded in ").count() == 6).then_some(())
        });
        assert!(looks > 50, "{looks}");
        worker.assert_no_errors();
    });
}
