//! Configuration: files and the environment on one side, settings and components on the other, and every mistake told with its place.

mod assemble;
mod buckets;
#[cfg(feature = "cli")]
pub(crate) mod certificate;
mod configured;
mod discover;
mod discovered;
mod environment;
mod error;
mod explain;
mod exposure;
mod files;
mod init;
mod interpolate;
mod load;
mod locate;
mod place;
mod prepare;
mod schema;
mod settings;

pub use configured::Configured;
pub use environment::Environment;
pub use error::{ConfigError, Problem};
pub use explain::Explained;
pub use init::init;
pub use load::{Sources, load};
pub use locate::Override;
pub use schema::schema;
pub use settings::{AgentSettings, Details, GroupSettings, LogFormat, LogLevel, LogSettings, ServerSettings, Settings, TlsSettings};
