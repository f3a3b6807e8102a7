//! Finds the format of the log before the configuration is known to be valid, for what is logged about its mistakes.

use super::{files::read_text, interpolate::expand, load::Sources, locate::ConfigFile, settings::LogFormat};
use std::path::Path;

/// The format of the log, as far as the sources show it: a file with mistakes counts, too. The default is text.
#[must_use]
pub fn log_format(sources: &Sources) -> LogFormat {
    let key = ["log", "format"].map(str::to_owned);
    let variable = sources.environment.variable_for(&key).and_then(|name| sources.environment.get(&name).map(str::to_owned));
    let of_files = || {
        sources.lookup().files.iter().rev().find_map(|path| format_of_file(path)).and_then(|text| expand(&text, &sources.environment).ok())
    };
    match variable.or_else(of_files).as_deref().map(str::trim) {
        Some("json") => LogFormat::Json,
        _ => LogFormat::Text,
    }
}

fn format_of_file(path: &Path) -> Option<String> {
    let text = read_text(path).ok()?;
    match ConfigFile::parse(path, &text) {
        Ok(file) => {
            let texts = file.texts();
            texts.iter().find(|(key, _)| key.iter().eq(["log", "format"])).map(|(_, text)| (*text).to_owned())
        }
        Err(_) => format_of_lines(&text),
    }
}

/// The same in a text that is not valid TOML.
fn format_of_lines(text: &str) -> Option<String> {
    let mut table = "";
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            table = header.split(']').next().unwrap_or_default().trim();
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        if matches!((table, key.trim()), ("log", "format") | ("", "log.format")) {
            return value.trim().trim_start_matches(['"', '\'']).split(['"', '\'']).next().map(str::to_owned);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use std::fs;

    fn format(file: &str, variables: &[(&str, &str)]) -> LogFormat {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("allswell.toml");
        fs::write(&path, file).expect("a file");
        let environment = Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        log_format(&Sources { files: vec![path], environment, ..Sources::default() })
    }

    #[test]
    fn the_format_is_found_although_the_rest_is_wrong() {
        for (file, variables, expected) in [
            ("", &[][..], LogFormat::Text),
            ("log.format = \"json\"\n[servr]", &[], LogFormat::Json),
            ("[log]\nformat = \"json\"\n[checks.x]\nkind = postgres\n", &[], LogFormat::Json),
            ("kind = postgres\n[ log ] # x\nformat='json'\n", &[], LogFormat::Json),
            ("kind = postgres\nlog.format = \"json\"\n", &[], LogFormat::Json),
            ("[service]\nformat = \"json\"\nx\n", &[], LogFormat::Text),
            ("[log]\nformat = \"${F:-json}\"\n", &[], LogFormat::Json),
            ("[log]\nformat = \"${F:-json}\"\n", &[("F", "text")], LogFormat::Text),
            ("[log]\nformat = \"json\"\n", &[("ALLSWELL_LOG__FORMAT", "text")], LogFormat::Text),
            ("nothing is right", &[("ALLSWELL_LOG__FORMAT", "json\n")], LogFormat::Json),
            ("[log]\nformat = \"json\"\n", &[("ALLSWELL_LOG__FORMAT", "")], LogFormat::Json),
        ] {
            assert_eq!(format(file, variables), expected, "{file:?} {variables:?}");
        }
    }
}
