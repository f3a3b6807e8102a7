//! Real servers, each in a temporary folder on a free port, that can be paused, killed and started again; and hostile ones.

mod celery;
mod certificates;
pub(crate) mod hostile;
mod mariadb;
mod postgres;
mod process;
pub(crate) mod proxy;
mod rabbitmq;
mod redis;
mod tls_front;

pub(crate) use celery::{celery, celery_without_remote_control, send_tasks};
pub(crate) use certificates::Certificates;
pub(crate) use mariadb::mariadb;
pub(crate) use postgres::{postgres, postgres_with_tls};
pub(crate) use process::Server;
pub(crate) use rabbitmq::rabbitmq;
pub(crate) use redis::{redis, redis_with_tls};
pub(crate) use tls_front::{tls_front, tls_front_for_known_clients};
