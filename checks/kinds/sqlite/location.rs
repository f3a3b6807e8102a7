//! The key `path`: a path, or the URL of a file as client libraries write it.

use crate::contract::prelude::*;
use percent_encoding::percent_decode_str;
use std::path::{Path, PathBuf};

/// The path of a database without a file.
const IN_MEMORY: &str = ":memory:";

/// Which database to open, and how.
#[derive(Debug, PartialEq)]
pub(super) struct Location {
    /// `None` for a database in memory.
    pub(super) file: Option<PathBuf>,
    /// Whether three slashes begin the path: it is relative, but some libraries read it as an absolute one.
    pub(super) has_three_slashes: bool,
    /// Nothing else changes the file, so that no locks and no other files are needed.
    pub(super) is_immutable: bool,
    pub(super) warnings: Vec<ConfigWarning>,
}

impl Location {
    /// The name for the driver.
    pub(super) fn name(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new(IN_MEMORY))
    }

    /// Reads the key.
    ///
    /// # Errors
    ///
    /// What is wrong, or what the URL demands and is not supported.
    pub(super) fn parse(path: &Path) -> Result<Self, InvalidConfig> {
        let plain = |path: &Path| {
            let file = (path.as_os_str() != IN_MEMORY).then(|| path.to_owned());
            Ok(Self { file, has_three_slashes: false, is_immutable: false, warnings: Vec::new() })
        };
        if path.as_os_str().is_empty() {
            return Err(InvalidConfig::new("path", "is empty: name the database's file"));
        }
        // A path that is not UTF-8 is no URL.
        let Some((scheme, rest)) = path.to_str().and_then(|text| text.trim().split_once(':')) else { return plain(path) };
        // Celery's result backends: `db+sqlite:///results.db`.
        let scheme = scheme.strip_prefix("db+").unwrap_or(scheme);
        match scheme.split('+').next().unwrap_or(scheme).to_ascii_lowercase().as_str() {
            "jdbc" => match rest.strip_prefix("sqlite:") {
                Some(rest) => url(rest, Slashes::Absolute),
                None => Err(InvalidConfig::new("path", "is not a SQLite database")),
            },
            "sqlite" => url(rest, Slashes::Relative),
            "sqlite3" | "file" => url(rest, Slashes::Absolute),
            "libsql" | "turso" | "http" | "https" | "ws" | "wss" => Err(InvalidConfig::new(
                "path",
                "names a remote database, which this kind does not support: check its address with the kind `http`",
            )),
            _ => plain(path),
        }
    }
}

/// What three slashes mean.
#[derive(Clone, Copy, PartialEq)]
enum Slashes {
    /// A relative path, and four an absolute one, as in `SQLAlchemy` and Django.
    Relative,
    /// An absolute path, as in `SQLite` itself and in Rails.
    Absolute,
}

fn url(rest: &str, slashes: Slashes) -> Result<Location, InvalidConfig> {
    let rest = rest.split('#').next().unwrap_or(rest);
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = match place.strip_prefix("//") {
        Some(place) if place.split('/').next().is_some_and(|authority| authority.contains('@')) => return Err(encrypted()),
        Some(place) if slashes == Slashes::Relative => place.strip_prefix('/').unwrap_or(place),
        Some(place) => place.strip_prefix("localhost").filter(|place| place.starts_with('/')).unwrap_or(place),
        None => place,
    };
    // SQLAlchemy passes such a URI on to SQLite: `sqlite:///file:orders.db?mode=ro&uri=true`.
    if slashes == Slashes::Relative
        && let Some(place) = path.strip_prefix("file:")
    {
        return url(&format!("{place}?{query}"), Slashes::Absolute);
    }
    let path = percent_decode_str(path).decode_utf8().map_err(|_| InvalidConfig::new("path", "is not UTF-8 after percent-decoding"))?;
    let has_three_slashes = slashes == Slashes::Relative && place.starts_with("///") && !path.starts_with('/');
    let mut location = Location { file: None, has_three_slashes, is_immutable: false, warnings: Vec::new() };
    // `sqlite://` is a database in memory for SQLAlchemy.
    let mut is_in_memory = path.is_empty() || path == IN_MEMORY;
    for (name, value) in query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
        match (name, value) {
            // This check never writes, and creates a file only with `create`.
            ("mode", "ro" | "rw") | ("uri", _) => {}
            ("mode", "memory") => is_in_memory = true,
            ("mode", "rwc") => {
                location.warnings.push(ConfigWarning::new("path", "`mode=rwc` does not create the file here: write `create = true`"));
            }
            ("immutable", _) => location.is_immutable = matches!(value, "1" | "true" | "yes" | "on"),
            ("vfs", _) => return Err(InvalidConfig::new("path", "`vfs` is not supported: this build has the usual file system only")),
            ("key" | "hexkey" | "cipher" | "password" | "_pragma_key" | "_key", _) => return Err(encrypted()),
            (name, _) => location.warnings.push(ConfigWarning::parameter_without_effect("path", name)),
        }
    }
    location.file = (!is_in_memory).then(|| PathBuf::from(&*path));
    Ok(location)
}

