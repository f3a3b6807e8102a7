//! What a probe that passed returns.

use super::values::{Value, Values};
use std::{borrow::Cow, time::Duration};

/// What a probe of a working backend observed: values, and possibly a warning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    warning: Option<String>,
    values: Values,
}

impl Observation {
    /// A pass without values.
    #[must_use]
    pub fn pass() -> Self {
        Self::default()
    }

    /// The backend works, but needs attention. The warning is a message of ours, safe to publish.
    pub fn warn(warning: impl Into<String>) -> Self {
        Self { warning: Some(warning.into()), values: Values::new() }
    }

    /// Adds an observed value.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.values.insert(name, value);
        self
    }

    /// Adds an observed value, if there is one.
    #[must_use]
    pub fn with_some(self, name: impl Into<Cow<'static, str>>, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds the duration of a phase in milliseconds, with three decimals. The name should end in `_ms`.
    #[must_use]
    pub fn took(self, name: impl Into<Cow<'static, str>>, duration: Duration) -> Self {
        self.with(name, milliseconds(duration))
    }

    /// Adds the duration of a phase, if there was one.
    #[must_use]
    pub fn took_some(self, name: impl Into<Cow<'static, str>>, duration: Option<Duration>) -> Self {
        match duration {
            Some(duration) => self.took(name, duration),
            None => self,
        }
    }

    /// Adds a warning; several are joined by `; `.
    #[must_use]
    pub fn warned(mut self, warning: impl Into<String>) -> Self {
        let warning = warning.into();
        self.warning = Some(match self.warning {
            Some(earlier) => format!("{earlier}; {warning}"),
            None => warning,
        });
        self
    }

    /// The warning, if there is one.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// The observed values.
    #[must_use]
    pub const fn values(&self) -> &Values {
        &self.values
    }

    /// The warning and the values.
    #[must_use]
    pub fn into_parts(self) -> (Option<String>, Values) {
        (self.warning, self.values)
    }
}

/// A duration as reports show it: milliseconds with three decimals.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
