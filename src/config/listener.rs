//! How the service of a configuration is reached: `server.listen` and `server.tls`, and nothing else.
//!
//! A client of the service needs only these, so mistakes elsewhere do not matter, as long as they leave these keys readable.

use super::{
    environment::Environment, files::read_text, lenient::readable_parts, load::Sources, references::expand, settings::ServerSettings,
};
use std::path::PathBuf;
use toml_edit::Item;

/// How the service of a configuration is reached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    /// The address that it listens on.
    pub(crate) listen: String,
    /// Whether the configuration sets the address.
    pub(crate) is_set: bool,
    /// Whether it speaks TLS.
    pub(crate) has_tls: bool,
    /// The file of its certificate, if it speaks TLS.
    pub(crate) certificate_file: Option<PathBuf>,
}

/// The same keys in one layer of the configuration.
#[derive(Debug, Default)]
struct Layer {
    /// Or the reason why a reference in it does not resolve, which counts only if no stronger layer sets the key.
    listen: Option<Result<String, String>>,
    has_tls: bool,
    certificate_file: Option<Result<String, String>>,
}

/// Reads how the service is reached.
///
/// # Errors
///
/// The reason why the address is unknown: a file that might have it cannot be read, or its value refers to a variable that is not set.
pub(crate) fn listener(sources: &Sources) -> Result<Listener, String> {
    let mut merged = Layer::default();
    let mut unreadable = None;
    for file in sources.lookup().files {
        match read_text(&file) {
            Ok(text) => merged.add(layer_of(&text, Some(&sources.environment))),
            Err(message) => {
                merged.listen = None;
                unreadable = Some(format!("{}: {message}", file.display()));
            }
        }
    }
    let variables = sources.environment.overrides().map(|(_, key, value)| (key, value.trim()));
    let flags = sources.overrides.iter().map(|given| (given.key.clone(), given.value.as_str()));
    for (key, value) in variables.chain(flags) {
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        match key.as_slice() {
            ["server", "listen"] => merged.listen = Some(Ok(value.to_owned())),
            // A whole table.
            ["server", "tls"] => merged.add(layer_of(&format!("server.tls = {value}"), None)),
            ["server", "tls", "certificate_file"] => {
                merged.add(Layer { certificate_file: Some(Ok(value.to_owned())), has_tls: true, listen: None });
            }
            ["server", "tls", ..] => merged.has_tls = true,
            _ => {}
        }
    }
    let is_set = merged.listen.is_some();
    let listen = match (merged.listen, unreadable) {
        (Some(listen), _) => listen?,
        (None, Some(reason)) => return Err(reason),
        (None, None) => ServerSettings::default().listen,
    };
    let certificate_file = merged.certificate_file.and_then(Result::ok).map(PathBuf::from);
    Ok(Listener { listen, is_set, has_tls: merged.has_tls, certificate_file })
}

impl Layer {
    /// Adds a stronger layer.
    fn add(&mut self, stronger: Self) {
        self.listen = stronger.listen.or(self.listen.take());
        self.has_tls |= stronger.has_tls;
        self.certificate_file = stronger.certificate_file.or(self.certificate_file.take());
    }
}

/// Reads the keys from a text, and replaces references if there is an environment: the value of a variable is literal.
fn layer_of(text: &str, environment: Option<&Environment>) -> Layer {
    let value = |item: Option<&Item>| {
        let text = item.and_then(Item::as_str)?;
        Some(environment.map_or_else(|| Ok(text.to_owned()), |environment| expand(text, environment)))
    };
    let mut layer = Layer::default();
    for part in readable_parts(text) {
        let Some(server) = part.get("server") else { continue };
        let tls = server.get("tls");
        layer.add(Layer {
            listen: value(server.get("listen")),
            has_tls: tls.is_some(),
            certificate_file: value(tls.and_then(|tls| tls.get("certificate_file"))),
        });
    }
    layer
}