fn encrypted() -> InvalidConfig {
    InvalidConfig::new("path", "names an encrypted database, which this build cannot open")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> Location {
        Location::parse(Path::new(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    #[test]
    fn files_in_the_forms_of_each_library() {
        for (path, expected) in [
            ("/var/lib/orders.db", Some("/var/lib/orders.db")),
            ("orders.db", Some("orders.db")),
            (":memory:", None),
            ("sqlite:///orders.db", Some("orders.db")),
            ("sqlite:////var/lib/orders.db", Some("/var/lib/orders.db")),
            ("db+sqlite:////var/lib/results.db", Some("/var/lib/results.db")),
            ("sqlite+aiosqlite:////var/lib/orders.db", Some("/var/lib/orders.db")),
            ("sqlite+pysqlite:///orders.db?timeout=5", Some("orders.db")),
            ("sqlite://orders.db", Some("orders.db")),
            ("sqlite:///file:orders.db?mode=ro&uri=true", Some("orders.db")),
            ("sqlite:///file:/var/lib/orders.db?uri=true", Some("/var/lib/orders.db")),
            ("sqlite://:memory:", None),
            ("sqlite:///:memory:", None),
            ("sqlite://", None),
            ("sqlite3:db/orders.sqlite3", Some("db/orders.sqlite3")),
            ("sqlite3:/var/lib/orders.sqlite3", Some("/var/lib/orders.sqlite3")),
            ("sqlite3:///var/lib/orders.sqlite3", Some("/var/lib/orders.sqlite3")),
            ("file:./dev.db", Some("./dev.db")),
            ("file:orders.db?mode=ro&cache=shared", Some("orders.db")),
            ("file:///var/lib/my%20orders.db", Some("/var/lib/my orders.db")),
            ("file://localhost/var/lib/orders.db", Some("/var/lib/orders.db")),
            ("file::memory:?cache=shared", None),
            ("file:orders?mode=memory", None),
            ("jdbc:sqlite:/var/lib/orders.db", Some("/var/lib/orders.db")),
            ("C:orders.db", Some("C:orders.db")),
        ] {
            assert_eq!(parsed(path).file.as_deref(), expected.map(Path::new), "{path}");
        }
    }

    #[test]
    fn a_relative_path_that_looks_absolute_is_known_as_such() {
        assert!(parsed("sqlite:///var/lib/orders.db").has_three_slashes);
        for clear in ["sqlite:////var/lib/orders.db", "sqlite3:///var/lib/orders.db", "sqlite://orders.db", "orders.db"] {
            assert!(!parsed(clear).has_three_slashes, "{clear}");
        }
    }

    #[test]
    fn parameters_have_their_effect_or_are_named() {
        assert!(parsed("file:/orders.db?immutable=1").is_immutable);
        let warnings = |path: &str| parsed(path).warnings.into_iter().map(|warning| warning.message.into_owned()).collect::<Vec<_>>();
        assert_eq!(warnings("file:/orders.db?mode=ro"), Vec::<String>::new());
        assert_eq!(warnings("file:/orders.db?mode=rwc"), ["`mode=rwc` does not create the file here: write `create = true`"]);
        assert_eq!(
            warnings("file:/orders.db?nolock=1&cache=shared"),
            ["the parameter `nolock` of the URL has no effect here", "the parameter `cache` of the URL has no effect here"]
        );
    }

    #[test]
    fn remote_and_encrypted_databases_are_refused() {
        let refused = |path: &str| Location::parse(Path::new(path)).expect_err(path).message.into_owned();
        assert!(refused("libsql://orders.turso.io").contains("kind `http`"));
        for path in ["sqlite+pysqlcipher://:hunter2@/orders.db", "file:/orders.db?key=hunter2"] {
            assert_eq!(refused(path), "names an encrypted database, which this build cannot open");
        }
        assert_eq!(refused(""), "is empty: name the database's file");
    }
}
