//! Configuration: files and the environment on one side, settings and components on the other, and every mistake told with its place.

mod assemble;
mod configured;
mod discover;
mod environment;
mod error;
mod interpolate;
mod load;
mod locate;
mod prepare;
mod settings;

pub use configured::Configured;
pub use environment::Environment;
pub use error::{ConfigError, Problem};
pub use load::{Sources, load};
pub use locate::Override;
pub use settings::{Details, GroupSettings, LogFormat, LogLevel, LogSettings, PolicySettings, ServerSettings, Settings};
