//! A place where a text is not TOML, and why.

/// A place where a text is not TOML.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::config) struct Mistake {
    /// In bytes from the beginning of the text.
    pub(in crate::config) offset: usize,
    /// What is wrong and what to write; quotes no value.
    pub(in crate::config) message: String,
}
