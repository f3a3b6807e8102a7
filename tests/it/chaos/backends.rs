//! Every kind with a network, each with a real server.

use crate::servers::{
    Server,
    blobs::{azure_blob, gcs},
    celery, mariadb, memcached, nginx, postgres, rabbitmq, redis,
    s3::{SECRET, s3},
};
use std::{any::Any, time::Duration};

pub(super) const PASSWORD: &str = "correct-horse";

/// A server, and how a check of it is configured.
pub(crate) struct Backend {
    kind: &'static str,
    pub(crate) port: u16,
    /// The server's process, where it has one of its own.
    pub(super) server: Option<Server>,
    /// What has to live as long.
    _beside: Box<dyn Any + Send>,
    pub(super) timeout: Option<Duration>,
}

pub(super) const KINDS: [&str; 11] =
    ["azure_blob", "celery", "gcs", "http", "memcached", "mysql", "postgres", "rabbitmq", "redis", "s3", "tcp"];

impl Backend {
    pub(crate) fn start(kind: &'static str) -> Self {
        let nothing = || Box::new(()) as Box<dyn Any + Send>;
        let of_process = |server: Server| (server.port, Some(server), nothing());
        let (port, server, beside) = match kind {
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
        // Workers answer when they come to it.
        let timeout = (kind == "celery").then_some(Duration::from_secs(3));
        Self { kind, port, server, _beside: beside, timeout }
    }

    /// No server at all: whoever answers is somebody else.
    pub(crate) fn nowhere(kind: &'static str) -> Self {
        Self { kind, port: 0, server: None, _beside: Box::new(()), timeout: None }
    }

    /// A check's table, for the server at a place.
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
