//! Real servers, each in a temporary folder on a free port, that can be paused, killed and started again; and hostile ones.

pub(crate) mod blobs;
pub(crate) mod breaker;
mod browser;
mod celery;
mod certificates;
mod django;
mod haproxy;
pub(crate) mod hostile;
mod mariadb;
mod memcached;
pub(crate) mod mounts;
mod nginx;
mod postgres;
mod process;
pub(crate) mod proxy;
mod python;
mod rabbitmq;
mod redirecting;
mod redis;
pub(crate) mod s3;
mod tls_front;

pub(crate) use browser::Browser;
pub(crate) use celery::{celery, celery_without_remote_control, send_tasks};
pub(crate) use certificates::Certificates;
pub(crate) use django::django;
pub(crate) use haproxy::{haproxy, haproxy_state};
pub(crate) use mariadb::{mariadb, mariadb_with, mariadb_with_tls};
pub(crate) use memcached::{memcached, memcached_says};
pub(crate) use nginx::nginx;
pub(crate) use postgres::{postgres, postgres_standby, postgres_with, postgres_with_tls};
pub(crate) use process::{Server, as_nobody, folder, in_venv, own};
pub(crate) use python::reading;
pub(crate) use rabbitmq::rabbitmq;
pub(crate) use redirecting::{Redirecting, redirecting_apache, redirecting_nginx};
pub(crate) use redis::{redis, redis_cluster, redis_replica, redis_with, redis_with_tls, sentinel};
pub(crate) use tls_front::{tls_front, tls_front_by_tls13, tls_front_for_known_clients, tls_front_with_server_name};
