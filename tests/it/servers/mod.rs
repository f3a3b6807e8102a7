//! Real servers, each in a temporary folder on a free port, that can be paused, killed and started again; and hostile ones.

mod certificates;
pub(crate) mod hostile;
mod mariadb;
mod memcached;
mod postgres;
mod process;
pub(crate) mod proxy;
mod rabbitmq;
mod redis;
mod tls_front;

pub(crate) use certificates::Certificates;
pub(crate) use mariadb::mariadb;
pub(crate) use memcached::{memcached, memcached_says};
pub(crate) use postgres::{postgres, postgres_with_tls};
pub(crate) use process::{Server, folder};
pub(crate) use rabbitmq::rabbitmq;
pub(crate) use redis::{redis, redis_cluster, redis_replica, redis_with, redis_with_tls, sentinel};
pub(crate) use tls_front::{tls_front, tls_front_for_known_clients};
