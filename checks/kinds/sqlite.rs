//! Checks a `SQLite` database file.
//!
//! ```toml
//! [checks.db]
//! kind = "sqlite"
//! path = "/var/lib/orders/orders.sqlite3"
//! ```

mod discovery;
mod location;
mod reasons;

use crate::{contract::prelude::*, sql};
use location::Location;
use reasons::{IS_FOLDER, reason, reason_while_reading};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection, ValueRef,
    sqlite::{SqliteConnectOptions, SqliteRow},
};
use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::runtime::Handle;

/// Opens a database file as the application does and reads its header page. So it notices a file that is missing, damaged or replaced.
/// Creates the file only with `create`, and changes nothing in it.
///
/// Required rights: to read the file, and in WAL mode to write to its folder. Do not name a file in a folder that other users can write to,
/// such as `/tmp`: they could replace it with another file or a link.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The database file, as a path or as the URL of the application: `sqlite:////srv/orders.db`, `file:/srv/orders.db?immutable=1`.
    /// `:memory:` is an empty database in memory: it shows that `SQLite` itself works, and opens no file.
    pub path: PathBuf,
    /// Create the file if it does not exist. A link whose target does not exist is not followed.
    #[serde(default)]
    pub create: bool,
    /// Read the whole file and verify it with `PRAGMA quick_check`. For small databases only.
    #[serde(default)]
    pub quick_check: bool,
    /// One SQL statement that must return at least one row.
    pub query: Option<String>,
    /// Expected value, as text, of the first column of the first row that `query` returns.
    pub expect: Option<String>,
    /// `kept` reuses the connection for the next probe, `fresh` opens a new one for each probe.
    #[serde(default)]
    pub connection: Reuse,
    /// Maximum age of a kept connection. The next probe after that opens a new one.
    #[serde(default)]
    pub max_connection_age: MaxAge,
}

/// How long a probe waits for the lock of another process. Short enough for the default timeout, also when a second attempt on a new
/// connection has to confirm the failure.
const BUSY_TIMEOUT: Duration = Duration::from_millis(400);

/// A check of one file.
pub struct Sqlite {
    file: Arc<SqliteFile>,
    blocking: Blocking,
}

struct SqliteFile {
    location: Location,
    config: Config,
    kept: Kept<OpenFile>,
}

/// A connection, and the identity of its file, if there is one.
struct OpenFile {
    connection: SqliteConnection,
    identity: Option<(u64, u64)>,
}

impl Backend for Sqlite {
    const KIND: &'static str = "sqlite";
    const CATEGORY: Category = Category::Database;
    const OTHER_NAMES: &'static [&'static str] = &["sqlite_db", "libsql", "django_sqlite"];
    const EXAMPLE: &'static str = r#"
path = "/var/lib/orders/orders.sqlite3"
"#;
    const SCHEMES: &'static [&'static str] = &["sqlite", "sqlite3", "spatialite"];
    // In memory: in a folder that every user can write to, a file with a known name may be another user's. That files can be written is the
    // host check of `storage`.
    const HOST_CHECK: Option<HostCheck> = Some(HostCheck::Path(":memory:"));
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let location = Location::parse(&config.path)?;
        sql::needs_query(config.query.as_ref(), config.expect.as_ref())?;
        let kept = Kept::new(config.connection, config.max_connection_age);
        Ok(Self { file: Arc::new(SqliteFile { location, config, kept }), blocking: Blocking::default() })
    }

    fn discover(variable: &dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck> {
        discovery::checks(variable)
    }
}

#[async_trait]
impl Check for Sqlite {
    async fn probe(&self) -> Result<Observation, Failure> {
        // On a blocking thread, one at a time: the driver starts a thread for each connection, and on a hung mount all of them would stay.
        let (file, runtime) = (Arc::clone(&self.file), Handle::current());
        self.blocking.run(move || runtime.block_on(file.kept.probe(&*file))).await?
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        self.file.location.warnings.clone()
    }
}

#[async_trait]
impl Session for SqliteFile {
    type Connection = OpenFile;

    async fn open(&self) -> Result<OpenFile, Failure> {
        if let Some(path) = self.on_disk().filter(|_| self.config.create) {
            create(path)?;
        }
        let connection = SqliteConnectOptions::new()
            .filename(self.location.name())
            .immutable(self.location.is_immutable)
            // Not read-only: in WAL mode that would leave its log file behind. A file without write permission is opened for reading anyway.
            .pragma("query_only", if self.config.create { "0" } else { "1" })
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging()
            .connect()
            .await
            .map_err(|error| self.unopened(error))?;
        Ok(OpenFile { connection, identity: self.on_disk().map(identity).transpose()? })
    }

