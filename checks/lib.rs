//! What a health check is, and every kind of backend that allswell can probe.
//!
//! * [`contract`] is the small part that everything here depends on: [`Check`](contract::Check), what a probe returns
//!   ([`Observation`](contract::Observation) or [`Failure`](contract::Failure)), and how to make a check configurable
//!   ([`Backend`](contract::Backend)).
//! * [`kinds`] has one module for each kind of backend: file = module = cargo feature = `kind` in a configuration.
//! * [`wire`], `files`, `sql` and `object_storage` are what several kinds share. They know no kind. A kind uses them, the contract, its driver
//!   and std; never another kind.
//!
//! Absent here, on purpose: an HTTP server, configuration files, wall clocks, intervals, timeouts of probes, and names of checks. Those
//! belong to the crate `allswell`, which depends on this one. A private check depends on this crate only.
//!
//! Two exceptions have one place each. What the environment of the process gives to the application's own client is read by the drivers
//! (`object_store`, and sqlx for libpq's variables), and what they leave out by `object_storage/environment.rs`: nothing else reads the
//! environment, and discovery gets its variables from the caller. The only global is a cache in [`wire::tls`]: the trusted roots
//! of the system, which are read once. A test (`tests/it/layout.rs`) enforces all of this.

pub mod contract;
pub use contract::prelude;

#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "objects")]
mod object_storage;
#[cfg(feature = "sql")]
mod sql;
pub mod wire;
mod without_kind;
pub use without_kind::alternative;

/// The kinds of backend: one module each. Keep these and the list below in alphabetical order.
pub mod kinds {
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
}

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
    "azure_blob" => kinds::azure_blob::AzureBlob,
    "celery" => kinds::celery::Celery,
    "disk" => kinds::disk::Disk,
    "gcs" => kinds::gcs::Gcs,
    "http" => kinds::http::Http,
    "memcached" => kinds::memcached::Memcached,
    "memory" => kinds::memory::Memory,
    "mysql" => kinds::mysql::Mysql,
    "postgres" => kinds::postgres::Postgres,
    "rabbitmq" => kinds::rabbitmq::Rabbitmq,
    "redis" => kinds::redis::Redis,
    "s3" => kinds::s3::S3,
    "sqlite" => kinds::sqlite::Sqlite,
    "storage" => kinds::storage::Storage,
    "tcp" => kinds::tcp::Tcp,
}
