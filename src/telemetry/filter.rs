//! The filter of the log, from `log.level` and `RUST_LOG`, which other programs in the same environment may use, too.

use crate::config::{Environment, LogSettings};
use std::fmt::Display;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, filter::Directive};

/// The targets of our own events; all others are those of drivers.
const OWN_TARGETS: [&str; 2] = ["allswell", "allswell_checks"];

/// The beginnings of the targets of the drivers and libraries in this program that log.
const DRIVER_TARGETS: [&str; 10] = ["amq_protocol", "axum", "h2", "hickory", "lapin", "object_store", "rustls", "sqlx", "tokio", "tower"];

/// lapin logs each error that it returns as well; h2 logs every mistake of every client.
const SILENT_TARGETS: [&str; 2] = ["lapin", "h2"];

/// The most names in a warning, and the longest.
const MAX_NAMES: usize = 5;
const MAX_NAME_BYTES: usize = 64;

/// Names of levels in other programs: they are meant as a level, and not as the target of another program.
const FOREIGN_LEVELS: [&str; 10] = ["all", "critical", "err", "fatal", "information", "none", "notice", "silent", "verbose", "warning"];

/// A filter, and what is wrong with `RUST_LOG`.
pub(super) struct Filter {
    pub(super) filter: EnvFilter,
    pub(super) warning: Option<String>,
}

/// The filter of `log.level` and, if it is set, of `RUST_LOG`.
///
/// A level without a target replaces `log.level`. Directives with a target add to it, so that those of another program silence nothing. Drivers
/// log at most warnings, unless `RUST_LOG` names them: their events of finer levels may contain secrets.
pub(super) fn filter(settings: &LogSettings, environment: &Environment) -> Filter {
    let written = environment.get("RUST_LOG").unwrap_or_default();
    let (mut level, mut named, mut without_effect, mut invalid) = (None, Vec::new(), Vec::new(), 0_usize);
    for written in written.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let directive = without_blanks(written);
        if let Ok(only_level) = directive.parse::<LevelFilter>() {
            level = Some(only_level);
        } else if FOREIGN_LEVELS.contains(&&*directive.to_ascii_lowercase()) {
            invalid += 1;
        } else if let Ok(parsed) = directive.parse::<Directive>() {
            let target = target_of(&directive);
            if !is_of_this_program(target) {
                without_effect.push(target.to_owned());
            }
            named.push((target.to_owned(), parsed));
        } else {
            invalid += 1;
        }
    }
    let level = level.unwrap_or_else(|| settings.level.as_str().parse().unwrap_or(LevelFilter::INFO));
    let is_named =
        |target: &str| named.iter().any(|(named, _)| target == named || (named == OWN_TARGETS[0] && OWN_TARGETS.contains(&target)));
    let own = OWN_TARGETS.into_iter().map(|target| (target, level));
    let silent = SILENT_TARGETS.into_iter().map(|target| (target, LevelFilter::OFF));
    let defaults = own.chain(silent).filter(|(target, _)| !is_named(target)).map(|(target, level)| format!("{target}={level}"));
    let directives: Vec<String> = [level.min(LevelFilter::WARN).to_string()]
        .into_iter()
        .chain(defaults)
        .chain(named.iter().map(|(_, parsed)| parsed.to_string()))
        .collect();
    Filter { filter: EnvFilter::builder().parse_lossy(directives.join(",")), warning: warning(without_effect, invalid) }
}

/// `a = debug` as `a=debug`, unless there is a span with fields.
fn without_blanks(directive: &str) -> String {
    match directive.split_once('=') {
        Some((target, level)) if !directive.contains('[') => format!("{}={}", target.trim(), level.trim()),
        _ => directive.to_owned(),
    }
}

/// The target of a directive, without its span and level.
fn target_of(directive: &str) -> &str {
    directive.split(['[', '=']).next().unwrap_or_default()
}

/// Whether something here logs under a target that begins so. A directive may be about spans of any target.
fn is_of_this_program(target: &str) -> bool {
    OWN_TARGETS.iter().chain(&DRIVER_TARGETS).any(|known| target.starts_with(known) || known.starts_with(target))
}

fn warning(mut names: Vec<String>, invalid: usize) -> Option<String> {
    let mut parts = Vec::new();
    if invalid > 0 {
        parts.push(format!(
            "{invalid} {} not valid and ignored: write off, error, warn, info, debug or trace, or TARGET=LEVEL",
            counted(invalid)
        ));
    }
    if !names.is_empty() {
        let count = names.len();
        names.dedup();
        names.retain(|name| name.len() <= MAX_NAME_BYTES && name.chars().all(|c| c.is_ascii_alphanumeric() || "_:-.".contains(c)));
        names.truncate(MAX_NAMES);
        let list = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        parts.push(format!("{count} {} about other programs and without effect here{list}", counted(count)));
    }
    (!parts.is_empty()).then(|| format!("RUST_LOG: {}", parts.join("; ")))
}

