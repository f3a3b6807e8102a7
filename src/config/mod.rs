//! Configuration: turns files, environment variables and flags into settings and components, and reports every mistake with its place.
//!
//! [`load`] does all of it. Its steps, each in a file of its own:
//!
//! 1. `lookup` finds the files; `files`, `env_file` and `environment` read; `override_names` finds the variables that set keys; `locate`
//!    remembers the [place](Problem) of every key, and `syntax` explains why a file is not TOML.
//! 2. `load` merges the layers, and `interpolate` replaces the `references` in them: `${NAME}`.
//! 3. `assemble` turns the merged table into [`Settings`], `checks` and `groups`; `prepare` reads the files of secrets before, and
//!    `unknown_keys` says where an unknown key belongs. Without any check in the configuration, `discover` finds some in the environment and on
//!    the host.
//! 4. `warnings` finds what works, but probably not as intended; `explain` lists where every value comes from.
//!
//! ```
//! use allswell::{Registry, config::{Environment, Sources, load}};
//!
//! let environment = Environment::new([("REDIS_URL".to_owned(), "redis://cache".to_owned())]);
//! let configured = load(&Sources { environment, ..Sources::default() }, &Registry::builtin()).expect("a valid configuration");
//! assert_eq!(configured.settings.server.listen, "0.0.0.0:8080");
//! ```
//!
//! `listener` reads only how the service can be reached, and `log_format` only how it logs, whatever mistakes the rest of the configuration has:
//! `lenient` reads the parts of a file that are TOML.
//!
//! This is the only module that reads configuration, environment variables and the files that a configuration names. Kinds get their keys as
//! values; a few drivers and providers read files and variables of their own, as the vendor's client does.

mod assemble;
#[cfg(feature = "server")]
pub(crate) mod certificate;
mod checks;
mod compose;
mod configured;
mod diagnostics;
mod discover;
mod discovered;
mod env_file;
mod environment;
mod explain;
mod files;
mod groups;
#[cfg(feature = "server")]
mod identity;
mod init;
mod interpolate;
#[cfg(feature = "cli")]
mod lenient;
mod listen_address;
#[cfg(feature = "cli")]
mod listener;
mod load;
mod locate;
#[cfg(feature = "cli")]
mod log_format;
mod lookup;
mod override_names;
mod place;
mod prepare;
mod problem;
mod references;
mod schema;
mod settings;
mod syntax;
mod unknown_keys;
mod warnings;

pub use configured::Configured;
pub use environment::Environment;
pub use explain::Explained;
#[cfg(feature = "cli")]
pub(crate) use files::{read_secret, read_text};
#[cfg(feature = "server")]
pub(crate) use identity::ConfigIdentity;
pub use init::init;
#[cfg(feature = "cli")]
pub(crate) use listener::{Listener, listener};
pub use load::{Sources, load};
pub use locate::Override;
#[cfg(feature = "cli")]
pub(crate) use log_format::log_format;
#[cfg(feature = "cli")]
pub(crate) use lookup::Lookup;
pub use problem::{ConfigError, Problem};
pub use schema::schema;
pub use settings::{
    AgentSettings, Details, GroupSettings, LogFormat, LogLevel, LogSettings, ProxyProtocol, ServerSettings, Settings, TlsSettings,
};
