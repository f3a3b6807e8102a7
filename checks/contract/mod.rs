//! The contract: what a check is, what a probe returns, and what kinds need to keep it.
//!
//! A kind implements [`Backend`], [`Check`] and, if it keeps a connection, [`Session`]; `use crate::contract::prelude::*;` imports what it
//! needs. A probe returns an [`Observation`] or a [`Failure`]. [`Kept`] keeps a connection, [`Blocking`] runs blocking calls, and
//! [`Secret`] and [`Redactor`] keep secrets out of logs and reports.

mod blocking;
mod check;
mod failure;
mod kept;
mod observation;
pub mod prelude;
mod printable;
mod redact;
#[cfg(any(feature = "memcached", feature = "objects", feature = "rabbitmq", feature = "redis"))]
mod refusal;
mod secret;
mod units;
mod values;
mod wrapped_url;

pub use blocking::Blocking;
pub use check::{
    Backend, Category, Check, ComposePassword, ComposeService, ComposeValue, ConfigWarning, EnvironmentCheck, EnvironmentKey, HostCheck,
    InvalidConfig, Register,
};
pub use failure::{BoxError, Failure, FailureClass, FailureDetail};
pub use kept::{Kept, MaxAge, Reuse, Session};
pub use observation::{Observation, milliseconds};
pub use printable::printable;
pub use redact::{Redactor, is_secret_name, strip_user_info};
#[cfg(any(feature = "memcached", feature = "objects", feature = "rabbitmq", feature = "redis"))]
pub(crate) use refusal::RecentRefusal;
pub use secret::Secret;
#[cfg(any(feature = "http", feature = "net", feature = "tls"))]
pub(crate) use units::from_text;
pub use units::{Amount, ByteSize, Share, TimeSpan};
pub use values::{Value, Values};
pub use wrapped_url::unwrapped;
