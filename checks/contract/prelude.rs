//! What the file of a kind imports: `use crate::contract::prelude::*;`, or outside this crate `use allswell_checks::prelude::*;`.

pub use super::{
    Amount, Backend, Blocking, ByteSize, Category, Check, ComposePassword, ComposeService, ComposeValue, ConfigWarning, EnvironmentCheck,
    EnvironmentKey, Failure, FailureClass, HostCheck, InvalidConfig, Kept, MaxAge, Observation, Redactor, Reuse, Secret, Session, Share,
    TimeSpan,
};
pub use async_trait::async_trait;
pub use schemars::JsonSchema;
pub use serde::Deserialize;
