//! What a probe that passed brought back.

use super::values::{Value, Values};
use std::{borrow::Cow, time::Duration};

/// What was seen of a backend that works.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    warning: Option<String>,
    values: Values,
}

impl Observation {
    /// All is well.
    #[must_use]
    pub fn pass() -> Self {
        Self::default()
    }

    /// It works, and somebody should look at it: a sentence of ours, safe for everybody.
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

    /// Adds how long a phase took, in milliseconds with three decimals; the name should end in `_ms`.
    #[must_use]
    pub fn took(self, name: impl Into<Cow<'static, str>>, duration: Duration) -> Self {
        self.with(name, milliseconds(duration))
    }

    /// Adds how long a phase took, if there was one.
    #[must_use]
    pub fn took_some(self, name: impl Into<Cow<'static, str>>, duration: Option<Duration>) -> Self {
        match duration {
            Some(duration) => self.took(name, duration),
            None => self,
        }
    }

    /// Turns it into a warning, or makes the warning longer when there is one already.
    #[must_use]
    pub fn warned(mut self, warning: impl Into<String>) -> Self {
        let warning = warning.into();
        self.warning = Some(match self.warning {
            Some(earlier) => format!("{earlier}; {warning}"),
            None => warning,
        });
        self
    }

    /// The warning, if it is more than a pass.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// What was observed.
    #[must_use]
    pub const fn values(&self) -> &Values {
        &self.values
    }

    /// Takes it apart: warning and values.
    #[must_use]
    pub fn into_parts(self) -> (Option<String>, Values) {
        (self.warning, self.values)
    }
}

/// A duration as reports have it: milliseconds with three decimals.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