#[cfg(test)]
mod tests {
    use super::super::environment::Environment;
    use super::*;
    use std::fs;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Listener, String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), text).expect("a file");
        let environment = Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        listener(&Sources { files: vec![file.path().to_owned()], environment, ..Sources::default() })
    }

    #[test]
    fn mistakes_elsewhere_do_not_matter() {
        for text in [
            "[server]\nlisten = \"h:1\"\n[checks.db]\nkind = \"none\"\n",
            "[server]\nlisten = \"h:1\"\nunknown = 1\ntoken_file = \"/none\"\n[checks.db]\nurl = \"${NONE}\"\n",
            "[server]\nlisten = \"h:1\"\n[checks.db]\nkind = postgres\n",
            "[checks.db]\nkind = “postgres”\n[server]\nlisten = \"h:1\"\n",
            "[server]\nlisten = \"h:1\"\nfail_status = \n",
            "[server]\nfail_status = 5OO\n  listen = \"h:1\" # the port\n[checks.db]\n[checks.db]\n",
            "server.listen = \"h:1\"\n[checks.db\n",
            "server = { listen = \"h:1\" }\n[checks]\nx\n",
            "\u{feff}[server]\nlisten = \"h:1\"\n",
        ] {
            let found = read(text, &[]).expect("it is readable");
            assert_eq!((found.listen.as_str(), found.is_set, found.has_tls), ("h:1", true, false), "{text}");
        }
        let default = read("[checks.db]\nkind = postgres\n", &[]).expect("it is readable");
        assert_eq!((default.listen.as_str(), default.is_set), ("0.0.0.0:8080", false));
    }

    #[test]
    fn tls_is_recognised_with_its_certificate() {
        for text in [
            "[server.tls]\ncertificate_file = \"${FOLDER}/c\"\nkey_file = \"k\"\n",
            "[server.tls]\ncertificate_file = \"${FOLDER}/c\"\nkey_file = k\n",
            "[server]\ntls.certificate_file = \"/f/c\"\nx\n",
        ] {
            let found = read(text, &[("FOLDER", "/f")]).expect("it is readable");
            assert_eq!((found.has_tls, found.certificate_file), (true, Some(PathBuf::from("/f/c"))), "{text}");
        }
        let found = read("", &[("ALLSWELL_SERVER__TLS", "{ certificate_file = \"/c\" }")]).expect("it is readable");
        assert_eq!((found.has_tls, found.certificate_file), (true, Some(PathBuf::from("/c"))));
    }

    #[test]
    fn variables_win_over_files_and_are_literal() {
        let found = read("[server]\nlisten = \"h:${PORT:-1}\"\n", &[("PORT", "2")]).expect("it is readable");
        assert_eq!(found.listen, "h:2");
        let found = read("[server]\nlisten = \"h:1\"\n", &[("ALLSWELL_SERVER__LISTEN", "i:3")]).expect("it is readable");
        assert_eq!(found.listen, "i:3");
    }

    #[test]
    fn an_address_that_is_unknown_is_not_guessed() {
        assert!(read("[server]\nlisten = \"h:${PORT}\"\n", &[]).is_err_and(|reason| reason.contains("PORT is not set")));
        let sources = |environment| Sources { files: vec![PathBuf::from("/none/a.toml")], environment, ..Sources::default() };
        assert_eq!(listener(&sources(Environment::default())), Err("/none/a.toml: there is no such file".to_owned()));
        let environment = Environment::new([("ALLSWELL_SERVER__LISTEN".to_owned(), "h:1".to_owned())]);
        assert_eq!(listener(&sources(environment)).map(|found| found.listen), Ok("h:1".to_owned()));
    }

    #[test]
    fn a_reference_that_does_not_resolve_matters_only_in_the_address_that_counts() {
        let found = read("[server]\nlisten = \"h:${PORT}\"\n", &[("ALLSWELL_SERVER__LISTEN", "h:1")]).expect("the variable wins");
        assert_eq!(found.listen, "h:1");
        let found = read("[server]\nlisten = \"h:1\"\ntls.certificate_file = \"${NONE}\"\n", &[]).expect("it is readable");
        assert_eq!((found.listen.as_str(), found.has_tls, found.certificate_file), ("h:1", true, None));
    }
}
