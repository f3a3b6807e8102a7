//! What `check` and `wait` share: they probe by themselves, some or all components, and without a log.

use super::{
    error::CommandError,
    terminal::{print_error, print_warning, stderr_is_terminal},
};
use crate::{
    config::{Configured, LogLevel, LogSettings, Sources, load},
    kinds::{Registry, read::suggestion_or_all},
    telemetry::{self, Log},
};
use tokio::runtime::{self, Runtime};

/// Reads the configuration, prints which it is and its warnings and keeps the named components, or all if none is named. The log is off unless `RUST_LOG`
/// sets a level.
pub(super) fn prepare(sources: &Sources, registry: &Registry, names: &[String]) -> Result<(Configured, Log), CommandError> {
    let files: Vec<String> = sources.lookup().files.iter().map(|file| file.display().to_string()).collect();
    let mut configured = load(sources, registry)?;
    print_error(&match files.as_slice() {
        [] => "configuration: no file, only the environment".to_owned(),
        files => format!("configuration: {}", files.join(", ")),
    });
    let silent = LogSettings { level: LogLevel::Off, ..configured.settings.log.clone() };
    let log = telemetry::install(&silent, &sources.environment, configured.redactor.clone(), stderr_is_terminal());
    configured.warnings.iter().for_each(print_warning);
    select(&mut configured, names)?;
    Ok((configured, log))
}

/// Keeps the named components, or all if none is named.
fn select(configured: &mut Configured, names: &[String]) -> Result<(), CommandError> {
    for name in names {
        if !configured.components.iter().any(|component| component.name.as_str() == name) {
            let known = configured.components.iter().map(|component| component.name.as_str());
            let hint = suggestion_or_all(name, "components", known);
            return Err(CommandError::Usage(format!("there is no component `{name}`; {hint}")));
        }
    }
    configured.components.retain(|component| names.is_empty() || names.iter().any(|name| name == component.name.as_str()));
    Ok(())
}

/// The runtime that probes.
pub(super) fn runtime() -> Result<Runtime, CommandError> {
    runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(CommandError::Start)
}
