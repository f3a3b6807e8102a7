//! Reports on standard error why a service cannot start: as its log does, if that is JSON.

use super::{error::CommandError, terminal::print_error};
use crate::config::{LogFormat, Sources, log_format};
use jiff::Timestamp;
use serde_json::Value as Json;
use std::panic;
use tracing::Level;

/// How errors of a command appear on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorOutput {
    /// Lines for people.
    Text,
    /// An event per line, with the fields of the log.
    Json,
}

impl ErrorOutput {
    /// That of a service with this configuration.
    pub(super) fn of_service(sources: &Sources) -> Self {
        match log_format(sources) {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }

    /// Shows why a command cannot do what it was asked to do.
    pub(super) fn show(self, error: &CommandError) {
        match self {
            Self::Text => print_error(&error.text()),
            Self::Json => error.events().iter().for_each(|(level, message)| print_event(*level, message)),
        }
    }

    /// Shows panics the same way, until the log does.
    pub(super) fn show_panics(self) {
        if self == Self::Json {
            panic::set_hook(Box::new(|panic| {
                print_event(Level::ERROR, &format!("panic: {}", panic.payload_as_str().unwrap_or("(not a string)")));
            }));
        }
    }
}

/// Writes an event as the log writes it.
pub(super) fn print_event(level: Level, message: &str) {
    // In the order of the log.
    let [timestamp, level, message] = [&*format!("{:.6}", Timestamp::now()), level.as_str(), message].map(Json::from);
    print_error(&format!(r#"{{"timestamp":{timestamp},"level":{level},"message":{message},"target":"allswell::cli"}}"#));
}
