use std::fmt;

/// Where the password may be sent in clear, or encrypted with a key that the server names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CleartextPassword {
    /// Nowhere: only the plugins `mysql_native_password` and `caching_sha2_password` are left, and
    /// of the latter what a server does that knows the password already.
    Never,
    /// By TLS.
    OverTls,
    /// By any connection.
    Always,
}

/// The server asked for the password in clear, or encrypted with a key of its own, which was not
/// allowed.
#[derive(Debug)]
pub struct CleartextPasswordRefused;

impl fmt::Display for CleartextPasswordRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server asked for the password in clear, which is not allowed")
    }
}

impl std::error::Error for CleartextPasswordRefused {}
