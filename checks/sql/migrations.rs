//! Compares the migrations of the application with those that the database has recorded as applied.

use crate::contract::{Blocking, Failure, InvalidConfig, from_text};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    borrow::Cow,
    collections::BTreeSet,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    str::FromStr,
};

/// Which table records the applied migrations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Framework {
    /// Migrations are not checked.
    #[default]
    None,
    /// Django: the table `django_migrations`.
    Django,
    /// sqlx: the table `_sqlx_migrations`.
    Sqlx,
    /// Another table, with one row for each applied migration.
    Table(String),
}

impl FromStr for Framework {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        match text {
            "none" => Ok(Self::None),
            "django" => Ok(Self::Django),
            "sqlx" => Ok(Self::Sqlx),
            table if table.split('.').count() <= 2 && table.split('.').all(named) => Ok(Self::Table(table.to_owned())),
            _ => Err("not `none`, `django`, `sqlx` or the name of a table".to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Framework {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

/// Defaults in the documentation have the form in which users write them.
impl Serialize for Framework {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::None => "none",
            Self::Django => "django",
            Self::Sqlx => "sqlx",
            Self::Table(table) => table,
        })
    }
}

impl JsonSchema for Framework {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Framework".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "framework or table", "examples": ["django", "sqlx", "schema_migrations"] })
    }
}

/// How a check compares migrations.
pub(crate) struct Migrations {
    framework: Framework,
    paths: Vec<PathBuf>,
    blocking: Blocking,
}

/// Maximum number of applied migrations that are compared: an endless table must not fill our memory.
pub(crate) const MAX_MIGRATIONS: usize = 100_000;

/// Maximum number of names in a message.
const MAX_NAMES_IN_MESSAGE: usize = 3;

/// Maximum number of bytes of a migration's file that are read.
const MAX_FILE_BYTES: u64 = 1 << 20;

impl Migrations {
    /// As configured; `None` if migrations are not checked.
    pub(crate) fn new(framework: Framework, paths: Vec<PathBuf>) -> Result<Option<Self>, InvalidConfig> {
        let known = matches!(framework, Framework::Django | Framework::Sqlx);
        if !known && !paths.is_empty() {
            return Err(InvalidConfig::new("migration_paths", "applies only with `pending_migrations` = \"django\" or \"sqlx\""));
        }
        Ok((framework != Framework::None).then(|| Self { framework, paths, blocking: Blocking::default() }))
    }

    /// The query for the applied migrations, with two columns. `quote` encloses names.
    pub(crate) fn statement(&self, quote: char) -> String {
        match &self.framework {
            Framework::None => "SELECT 1, 1".to_owned(),
            Framework::Django => "SELECT app, name FROM django_migrations".to_owned(),
            Framework::Sqlx => "SELECT version, success FROM _sqlx_migrations".to_owned(),
            Framework::Table(table) => {
                let quoted: Vec<_> = table.split('.').map(|part| format!("{quote}{part}{quote}")).collect();
                format!("SELECT 1, 1 FROM {} LIMIT 1", quoted.join("."))
            }
        }
    }

    /// The table does not exist or is empty.
    pub(crate) fn not_migrated() -> Failure {
        Failure::unhealthy("the database was never migrated")
    }

