//! One file per kind, named as the kind: its failures, with class, sentence and time limit; what a dropped probe leaves behind; what a probe
//! costs; and the least rights it needs.

mod celery;
mod rabbitmq;
