//! What is wrong with a table of a configuration: a value to decide by, whose `Display` is the message that users read.

use std::borrow::Cow;

/// One thing that is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigIssue {
    /// The key, from the table on; empty for the table itself.
    pub(crate) path: Vec<String>,
    /// What is wrong.
    pub(crate) issue: Issue,
    /// What to write instead, where the issue does not say it.
    pub(crate) hint: Option<String>,
}

impl ConfigIssue {
    pub(crate) fn new<S: Into<String>>(path: impl IntoIterator<Item = S>, issue: impl Into<Issue>) -> Self {
        Self { path: path.into_iter().map(Into::into).collect(), issue: issue.into(), hint: None }
    }

    /// An issue of the table itself, not of one of its keys.
    pub(crate) fn of_table(issue: impl Into<Issue>) -> Self {
        Self { path: Vec::new(), issue: issue.into(), hint: None }
    }

    pub(crate) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// The same issue of the key `key` of a table around this one.
    pub(crate) fn within(mut self, key: &str) -> Self {
        self.path.insert(0, key.to_owned());
        self
    }
}

/// What is wrong with a key. No message quotes a value that the user wrote as text: a secret may stand where it does not belong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Issue {
    #[error("unknown key")]
    UnknownKey,
    #[error("the required key `{0}` is missing")]
    MissingKey(String),
    #[error("unknown kind")]
    UnknownKind,
    #[error("the kind `{0}` exists, but this binary was built without it")]
    KindNotBuilt(String),
    #[error("unknown check")]
    UnknownCheck,
    #[error("expected {expected}, found {found}")]
    Type { expected: String, found: Cow<'static, str> },
    #[error("expected {expected}, found {found}")]
    Range { expected: String, found: Cow<'static, str> },
    #[error("unknown value")]
    UnknownValue,
    /// What a kind, or a type of a value such as a duration, says of its own.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
}

impl From<&'static str> for Issue {
    fn from(message: &'static str) -> Self {
        Self::Invalid(message.into())
    }
}

impl From<String> for Issue {
    fn from(message: String) -> Self {
        Self::Invalid(message.into())
    }
}

impl From<Cow<'static, str>> for Issue {
    fn from(message: Cow<'static, str>) -> Self {
        Self::Invalid(message)
    }
}
