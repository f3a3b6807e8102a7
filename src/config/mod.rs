//! Configuration: files and the environment on one side, settings and components on the other, and every mistake told with its place.

mod assemble;
#[cfg(feature = "cli")]
pub(crate) mod certificate;
mod checks;
mod compose;
mod configured;
mod diagnostics;
mod discover;
mod discovered;
mod environment;
mod explain;
mod exposure;
mod files;
mod groups;
mod init;
mod interpolate;
mod load;
mod locate;
mod place;
mod prepare;
mod problem;
mod schema;
mod settings;

pub use configured::Configured;
pub use environment::Environment;
pub use explain::Explained;
#[cfg(feature = "cli")]
pub(crate) use files::read_text;
pub use init::init;
pub use load::{Sources, load};
pub use locate::Override;
pub use problem::{ConfigError, Problem};
pub use schema::schema;
pub use settings::{AgentSettings, Details, GroupSettings, LogFormat, LogLevel, LogSettings, ServerSettings, Settings, TlsSettings};