fn counted(count: usize) -> impl Display {
    if count == 1 { "directive is" } else { "directives are" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LogFormat, LogLevel};

    fn read(level: LogLevel, rust_log: &str) -> (String, Option<String>) {
        let environment = Environment::new([("RUST_LOG".to_owned(), rust_log.to_owned())]);
        let Filter { filter, warning } = filter(&LogSettings { level, format: LogFormat::Text }, &environment);
        let text = filter.to_string();
        let mut parts: Vec<_> = text.split(',').collect();
        parts.sort_unstable();
        (parts.join(","), warning)
    }

    #[test]
    fn drivers_log_at_most_warnings_unless_rust_log_names_them() {
        let directives = |rust_log| read(LogLevel::Info, rust_log).0;
        assert_eq!(directives(""), "allswell=info,allswell_checks=info,h2=off,lapin=off,warn");
        assert_eq!(directives("trace"), "allswell=trace,allswell_checks=trace,h2=off,lapin=off,warn");
        assert_eq!(directives("error,lapin=trace"), "allswell=error,allswell_checks=error,error,h2=off,lapin=trace");
        assert_eq!(directives("off"), "allswell=off,allswell_checks=off,h2=off,lapin=off,off");
    }

    #[test]
    fn directives_of_other_programs_silence_nothing() {
        for (rust_log, more) in
            [("myapp=debug", "myapp=debug,"), (" myapp = debug , ", "myapp=debug,"), ("myapp", "myapp=trace,"), ("myapp=off", "myapp=off,")]
        {
            let (directives, warning) = read(LogLevel::Info, rust_log);
            assert_eq!(directives, format!("allswell=info,allswell_checks=info,h2=off,lapin=off,{more}warn"), "{rust_log}");
            let name = more.split('=').next().unwrap_or_default();
            let expected = format!("RUST_LOG: 1 directive is about other programs and without effect here ({name})");
            assert_eq!(warning, Some(expected), "{rust_log}");
        }
        let (directives, _) = read(LogLevel::Error, "myapp=debug");
        assert_eq!(directives, "allswell=error,allswell_checks=error,error,h2=off,lapin=off,myapp=debug");
        let (directives, _) = read(LogLevel::Off, "myapp[request]=debug");
        assert_eq!(directives, "allswell=off,allswell_checks=off,h2=off,lapin=off,myapp[request]=debug,off");
    }

    #[test]
    fn a_level_of_another_program_is_not_valid() {
        for rust_log in ["verbose", "Warning", "none"] {
            let (directives, warning) = read(LogLevel::Info, rust_log);
            assert_eq!(directives, "allswell=info,allswell_checks=info,h2=off,lapin=off,warn", "{rust_log}");
            let expected = "RUST_LOG: 1 directive is not valid and ignored: write off, error, warn, info, debug or trace, or TARGET=LEVEL";
            assert_eq!(warning.as_deref(), Some(expected), "{rust_log}");
        }
    }

    #[test]
    fn our_own_targets_and_those_of_drivers_have_no_warning() {
        for (rust_log, expected) in [
            ("INFO", "allswell=info,allswell_checks=info,h2=off,lapin=off,warn"),
            ("allswell=debug", "allswell=debug,h2=off,lapin=off,warn"),
            ("allswell_checks=debug", "allswell=info,allswell_checks=debug,h2=off,lapin=off,warn"),
            ("allswell::http=off", "allswell::http=off,allswell=info,allswell_checks=info,h2=off,lapin=off,warn"),
            ("sqlx::query=debug,h2=debug", "allswell=info,allswell_checks=info,h2=debug,lapin=off,sqlx::query=debug,warn"),
        ] {
            assert_eq!(read(LogLevel::Info, rust_log), (expected.to_owned(), None), "{rust_log}");
        }
    }

    #[test]
    fn invalid_directives_are_counted_but_not_quoted() {
        let (directives, warning) = read(LogLevel::Info, "=?=,[,hunter2=hunter3,web=debug,worker=debug");
        assert!(directives.ends_with("lapin=off,warn,web=debug,worker=debug"), "{directives}");
        let expected = "RUST_LOG: 3 directives are not valid and ignored: write off, error, warn, info, debug or trace, or TARGET=LEVEL; \
                        2 directives are about other programs and without effect here (web, worker)";
        assert_eq!(warning.as_deref(), Some(expected));
    }
}
