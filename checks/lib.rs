//! What a health check is, and every kind of backend that allswell can probe.
//!
//! * [`contract`] is the small part that everything else stands on: [`Check`](contract::Check), what it brings back
//!   ([`Observation`](contract::Observation) or [`Failure`](contract::Failure)), and how to make it configurable
//!   ([`Backend`](contract::Backend)).
//! * Each other public module is one kind of backend: file = module = cargo feature = `kind` in a configuration.
//!
//! Absent here, on purpose: an HTTP server, configuration files, environment variables, wall clocks, intervals, time limits and names.
//! Those belong to the crate `allswell`, which depends on this one. A private check depends on this crate alone.

pub mod contract;
pub use contract::prelude;

// What several kinds share.
#[cfg(feature = "amqp")]
mod amqp;
#[cfg(feature = "s3")]
mod aws_profile;
#[cfg(feature = "endpoint")]
mod endpoint;
#[cfg(feature = "exchange")]
pub mod exchange;
#[cfg(any(feature = "amqp", feature = "exchange", feature = "memcached", feature = "resp"))]
pub mod meter;
#[cfg(feature = "sql-server")]
mod migrations;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "objects")]
mod objects;
#[cfg(all(feature = "net", feature = "tls"))]
pub mod opening;
#[cfg(feature = "resp")]
mod resp;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "sql-server")]
mod sql_server;
#[cfg(feature = "exchange")]
pub mod symptom;
#[cfg(feature = "tls")]
pub mod tls;

// One module per kind, and below it the one list of them: keep both in alphabetical order.
#[cfg(feature = "azure_blob")]
pub mod azure_blob;
#[cfg(feature = "celery")]
pub mod celery;
#[cfg(feature = "disk")]
pub mod disk;
#[cfg(feature = "gcs")]
pub mod gcs;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "memcached")]
pub mod memcached;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "storage")]
pub mod storage;
#[cfg(feature = "tcp")]
pub mod tcp;

macro_rules! builtin {
    ($($kind:literal => $backend:ty,)*) => {
        /// Every kind that exists, whether this build has it or not.
        pub const KINDS: &[&str] = &[$($kind),*];

        /// Registers every kind that this build has.
        pub fn register_builtin(registry: &mut impl contract::Register) {
            // A build without any kind registers nothing.
            let _ = &registry;
            $(
                #[cfg(feature = $kind)]
                registry.register::<$backend>();
            )*
        }
    };
}

builtin! {
    "azure_blob" => azure_blob::AzureBlob,
    "celery" => celery::Celery,
    "disk" => disk::Disk,
    "gcs" => gcs::Gcs,
    "http" => http::Http,
    "memcached" => memcached::Memcached,
    "memory" => memory::Memory,
    "mysql" => mysql::Mysql,
    "postgres" => postgres::Postgres,
    "rabbitmq" => rabbitmq::Rabbitmq,
    "redis" => redis::Redis,
    "s3" => s3::S3,
    "sqlite" => sqlite::Sqlite,
    "storage" => storage::Storage,
    "tcp" => tcp::Tcp,
}
