//! What a check is: one probe of a backend. A check has no name, policy or timeout of its own; the engine adds these.

use super::{Failure, Observation, Secret};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// A check: it probes one backend, which works or does not.
#[async_trait]
pub trait Check: Send + Sync + 'static {
    /// Probes the backend once.
    ///
    /// The caller owns the timeout and may drop this future at any await: a connection in the middle of a reply must then not be reused.
    /// The caller never starts a probe before the last one has ended or was dropped.
    ///
    /// # Errors
    ///
    /// A [`Failure`] with a message of ours, safe to publish, that says why the application could not work with this backend.
    async fn probe(&self) -> Result<Observation, Failure>;

    /// Secrets that are not in the configuration, such as the value of an environment variable that the driver reads. They are redacted,
    /// too.
    fn secrets(&self) -> Vec<Secret> {
        Vec::new()
    }

    /// Warnings about the configuration. They are logged once, when the configuration is read.
    fn warnings(&self) -> Vec<ConfigWarning> {
        Vec::new()
    }
}

/// A kind of backend that can be configured. Its file, module, cargo feature and compose service have the name [`KIND`](Self::KIND).
pub trait Backend: Check + Sized {
    /// The kind's name, as in `kind = "postgres"`: `[a-z][a-z0-9_]*`.
    const KIND: &'static str;

    /// What the kind is for an application.
    const CATEGORY: Category;

    /// A complete table in TOML, without its header. It is printed in the documentation; a test parses and builds it.
    const EXAMPLE: &'static str;

    /// Other names under which users look for this kind, such as products that speak its protocol: a hint for `kind = "elasticache"`. The names
    /// in [`SCHEMES`](Self::SCHEMES) and the images of [`COMPOSE`](Self::COMPOSE) need not be repeated.
    const OTHER_NAMES: &'static [&'static str] = &[];

    /// URL schemes by which discovery recognises a URL of this kind, without `+driver`: `postgres`. Empty: no URL is ever taken for this kind.
    const SCHEMES: &'static [&'static str] = &[];

    /// The server's TCP port when an address or URL leaves it out.
    const DEFAULT_PORT: Option<u16> = None;

    /// Whether the server sends the first bytes of a connection, so that the check waits for it. `MySQL` and SMTP do; HTTP and Redis do not.
    const SPEAKS_FIRST: bool = false;

    /// How `allswell init` finds this kind in a compose file.
    const COMPOSE: Option<ComposeService> = None;

    /// The check of the host itself that runs when nothing is configured.
    const HOST_CHECK: Option<HostCheck> = None;

    /// The keys of this kind. The doc comments of the type and its fields are the published reference.
    type Config: DeserializeOwned + JsonSchema;

    /// Builds a check from its configuration. Pure: it does no I/O, so that a start never waits for a backend.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] names the key and says what to do.
    fn build(config: Self::Config) -> Result<Self, InvalidConfig>;

    /// The checks that the application's environment variables describe, apart from URLs, which [`SCHEMES`](Self::SCHEMES) covers.
    ///
    /// `variable` returns the value of an environment variable that is set and not empty. Pure: only the caller reads the environment.
    fn discover(variable: &dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck> {
        let _ = variable;
        Vec::new()
    }
}

/// A check that environment variables describe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentCheck {
    /// The variable that the check is named after.
    pub variable: &'static str,
    /// The check's keys.
    pub keys: Vec<EnvironmentKey>,
}

/// A key of an [`EnvironmentCheck`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentKey {
    /// The key, relative to the table of the check: `url`, or in an inner table `tls.ca_file`.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// The variable that holds exactly this value, if there is one.
    pub variable: Option<&'static str>,
}

/// How a kind appears in a compose file, and the check that `allswell init` writes for it.
#[derive(Clone, Copy, Debug)]
pub struct ComposeService {
    /// Names of images, without registry, namespace and tag: `postgres` for `docker.io/library/postgres:17`.
    pub images: &'static [&'static str],
    /// The key that holds the server's place: `url` or `address`.
    pub key: &'static str,
    /// The value of that key. `{host}` stands for the service's name, `{port}` for [`Backend::DEFAULT_PORT`], `{database}` and `{user}` for the
    /// values below, in this order.
    pub value: &'static str,
    /// The user that the image creates.
    pub user: ComposeValue,
    /// The database that the image creates. Its default may be `{user}`.
    pub database: ComposeValue,
    /// Whether clients log in with a password.
    pub password: ComposePassword,
}

/// A value that an image takes from its environment.
#[derive(Clone, Copy, Debug)]
pub struct ComposeValue {
    /// The environment variables of the image; the first that is set counts.
    pub variables: &'static [&'static str],
    /// The value when none is set.
    pub default: &'static str,
}

impl ComposeValue {
    /// For an image that knows no such value.
    pub const NONE: Self = Self { variables: &[], default: "" };
}

/// Whether the clients of an image log in with a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComposePassword {
    /// Always: the check has the key `password`.
    Required,
    /// Only if the image is set up for it: the key `password` is written as a comment.
    Optional,
    /// Never: the kind has no key `password`.
    Unsupported,
}

/// A check of the host itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostCheck {
    /// Without any key.
    Defaults,
    /// With this value of the key `path`.
    Path(&'static str),
    /// With the folder for temporary files as `path`.
    TempDir,
}

/// A collection of kinds. `allswell::Registry` implements it.
pub trait Register {
    /// Makes the kind `B` available under its name.
    fn register<B: Backend>(&mut self) -> &mut Self;
}

/// What a kind is for an application. Discovery contacts databases, caches and queues only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// Stores data that the application must not lose.
    Database,
    /// Stores data that the application can compute again.
    Cache,
    /// Carries messages and jobs.
    Queue,
    /// Stores files and objects.
    Storage,
    /// Speaks a general protocol.
    Network,
    /// The host on which allswell runs.
    Host,
    /// Anything else.
    Other,
}

impl Category {
    /// The category in lower case, as in generated documentation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Cache => "cache",
            Self::Queue => "queue",
            Self::Storage => "storage",
            Self::Network => "network",
            Self::Host => "host",
            Self::Other => "other",
        }
    }
}

/// A key whose value has the right type but cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {message}")]
pub struct InvalidConfig {
    /// The key, from the check's table on: `url`, or in an inner table `tls.ca_file`.
    pub key: &'static str,
    /// What is wrong and what to write instead; never the value of a secret.
    pub message: Cow<'static, str>,
}

impl InvalidConfig {
    /// An error about the value of `key`.
    pub fn new(key: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { key, message: message.into() }
    }
}

/// A warning about the value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    /// The key, as in [`InvalidConfig`].
    pub key: &'static str,
    /// What may happen and what to write instead; never the value of a secret.
    pub message: Cow<'static, str>,
}

impl ConfigWarning {
    /// A warning about the value of `key`.
    pub fn new(key: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { key, message: message.into() }
    }

    /// A warning that a parameter of the URL in `key` has no effect. Its name is left out if it is not a plain word: it may be part of a
    /// password.
    #[must_use]
    pub fn parameter_without_effect(key: &'static str, name: &str) -> Self {
        let is_word = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let parameter = if is_word { format!("the parameter `{name}`") } else { "a parameter".to_owned() };
        Self::new(key, format!("{parameter} of the URL has no effect here"))
    }
}