    async fn ask(&self, open: &mut OpenFile) -> Result<Observation, Failure> {
        if self.on_disk().map(identity).transpose()? != open.identity {
            return Err(Failure::unhealthy("the file was replaced"));
        }
        let connection = &mut open.connection;
        // `schema_version` reads the header page; `SELECT 1` would pass on any file.
        sqlx::raw_sql("PRAGMA schema_version").fetch_one(&mut *connection).await.map_err(failure)?;
        let journal_mode = sqlx::raw_sql("PRAGMA journal_mode").fetch_one(&mut *connection).await.map_err(failure)?;
        if self.config.quick_check {
            let verdict = sqlx::raw_sql("PRAGMA quick_check(1)").fetch_one(&mut *connection).await.map_err(failure)?;
            if text(&verdict).as_deref() != Some("ok") {
                return Err(Failure::unhealthy("the file is damaged").because(text(&verdict).unwrap_or_default()));
            }
        }
        if let Some(query) = &self.config.query {
            let row = sqlx::raw_sql(AssertSqlSafe(query.as_str())).fetch_optional(&mut *connection).await.map_err(failure)?;
            let first = row.as_ref().and_then(text);
            sql::expect(row.is_some(), first.as_deref(), self.config.expect.as_deref())?;
        }
        let size = self.on_disk().map(|path| path.metadata().map_err(unreadable)).transpose()?.map(|metadata| metadata.len());
        let seen = Observation::pass().with_some("size_bytes", size).with_some("journal_mode", text(&journal_mode));
        // A created file is empty until the application writes to it.
        let is_empty = size == Some(0) && !self.config.create;
        Ok(if is_empty { seen.warned("the file is empty: it is a database without tables") } else { seen })
    }

    async fn hang_up(open: OpenFile) {
        // This closes the file at once; dropping the connection would leave that to the driver's thread.
        let _ = open.connection.close().await;
    }
}

impl SqliteFile {
    /// The path, unless the database is in memory.
    fn on_disk(&self) -> Option<&Path> {
        self.location.file.as_deref()
    }

    fn unopened(&self, error: sqlx::Error) -> Failure {
        match self.on_disk().map(Path::metadata) {
            Some(Err(missing)) if missing.kind() == io::ErrorKind::NotFound => {
                let failure = unreadable(missing);
                if self.location.has_three_slashes { failure.saying(NO_RELATIVE_FILE) } else { failure }
            }
            Some(Ok(found)) if found.is_dir() => Failure::unhealthy(IS_FOLDER).because(error),
            _ => match error {
                // The driver starts a thread for each connection.
                sqlx::Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    Failure::internal(error).saying("this machine has no threads left")
                }
                error => sql::failure(error, reason),
            },
        }
    }
}

const NO_RELATIVE_FILE: &str = "there is no such file: `sqlite:///` begins a relative path, `sqlite:////` an absolute one";

/// Creates an empty file, which is an empty database, if the name is free. `SQLite` would follow a dangling link, and create a file
/// wherever the link leads.
fn create(path: &Path) -> Result<(), Failure> {
    // The mode of files that SQLite creates.
    match OpenOptions::new().write(true).create_new(true).mode(0o644).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(uncreatable(error)),
        _ => Ok(()),
    }
}

/// Device and inode, which differ for another file with the same name.
fn identity(path: &Path) -> Result<(u64, u64), Failure> {
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The first column as text, whatever its type.
fn text(row: &SqliteRow) -> Option<String> {
    let value = row.try_get_raw(0).ok()?;
    if value.is_null() {
        return None;
    }
    row.try_get_unchecked::<String, _>(0).ok()
}

fn uncreatable(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => Failure::unhealthy("there is no such folder").because(error),
        io::ErrorKind::PermissionDenied => Failure::rejected("the file cannot be created").because(error),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::exhausted("the disk is full").because(error),
        _ => Failure::unhealthy("the file cannot be created").because(error),
    }
}

fn unreadable(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => Failure::unhealthy("there is no such file").because(error),
        io::ErrorKind::PermissionDenied => Failure::rejected("permission to read the file denied").because(error),
        _ => Failure::unhealthy("the file cannot be read").because(error),
    }
}

fn failure(error: sqlx::Error) -> Failure {
    sql::failure(error, reason_while_reading)
}
