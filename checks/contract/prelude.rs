//! What a backend's file needs: `use crate::contract::prelude::*;`, or `allswell_checks::prelude::*` outside of this crate.

pub use super::{
    Amount, Backend, Blocking, ByteSize, Category, Check, ComposePassword, ComposeService, ComposeValue, ConfigWarning, EnvironmentCheck,
    EnvironmentKey, Failure, FailureClass, HostCheck, InvalidConfig, Kept, MaxAge, Observation, Redactor, Reuse, Secret, Session, Share,
    TimeSpan,
};
pub use async_trait::async_trait;
pub use schemars::JsonSchema;
pub use serde::Deserialize;
