//! The log of the process: lines on standard error, without secrets, that never delay a probe or a response.
//!
//! [`install`] is for programs that own their process, such as the binary. A [`Log`] follows the configuration after a reload.

use crate::config::{Environment, LogFormat, LogSettings};
use allswell_checks::contract::Redactor;
use arc_swap::ArcSwap;
use std::{
    io::{self, Write},
    panic,
    sync::Arc,
};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

/// The targets of our own events; all others are those of drivers.
const OWN_TARGETS: [&str; 2] = ["allswell", "allswell_checks"];

/// The log of this process. Writes the queued lines when it is dropped.
pub struct Log {
    redactor: Arc<ArcSwap<Redactor>>,
    filter: reload::Handle<EnvFilter, Registry>,
    _writer: WorkerGuard,
}

impl Log {
    /// Applies another level and other secrets. The format stays until a restart: no program can parse a log in two formats.
    pub fn apply(&self, settings: &LogSettings, environment: &Environment, redactor: Redactor) {
        self.redactor.store(Arc::new(redactor));
        // This fails only if the embedding program installed its own log first.
        let _ = self.filter.reload(env_filter(settings, environment));
    }
}

/// Sends the log of this process to standard error.
///
/// It also replaces the panic hook of the process, so that panics are in the log.
///
/// A thread of its own writes the lines, from a bounded queue. If standard error is not read, lines are dropped: a stuck log must not delay a
/// probe or a response.
#[must_use]
pub fn install(settings: &LogSettings, environment: &Environment, redactor: Redactor, terminal: bool) -> Log {
    let (queue, writer) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(4096).thread_name("allswell-log").finish(io::stderr());
    let redactor = Arc::new(ArcSwap::from_pointee(redactor));
    let writer_of_lines = RedactingWriter { queue, redactor: Arc::clone(&redactor) };
    let colour = terminal && environment.get("NO_COLOR").is_none();
    let (filter, handle) = reload::Layer::new(env_filter(settings, environment));
    let lines = fmt::layer().with_ansi(colour).with_writer(writer_of_lines);
    let lines = match settings.format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    // If the embedding program has installed its own log, that stays in place.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    panic::set_hook(Box::new(|panic| {
        let payload = panic.payload_as_str().unwrap_or("(not a string)");
        let location = panic.location().map(ToString::to_string);
        tracing::error!(payload, location, "panic");
    }));
    Log { redactor, filter: handle, _writer: writer }
}

/// The filter of `RUST_LOG`, if that is set and valid, or of the configured level.
///
/// A level without a target applies to our own events. Drivers log at most warnings, unless `RUST_LOG` names them: their events of finer levels
/// may contain secrets.
fn env_filter(settings: &LogSettings, environment: &Environment) -> EnvFilter {
    let directives_or_level = environment.get("RUST_LOG").unwrap_or(settings.level.as_str());
    // lapin logs each error that it returns as well; h2 logs every mistake of every client.
    let mut directives = vec!["lapin=off".to_owned(), "h2=off".to_owned()];
    for directive in directives_or_level.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        match directive.parse::<LevelFilter>() {
            Ok(level) => {
                directives.push(level.min(LevelFilter::WARN).to_string());
                directives.extend(OWN_TARGETS.iter().map(|own| format!("{own}={level}")));
            }
            Err(_) => directives.push(directive.to_owned()),
        }
    }
    EnvFilter::builder()
        .parse(directives.join(","))
        .unwrap_or_else(|_| EnvFilter::new("warn,lapin=off,h2=off,allswell=info,allswell_checks=info"))
}

/// Redacts known secrets in every line: the last of several guards, and the only one for the events of drivers.
#[derive(Clone)]
struct RedactingWriter {
    queue: NonBlocking,
    redactor: Arc<ArcSwap<Redactor>>,
}

impl<'a> MakeWriter<'a> for RedactingWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for RedactingWriter {
    /// Is called once per event, with its whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let redactor = self.redactor.load();
        // The formatting layer escapes ESC in the logged text, so each ESC here begins a colour of its own: a secret cannot span it.
        let parts: Vec<_> = text.trim_end_matches('\n').split('\u{1b}').map(|part| redactor.redact(part)).collect();
        self.queue.write_all(format!("{}\n", parts.join("\u{1b}")).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.queue.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogLevel;

    fn directives(level: LogLevel, rust_log: &str) -> String {
        let environment = Environment::new([("RUST_LOG".to_owned(), rust_log.to_owned())]);
        let settings = LogSettings { level, format: LogFormat::Text };
        let text = env_filter(&settings, &environment).to_string();
        let mut parts: Vec<_> = text.split(',').collect();
        parts.sort_unstable();
        parts.join(",")
    }

    #[test]
    fn drivers_log_at_most_warnings_unless_rust_log_names_them() {
        assert_eq!(directives(LogLevel::Info, ""), "allswell=info,allswell_checks=info,h2=off,lapin=off,warn");
        assert_eq!(directives(LogLevel::Info, "trace"), "allswell=trace,allswell_checks=trace,h2=off,lapin=off,warn");
        assert_eq!(directives(LogLevel::Info, "error,lapin=trace"), "allswell=error,allswell_checks=error,error,h2=off,lapin=trace");
        assert_eq!(directives(LogLevel::Info, "=?=,["), "allswell=info,allswell_checks=info,h2=off,lapin=off,warn");
    }
}