    /// Compares the rows of [`statement`](Self::statement) with the migrations of the application.
    pub(crate) async fn judge(&self, rows: Vec<(String, String)>) -> Result<(), Failure> {
        if rows.is_empty() {
            return Err(Self::not_migrated());
        }
        if rows.len() > MAX_MIGRATIONS && !self.paths.is_empty() {
            // A migration that is missing in the part that was read need not be pending.
            return Err(Failure::unhealthy(format!("more than {MAX_MIGRATIONS} migrations are recorded: too many to compare")));
        }
        let stopped = rows.iter().find(|(_, success)| !matches!(success.as_str(), "t" | "1"));
        let applied: BTreeSet<String> = match (&self.framework, stopped) {
            (Framework::Sqlx, Some((version, _))) => {
                return Err(Failure::unhealthy(format!("the migration {version} did not finish")));
            }
            (Framework::Sqlx, None) => rows.into_iter().map(|(version, _)| version).collect(),
            (Framework::Django, _) => rows.into_iter().map(|(app, name)| format!("{app}.{name}")).collect(),
            (Framework::Table(_) | Framework::None, _) => return Ok(()),
        };
        if self.paths.is_empty() {
            return Ok(());
        }
        let (paths, django) = (self.paths.clone(), self.framework == Framework::Django);
        let compared = self.blocking.run(move || if django { pending_django(&paths, &applied) } else { pending_sqlx(&paths, &applied) });
        let pending = compared.await?.map_err(|error| Failure::unhealthy("a folder in `migration_paths` cannot be read").because(error))?;
        if pending.is_empty() {
            return Ok(());
        }
        let named = pending.iter().take(MAX_NAMES_IN_MESSAGE).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if pending.len() > MAX_NAMES_IN_MESSAGE { ", …" } else { "" };
        let are = if pending.len() == 1 { "migration is" } else { "migrations are" };
        Err(Failure::unhealthy(format!("{} {are} pending: {named}{more}", pending.len())).with("pending_migrations", pending.len()))
    }
}

/// Migrations of Django that are not applied, as `app.name`, sorted.
fn pending_django(folders: &[PathBuf], applied: &BTreeSet<String>) -> io::Result<Vec<String>> {
    let mut pending = BTreeSet::new();
    for folder in folders {
        let app = label(folder);
        for (name, path) in files(folder, ".py")? {
            let id = format!("{app}.{name}");
            // As in Django's loader: modules with these prefixes are helpers, and no module has a dot in its name.
            if name.starts_with(['_', '~']) || name.contains('.') || applied.contains(&id) {
                continue;
            }
            // A squashed migration is applied when all the migrations that it replaces are.
            let replaced = replaces(&read(&path)?);
            if replaced.is_empty() || !replaced.iter().all(|id| applied.contains(id)) {
                pending.insert(id);
            }
        }
    }
    Ok(pending.into_iter().collect())
}

/// The label of the application that a folder of migrations belongs to: as its `apps.py` says, or the name of the parent folder.
fn label(folder: &Path) -> String {
    let around = folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).parent().map(Path::to_owned).unwrap_or_default();
    let said = read(&around.join("apps.py")).ok().and_then(|text| {
        let value = text.lines().find_map(|line| line.trim().strip_prefix("label")?.trim_start().strip_prefix('='))?;
        quoted(value).into_iter().next()
    });
    said.unwrap_or_else(|| around.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

/// The names in `replaces = [("app", "name"), …]`, as `app.name`.
fn replaces(text: &str) -> Vec<String> {
    let list = text.split_once("replaces").and_then(|(_, rest)| rest.trim_start().strip_prefix('='));
    let list = list.and_then(|rest| rest.split_once(']')).map_or("", |(list, _)| list);
    quoted(list).chunks_exact(2).map(|pair| pair.join(".")).collect()
}

/// The texts in single or double quotes.
fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['"', '\'']) {
        let quote = rest.as_bytes()[start] as char;
        let Some((inner, after)) = rest[start + 1..].split_once(quote) else { break };
        found.push(inner.to_owned());
        rest = after;
    }
    found
}

/// Migrations of sqlx that are not applied, by version, sorted: `20240131120000_name.sql`, or `….up.sql`.
fn pending_sqlx(folders: &[PathBuf], applied: &BTreeSet<String>) -> io::Result<Vec<String>> {
    let mut pending = BTreeSet::new();
    for folder in folders {
        for (name, _) in files(folder, ".sql")? {
            let (version, rest) = name.split_once('_').unwrap_or_default();
            // sqlx ignores other files, too, and a file that reverts a migration is never pending.
            let Some(version) = version.parse::<i64>().ok().filter(|_| rest.strip_suffix(".down").is_none()) else { continue };
            if !applied.contains(&version.to_string()) {
                pending.insert(version);
            }
        }
    }
    Ok(pending.into_iter().map(|version| version.to_string()).collect())
}

