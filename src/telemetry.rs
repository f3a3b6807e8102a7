//! The log of the process: lines on standard error, without secrets, that never delay a probe or a response.
//!
//! [`install`] is for programs that own their process, such as the binary. A [`Log`] follows the configuration after a reload.

mod filter;

use self::filter::{Filter, filter};
use crate::config::{Environment, LogFormat, LogSettings};
use allswell_checks::contract::Redactor;
use arc_swap::ArcSwap;
use std::{
    io::{self, Write},
    panic,
    sync::Arc,
};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

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
        let _ = self.filter.reload(filter(settings, environment).filter);
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
    let Filter { filter, warning } = filter(settings, environment);
    let (filter, handle) = reload::Layer::new(filter);
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
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    Log { redactor, filter: handle, _writer: writer }
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
