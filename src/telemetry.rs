//! The log: to standard error, one line per transition, without a secret, and never in anybody's way.

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

/// Ours; all other targets are drivers'.
const OWN: [&str; 2] = ["allswell", "allswell_checks"];

/// The log of this process. Dropped, it writes what is left.
pub struct Log {
    redactor: Arc<ArcSwap<Redactor>>,
    filter: reload::Handle<EnvFilter, Registry>,
    _writer: WorkerGuard,
}

impl Log {
    /// Goes on with another level and other secrets. The format stays: lines of two formats are no log.
    pub fn apply(&self, settings: &LogSettings, environment: &Environment, redactor: Redactor) {
        self.redactor.store(Arc::new(redactor));
        // Fails only when another program's log is installed in place of ours.
        let _ = self.filter.reload(filter(settings, environment));
    }
}

/// Sends the log of this process to standard error.
///
/// Lines go through a bounded queue to a thread of its own, and are dropped when nobody reads them: a stuck log must not stop a probe or an
/// answer.
#[must_use]
pub fn install(settings: &LogSettings, environment: &Environment, redactor: Redactor, terminal: bool) -> Log {
    let (queue, writer) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(4096).thread_name("allswell-log").finish(io::stderr());
    let redactor = Arc::new(ArcSwap::from_pointee(redactor));
    let redacted = Redacted { queue, redactor: Arc::clone(&redactor) };
    let colour = terminal && environment.get("NO_COLOR").is_none();
    let (filter, handle) = reload::Layer::new(filter(settings, environment));
    let lines = fmt::layer().with_ansi(colour).with_writer(redacted);
    let lines = match settings.format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    // A second installation, as in a program that embeds us and has its own log, leaves the first in place.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    panic::set_hook(Box::new(|panic| {
        let words = panic.payload_as_str().unwrap_or("(no words)");
        let place = panic.location().map(ToString::to_string);
        tracing::error!(words, place, "panic");
    }));
    Log { redactor, filter: handle, _writer: writer }
}

/// `RUST_LOG`, where it is set and makes sense, else the configured level. A level that names no target is ours; drivers get at most
/// warnings unless they are named: what they tell at finer levels may hold anything.
fn filter(settings: &LogSettings, environment: &Environment) -> EnvFilter {
    let wanted = environment.get("RUST_LOG").unwrap_or(settings.level.as_str());
    // The first logs at every attempt what it returns as an error anyway, the second what clients do, as often as they do it.
    let mut directives = vec!["lapin=off".to_owned(), "h2=off".to_owned()];
    for directive in wanted.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        match directive.parse::<LevelFilter>() {
            Ok(level) => {
                directives.push(level.min(LevelFilter::WARN).to_string());
                directives.extend(OWN.iter().map(|own| format!("{own}={level}")));
            }
            Err(_) => directives.push(directive.to_owned()),
        }
    }
    EnvFilter::builder()
        .parse(directives.join(","))
        .unwrap_or_else(|_| EnvFilter::new("warn,lapin=off,h2=off,allswell=info,allswell_checks=info"))
}

/// Takes known secrets out of every line: the last of several guards, and the only one for what drivers log.
#[derive(Clone)]
struct Redacted {
    queue: NonBlocking,
    redactor: Arc<ArcSwap<Redactor>>,
}

impl<'a> MakeWriter<'a> for Redacted {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Redacted {
    /// Each event arrives in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let redactor = self.redactor.load();
        // Of the control characters only those of our own layer are left: it escapes ESC in what is logged.
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
        let text = filter(&settings, &environment).to_string();
        let mut parts: Vec<_> = text.split(',').collect();
        parts.sort_unstable();
        parts.join(",")
    }

    #[test]
    fn drivers_are_capped_unless_they_are_named() {
        assert_eq!(directives(LogLevel::Info, ""), "allswell=info,allswell_checks=info,h2=off,lapin=off,warn");
        assert_eq!(directives(LogLevel::Info, "trace"), "allswell=trace,allswell_checks=trace,h2=off,lapin=off,warn");
        assert_eq!(directives(LogLevel::Info, "error,lapin=trace"), "allswell=error,allswell_checks=error,error,h2=off,lapin=trace");
        assert_eq!(directives(LogLevel::Info, "=?=,["), "allswell=info,allswell_checks=info,h2=off,lapin=off,warn");
    }
}
