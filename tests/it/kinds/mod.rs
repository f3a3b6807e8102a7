//! One file per kind, named as the kind: its failures, with class, sentence and time limit; what a dropped probe leaves behind; what a probe
//! costs; and the least rights it needs.

mod azure_blob;
mod celery;
mod disk;
mod gcs;
mod http;
mod memcached;
mod memory;
mod mysql;
mod postgres;
mod rabbitmq;
mod redis;
mod s3;
mod sqlite;
mod storage;
mod tcp;
