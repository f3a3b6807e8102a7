//! Finds the format of the log before the configuration is known to be valid, for what is logged about its mistakes.

use super::{files::read_text, lenient::readable_parts, load::Sources, references::expand, settings::LogFormat};
use std::path::Path;
use toml_edit::Item;

/// The format of the log, as far as the sources show it: a file with mistakes counts, too. The default is text.
pub(crate) fn log_format(sources: &Sources) -> LogFormat {
    let key = ["log", "format"].map(str::to_owned);
    let variable = sources.environment.variable_for(&key).and_then(|name| sources.environment.get(&name).map(str::to_owned));
    let of_files =
        || sources.lookup().files.iter().rev().find_map(|path| written(path)).and_then(|text| expand(&text, &sources.environment).ok());
    match variable.or_else(of_files).as_deref().map(str::trim) {
        Some("json") => LogFormat::Json,
        _ => LogFormat::Text,
    }
}

/// The value in a file. A pipe can be read only once, and `load` has to read it.
fn written(path: &Path) -> Option<String> {
    let text = path.is_file().then(|| read_text(path).ok()).flatten()?;
    readable_parts(&text).iter().rev().find_map(|part| part.get("log")?.get("format").and_then(Item::as_str).map(str::to_owned))
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