/// The files of a folder with an extension, and their names without it.
fn files(folder: &Path, ending: &str) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(name) = name.strip_suffix(ending) {
            files.push((name.to_owned(), path.clone()));
        }
    }
    Ok(files)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = Vec::new();
    fs::File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary directory");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        root
    }

    fn judged(framework: &str, paths: Vec<PathBuf>, rows: &[(&str, &str)]) -> Result<(), String> {
        let migrations = Migrations::new(framework.parse().expect("a framework"), paths).expect("a configuration").expect("a framework");
        let rows = rows.iter().map(|(first, second)| ((*first).to_owned(), (*second).to_owned())).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(migrations.judge(rows)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_migration_that_django_has_not_applied_is_pending() {
        let squashed = "class Migration:\n    replaces = [('orders', '0001_initial'), (\"orders\", \"0002_more\")]\n";
        let root = folder(&[
            ("orders/migrations/__init__.py", ""),
            ("orders/migrations/0001_squashed_0002_more.py", squashed),
            ("orders/migrations/0003_late.py", "class Migration: pass"),
            ("orders/migrations/.#0004_unsaved.py", "class Migration: pass"),
            ("orders/migrations/0004.orig.py", "class Migration: pass"),
            ("billing/apps.py", "class C(AppConfig):\n    name = 'shop.billing'\n    label = 'shop_billing'\n"),
            ("billing/migrations/0001_initial.py", "class Migration: pass"),
        ]);
        let paths = || vec![root.path().join("orders/migrations"), root.path().join("billing/migrations")];
        let both = [("orders", "0001_initial"), ("orders", "0002_more"), ("orders", "0003_late"), ("shop_billing", "0001_initial")];
        assert_eq!(judged("django", paths(), &both), Ok(()));
        assert_eq!(judged("django", paths(), &both[..3]), Err("unhealthy: 1 migration is pending: shop_billing.0001_initial".to_owned()));
        assert_eq!(
            judged("django", paths(), &both[..1]),
            Err("unhealthy: 3 migrations are pending: orders.0001_squashed_0002_more, orders.0003_late, shop_billing.0001_initial"
                .to_owned())
        );
        assert_eq!(judged("django", Vec::new(), &both[..1]), Ok(()));
        assert_eq!(judged("django", paths(), &[]), Err("unhealthy: the database was never migrated".to_owned()));
        let endless = vec![("orders", "0001_initial"); MAX_MIGRATIONS + 1];
        let too_many = Err("unhealthy: more than 100000 migrations are recorded: too many to compare".to_owned());
        assert_eq!(judged("django", paths(), &endless), too_many, "rather than a false `pending`");
        assert_eq!(judged("django", paths(), &[&endless[2..], &both].concat()), too_many);
        assert_eq!(judged("django", paths(), &[&endless[4..], &both[1..]].concat()), Ok(()));
        let nowhere = vec![root.path().join("none")];
        assert_eq!(judged("django", nowhere, &both), Err("unhealthy: a folder in `migration_paths` cannot be read".to_owned()));
    }

    #[test]
    fn migrations_that_sqlx_has_not_applied_or_not_finished_are_reported() {
        let root = folder(&[("1_a.up.sql", ""), ("1_a.down.sql", ""), ("20240101_b.sql", ""), ("notes.sql", "")]);
        let paths = || vec![root.path().to_owned()];
        assert_eq!(judged("sqlx", paths(), &[("1", "t"), ("20240101", "t")]), Ok(()));
        assert_eq!(judged("sqlx", paths(), &[("1", "1")]), Err("unhealthy: 1 migration is pending: 20240101".to_owned()));
        assert_eq!(
            judged("sqlx", paths(), &[("1", "t"), ("20240101", "f")]),
            Err("unhealthy: the migration 20240101 did not finish".to_owned())
        );
    }

    #[test]
    fn another_table_needs_rows_and_a_plain_name() {
        assert_eq!(judged("schema_migrations", Vec::new(), &[("1", "1")]), Ok(()));
        assert!("x; DROP TABLE y".parse::<Framework>().is_err());
        let table =
            Migrations::new(Framework::Table("app.schema_migrations".to_owned()), Vec::new()).expect("a configuration").expect("a table");
        assert_eq!(table.statement('"'), "SELECT 1, 1 FROM \"app\".\"schema_migrations\" LIMIT 1");
        assert!(Migrations::new(Framework::Table("x".to_owned()), vec!["y".into()]).is_err());
        assert!(Migrations::new(Framework::None, vec!["y".into()]).is_err());
    }
}
