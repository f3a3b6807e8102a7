//! Unix signals, and what each does to the service and to the other commands.

use crate::service::ServiceHandle;
use rustix::process::{Signal as Number, WaitOptions, wait};
use signal_hook::flag::{register, register_conditional_shutdown};
use std::{
    io, process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};

/// Signals that end a service after its drain. SIGQUIT is the stop signal of images that are made from those of nginx and php-fpm; LXC stops a
/// container by SIGPWR.
const DRAINING: [Number; 3] = [Number::TERM, Number::QUIT, POWER];

#[cfg(target_os = "linux")]
const POWER: Number = Number::POWER;
#[cfg(not(target_os = "linux"))]
const POWER: Number = Number::TERM;

/// Signals that by default would end the process, although they are meant for other programs: log rotation and `pkill` send them by mistake.
const IGNORED: [Number; 6] = [Number::USR1, Number::USR2, Number::ALARM, Number::VTALARM, Number::PROF, Number::IO];

/// The signals that end a command other than a service.
const ENDING: [Number; 4] = [Number::TERM, Number::INT, Number::QUIT, Number::HUP];

/// Whether this process is the first one of a container. For that one the kernel drops the signals that it does not handle, and makes it the parent of
/// processes without one.
fn is_first_process() -> bool {
    process::id() == 1
}

/// How a command handles signals before it has a runtime, and to its end unless it is a service.
pub(super) struct StartSignals {
    /// While it is set, a signal that ends a service ends the process.
    is_starting: Arc<AtomicBool>,
    /// Whether SIGHUP has arrived.
    hang_up: Arc<AtomicBool>,
}

impl StartSignals {
    /// Handles the signals of a service that starts. There is nothing to drain yet, so the process ends at once, and with 0.
    pub(super) fn of_service() -> io::Result<Self> {
        let (is_starting, hang_up) = (Arc::new(AtomicBool::new(true)), Arc::<AtomicBool>::default());
        for number in DRAINING.into_iter().chain([Number::INT]) {
            register_conditional_shutdown(number.as_raw(), 0, Arc::clone(&is_starting))?;
        }
        register(Number::HUP.as_raw(), Arc::clone(&hang_up))?;
        for number in IGNORED {
            ignore(number)?;
        }
        ignore_file_size_limit()?;
        Ok(Self { is_starting, hang_up })
    }

    /// Handles the signals of any other command. Their default actions end it. The first process of a container has none, so it exits with 128 plus
    /// the signal's number, as shells report it.
    pub(super) fn of_command() -> io::Result<Self> {
        let is_first_process = Arc::new(AtomicBool::new(is_first_process()));
        if is_first_process.load(Ordering::SeqCst) {
            for number in ENDING {
                register_conditional_shutdown(number.as_raw(), 128 + number.as_raw(), Arc::clone(&is_first_process))?;
            }
        }
        ignore_file_size_limit()?;
        Ok(Self { is_starting: is_first_process, hang_up: Arc::default() })
    }

    /// Handles the signals as those of a running service. Requires a runtime.
    pub(super) fn into_running(self) -> io::Result<Signals> {
        let listen = |number: Number| signal(SignalKind::from_raw(number.as_raw()));
        let [terminate, quit, power] = DRAINING.map(listen);
        let signals = Signals {
            draining: [terminate?, quit?, power?],
            interrupt: listen(Number::INT)?,
            hang_up: listen(Number::HUP)?,
            child: if is_first_process() { Some(listen(Number::CHILD)?) } else { None },
            reloads: Notify::new(),
        };
        // A configuration that changed while it was read is read again.
        if self.hang_up.load(Ordering::SeqCst) {
            signals.reloads.notify_one();
        }
        self.is_starting.store(false, Ordering::SeqCst);
        Ok(signals)
    }
}

/// The signals of a running service.
pub(super) struct Signals {
    draining: [Signal; 3],
    interrupt: Signal,
    hang_up: Signal,
    /// Only in the first process of a container.
    child: Option<Signal>,
    /// Reloads that were requested during the start.
    reloads: Notify,
}

impl Signals {
    /// Resolves when a signal arrives that ends the service.
    pub(super) async fn end(&mut self) {
        let [terminate, quit, power] = &mut self.draining;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = quit.recv() => {}
            _ = power.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// SIGTERM, SIGQUIT and SIGPWR drain and then end the service; SIGINT, or a second one of these, ends it at once; SIGHUP reloads. Never ends.
    pub(super) async fn forward(mut self, service: ServiceHandle) {
        let reload = || {
            let service = service.clone();
            // The outcome is in the log and in the report.
            tokio::spawn(async move { service.reload().await });
        };
        reap();
        loop {
            let [terminate, quit, power] = &mut self.draining;
            tokio::select! {
                _ = terminate.recv() => service.shut_down(),
                _ = quit.recv() => service.shut_down(),
                _ = power.recv() => service.shut_down(),
                _ = self.interrupt.recv() => service.stop(),
                _ = self.hang_up.recv() => reload(),
                () = self.reloads.notified() => reload(),
                Some(()) = next(&mut self.child) => reap(),
            }
        }
    }
}

/// Handles a signal by doing nothing. A program that replaces this one gets the default action again.
fn ignore(number: Number) -> io::Result<()> {
    register(number.as_raw(), Arc::<AtomicBool>::default()).map(drop)
}

/// Lets a write beyond the limit of file sizes fail. By default it ends the process.
fn ignore_file_size_limit() -> io::Result<()> {
    ignore(Number::XFSZ)
}

/// Waits for a signal, if it is one that this process handles.
async fn next(signal: &mut Option<Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => None,
    }
}

/// Collects children that have ended, which otherwise stay as zombies. The service starts none; the first process of a container gets those of
/// processes that ended before their children.
fn reap() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}
