//! The log: to standard error, one line per transition, without a secret, and never in anybody's way.

use crate::config::{Environment, LogFormat, LogSettings};
use allswell_checks::contract::Redactor;
use std::{
    io::{self, Write},
    panic,
    sync::Arc,
};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// Ours; all other targets are drivers'.
const OWN: [&str; 2] = ["allswell", "allswell_checks"];

/// Sends the log of this process to standard error until the guard is dropped, which writes what is left.
///
/// Lines go through a bounded queue to a thread of its own, and are dropped when nobody reads them: a stuck log must not stop a probe or an
/// answer.
pub fn install(settings: &LogSettings, environment: &Environment, redactor: Redactor, terminal: bool) -> WorkerGuard {
    let (queue, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(4096).thread_name("allswell-log").finish(io::stderr());
    let writer = Redacted { queue, redactor: Arc::new(redactor) };
    let colour = terminal && environment.get("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(filter(settings, environment)).with_ansi(colour).with_writer(writer);
    // A second installation, as in a program that embeds us and has its own log, leaves the first in place.
    let _ = match settings.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
    panic::set_hook(Box::new(|panic| {
        let words = panic.payload_as_str().unwrap_or("(no words)");
        let place = panic.location().map(ToString::to_string);
        tracing::error!(words, place, "panic");
    }));
    guard
}

/// `RUST_LOG`, where it is set and makes sense, else the configured level. A level that names no target is ours; drivers get at most
/// warnings unless they are named: what they tell at finer levels may hold anything.
fn filter(settings: &LogSettings, environment: &Environment) -> EnvFilter {
    let wanted = environment.get("RUST_LOG").unwrap_or(settings.level.as_str());
    // This one tells in its log, at every attempt, what it returns as an error anyway.
    let mut directives = vec!["lapin=off".to_owned()];
    for directive in wanted.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        match directive.parse::<LevelFilter>() {
            Ok(level) => {
                directives.push(level.min(LevelFilter::WARN).to_string());
                directives.extend(OWN.iter().map(|own| format!("{own}={level}")));
            }
            Err(_) => directives.push(directive.to_owned()),
        }
    }
    EnvFilter::builder().parse(directives.join(",")).unwrap_or_else(|_| EnvFilter::new("warn,lapin=off,allswell=info,allswell_checks=info"))
}

/// Takes known secrets out of every line: the last of several guards, and the only one for what drivers log.
#[derive(Clone)]
struct Redacted {
    queue: NonBlocking,
    redactor: Arc<Redactor>,
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
        self.queue.write_all(self.redactor.redact(&text).as_bytes())?;
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
        assert_eq!(directives(LogLevel::Info, ""), "allswell=info,allswell_checks=info,lapin=off,warn");
        assert_eq!(directives(LogLevel::Info, "trace"), "allswell=trace,allswell_checks=trace,lapin=off,warn");
        assert_eq!(directives(LogLevel::Info, "error,lapin=trace"), "allswell=error,allswell_checks=error,error,lapin=trace");
        assert_eq!(directives(LogLevel::Info, "=?=,["), "allswell=info,allswell_checks=info,lapin=off,warn");
    }
}
