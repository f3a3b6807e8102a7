//! A Celery worker with two tasks: `nap(seconds)` and `nothing()`.

use super::process::{Server, folder, in_venv, set_up};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{fs, process::Command};

const TASKS: &str = r#"
import json, os, time
from celery import Celery

app = Celery("tasks", broker=os.environ["BROKER"])
app.conf.update(json.loads(os.environ["SETTINGS"]))

@app.task
def nap(seconds):
    time.sleep(seconds)

@app.task
def nothing():
    pass
"#;

/// A worker to start.
pub(crate) struct Worker<'a> {
    pub(crate) broker: &'a str,
    /// A name such as `a@test`.
    pub(crate) name: &'a str,
    /// The queues that it consumes.
    pub(crate) queues: &'a str,
    /// A pool of one process or thread.
    pub(crate) pool: &'a str,
    /// The settings of the app.
    pub(crate) settings: Value,
    /// More arguments.
    pub(crate) arguments: &'a [&'a str],
}

impl<'a> Worker<'a> {
    /// The worker `a@test` for the queue `celery`, which does everything in one thread.
    pub(crate) fn at(broker: &'a str) -> Self {
        Self { broker, name: "a@test", queues: "celery", pool: "solo", settings: json!({}), arguments: &[] }
    }

    /// Starts it, and waits until it is ready.
    pub(crate) fn start(&self) -> Server {
        let directory = folder();
        fs::write(directory.path().join("tasks.py"), TASKS).expect("a file");
        let (broker, settings) = (self.broker.to_owned(), self.settings.to_string());
        let named = ["--hostname", self.name, "--queues", self.queues, "--pool", self.pool];
        let common = ["--app", "tasks", "worker", "--concurrency", "1", "--loglevel", "INFO", "--without-gossip", "--without-mingle"];
        let arguments: Vec<String> = common.iter().chain(&named).chain(self.arguments).map(|argument| (*argument).to_owned()).collect();
        Server::launch(
            directory,
            0,
            move |directory, _| {
                let mut command = Command::new(in_venv("celery", "celery"));
                command.current_dir(directory).env("BROKER", &broker).env("SETTINGS", &settings).args(&arguments);
                // Otherwise a worker that accepts pickle does not run as root.
                command.env("C_FORCE_ROOT", "1");
                command
            },
            |directory, _| fs::read_to_string(directory.join("log")).is_ok_and(|log| log.contains(" ready.")),
        )
    }
}

/// Starts a worker with a name such as `a@test`, the queues that it consumes, and a pool of one process or thread.
pub(crate) fn celery(broker: &str, name: &str, queues: &str, pool: &str) -> Server {
    Worker { name, queues, pool, ..Worker::at(broker) }.start()
}

/// Starts a worker without remote control.
pub(crate) fn celery_without_remote_control(broker: &str, name: &str, queues: &str) -> Server {
    Worker { name, queues, settings: json!({ "worker_enable_remote_control": false }), ..Worker::at(broker) }.start()
}

impl Server {
    /// What a worker has logged.
    pub(crate) fn log_text(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).expect("a log")
    }

    /// Asserts that a worker has logged no error.
    pub(crate) fn assert_no_errors(&self) {
        let log = self.log_text();
        for word in ["Traceback", "ERROR", "CRITICAL"] {
            assert!(!log.contains(word), "{word} in {log}");
        }
    }

    /// Sends a signal to the processes of a worker's pool.
    pub(crate) fn signal_pool(&self, signal: Signal) {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid())).expect("a process");
        for child in children.split_whitespace() {
            let pid = child.parse().ok().and_then(Pid::from_raw).expect("a process");
            kill_process(pid, signal).expect("a running process");
        }
    }
}

/// Sends tasks to a queue, each written as a call: `nap(5)`.
pub(crate) fn send_tasks(broker: &str, queue: &str, calls: &[&str]) {
    send_tasks_with(broker, &json!({}), queue, calls);
}

/// The same by an app with settings; a call may be followed by options: `nap(5), priority=3`.
pub(crate) fn send_tasks_with(broker: &str, settings: &Value, queue: &str, calls: &[&str]) {
    let directory = folder();
    fs::write(directory.path().join("tasks.py"), TASKS).expect("a file");
    let send = |call: &&str| {
        let (task, rest) = call.split_once('(').expect("a call");
        let (arguments, options) = rest.split_once(')').expect("a call");
        format!("tasks.{task}.apply_async([{arguments}], queue={queue:?}{options})\n")
    };
    let script = calls.iter().map(send).fold("import tasks\n".to_owned(), |script, line| script + &line);
    let mut command = Command::new(in_venv("celery", "python"));
    command.current_dir(directory.path()).env("BROKER", broker).env("SETTINGS", settings.to_string());
    set_up(command.args(["-c", &script]));
}
