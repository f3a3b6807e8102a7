//! A Celery worker with two tasks: `nap(seconds)` and `nothing()`.

use super::process::{Server, folder, in_venv, set_up};
use std::{fs, process::Command};

const TASKS: &str = r#"
import os, time
from celery import Celery

app = Celery("tasks", broker=os.environ["BROKER"])
app.conf.worker_enable_remote_control = "NO_REMOTE_CONTROL" not in os.environ

@app.task
def nap(seconds):
    time.sleep(seconds)

@app.task
def nothing():
    pass
"#;

/// Starts a worker with a name such as `a@test`, the queues that it consumes, and a pool of one process or thread.
pub(crate) fn celery(broker: &str, name: &str, queues: &str, pool: &str) -> Server {
    worker(broker, name, queues, pool, &[])
}

/// Starts a worker without remote control.
pub(crate) fn celery_without_remote_control(broker: &str, name: &str, queues: &str) -> Server {
    worker(broker, name, queues, "solo", &[("NO_REMOTE_CONTROL", "1")])
}

fn worker(broker: &str, name: &str, queues: &str, pool: &str, variables: &'static [(&str, &str)]) -> Server {
    let directory = folder();
    fs::write(directory.path().join("tasks.py"), TASKS).expect("a file");
    let (broker, name, queues, pool) = (broker.to_owned(), name.to_owned(), queues.to_owned(), pool.to_owned());
    Server::launch(
        directory,
        0,
        move |directory, _| {
            let mut command = Command::new(in_venv("celery", "celery"));
            command.current_dir(directory).env("BROKER", &broker).envs(variables.iter().copied()).args([
                "--app",
                "tasks",
                "worker",
                "--concurrency",
                "1",
            ]);
            command.args(["--hostname", &name, "--queues", &queues, "--pool", &pool, "--loglevel", "INFO"]);
            command.args(["--without-gossip", "--without-mingle"]);
            command
        },
        |directory, _| fs::read_to_string(directory.join("log")).is_ok_and(|log| log.contains(" ready.")),
    )
}

/// Sends tasks to a queue, each written as a call: `nap(5)`.
pub(crate) fn send_tasks(broker: &str, queue: &str, calls: &[&str]) {
    let directory = folder();
    fs::write(directory.path().join("tasks.py"), TASKS).expect("a file");
    let send = |call: &&str| {
        let (task, arguments) = call.trim_end_matches(')').split_once('(').expect("a call");
        format!("tasks.{task}.apply_async([{arguments}], queue={queue:?})\n")
    };
    let script = calls.iter().map(send).fold("import tasks\n".to_owned(), |script, line| script + &line);
    set_up(Command::new(in_venv("celery", "python")).current_dir(directory.path()).env("BROKER", broker).args(["-c", &script]));
}
