//! A real server for every networked kind.

use crate::servers::{
    SHARED_BROKER, SHARED_PASSWORD, Server,
    blobs::{azure_blob, gcs},
    celery, mariadb, memcached, nginx, postgres, rabbitmq, redis,
    s3::{SECRET, s3},
};
use std::{any::Any, time::Duration};

pub(super) const PASSWORD: &str = SHARED_PASSWORD;

/// A server, and the configuration of a check of it.
pub(crate) struct Backend {
    kind: &'static str,
    pub(crate) port: u16,
    /// The server's process, if it does not run within the tests.
    pub(super) server: Option<Server>,
    /// What the server needs to run.
    _dependency: Box<dyn Any + Send>,
    pub(super) timeout: Option<Duration>,
}

impl Backend {
    pub(crate) fn start(kind: &'static str) -> Self {
        let nothing = || Box::new(()) as Box<dyn Any + Send>;
        let of_process = |server: Server| (server.port, Some(server), nothing());
        let (port, server, dependency) = match kind {
            "postgres" => of_process(postgres(PASSWORD)),
            "mysql" => of_process(mariadb(PASSWORD)),
            "redis" => of_process(redis(PASSWORD)),
            "memcached" => of_process(memcached(&[])),
            "rabbitmq" => of_process(rabbitmq(PASSWORD)),
            "http" | "tcp" => of_process(nginx().0),
            "celery" => {
                let broker = redis(PASSWORD);
                let worker = celery(&format!("redis://:{PASSWORD}@127.0.0.1:{}/3", broker.port), "a@test", "celery", "solo");
                (broker.port, Some(broker), Box::new(worker) as _)
            }
            "s3" => {
                let server = s3(&["probe"], |_, _, _| true);
                (server.port, None, Box::new(server) as _)
            }
            "gcs" => {
                let server = gcs(|_, _| None);
                (server.port, None, Box::new(server) as _)
            }
            "azure_blob" => {
                let server = azure_blob(|_, _| None);
                (server.port, None, Box::new(server) as _)
            }
            other => panic!("no server for {other}"),
        };
        // Workers reply when they have finished what they do.
        let timeout = (kind == "celery").then_some(Duration::from_secs(3));
        Self { kind, port, server, _dependency: dependency, timeout }
    }

    /// The same for a test that only probes: starting a broker takes long, so this one is shared.
    pub(crate) fn start_or_share(kind: &'static str) -> Self {
        if kind == "rabbitmq" { Self { port: SHARED_BROKER.port, ..Self::nowhere(kind) } } else { Self::start(kind) }
    }

    /// No server: the test lets something else answer.
    pub(crate) fn nowhere(kind: &'static str) -> Self {
        Self { kind, port: 0, server: None, _dependency: Box::new(()), timeout: None }
    }

    /// The table of a check of the server, at a host and port.
    pub(crate) fn table(&self, host: &str, port: u16) -> String {
        let at = format!("{host}:{port}");
        let keys = match self.kind {
            "postgres" => format!("url = \"postgres://app:{PASSWORD}@{at}/orders\""),
            "mysql" => format!("url = \"mysql://app:{PASSWORD}@{at}/orders\""),
            "redis" => format!("url = \"redis://:{PASSWORD}@{at}/0\""),
            "memcached" | "tcp" => format!("address = \"{at}\""),
            "rabbitmq" => format!("url = \"amqp://app:{PASSWORD}@{at}/\""),
            "http" => format!("url = \"http://{at}/\""),
            "celery" => format!("broker = \"redis://:{PASSWORD}@{at}/3\""),
            "s3" => {
                format!("bucket = \"media\"\nendpoint = \"http://{at}\"\naccess_key_id = \"probe\"\nsecret_access_key = \"{SECRET}\"")
            }
            "gcs" => format!("bucket = \"media\"\nendpoint = \"http://{at}\"\nanonymous = true"),
            "azure_blob" => {
                format!("account = \"orders\"\nbucket = \"media\"\nendpoint = \"http://{at}/orders\"\naccess_key = \"c2VjcmV0\"")
            }
            other => panic!("no table for {other}"),
        };
        format!("kind = \"{}\"\n{keys}", self.kind)
    }
}
