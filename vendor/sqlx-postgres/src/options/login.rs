use std::error::Error as StdError;
use std::fmt;

/// What the caller knows about the connection, and which login methods it permits.
#[derive(Clone, Debug, Default)]
pub struct PgLogin {
    /// Send the password itself when the server asks for it.
    pub cleartext: bool,
    /// The methods that libpq's `require_auth` permits. `None`: all of them.
    pub methods: Option<Vec<PgLoginMethod>>,
    /// The data of the channel binding `tls-server-end-point` (RFC 5929), if the connection is encrypted.
    pub channel_binding: Option<Vec<u8>>,
    /// Log in only with `SCRAM-SHA-256-PLUS`, as with libpq's `channel_binding=require`.
    pub requires_channel_binding: bool,
}

/// A login method that a server asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PgLoginMethod {
    /// None: the server trusts the client.
    None,
    /// The password itself.
    Cleartext,
    /// A hash of the password.
    Md5,
    /// SCRAM-SHA-256, with or without channel binding.
    ScramSha256,
}

/// Why the driver ended a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginRefused {
    /// The server asked for the password itself, which is not allowed.
    Cleartext,
    /// The server asked for a method that is not one of [`PgLogin::methods`].
    NotPermitted(PgLoginMethod),
    /// Channel binding is required, and the server, or the connection, does not support it.
    ChannelBinding,
    /// The server requires channel binding, and the connection does not support it.
    ChannelBindingRequired,
    /// The server asked for a method that this driver does not support, by its number in the protocol.
    Unsupported(u32),
    /// The server offers no SASL mechanism that this driver supports.
    UnsupportedSasl,
}

impl fmt::Display for LoginRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cleartext => f.write_str("the server asked for the password in clear, which is not allowed"),
            Self::NotPermitted(method) => write!(f, "the server asked for the method {method:?}, which is not permitted"),
            Self::ChannelBinding => f.write_str("channel binding is required, and not possible"),
            Self::ChannelBindingRequired => f.write_str("the server requires channel binding, which is not possible"),
            Self::Unsupported(method) => write!(f, "unsupported authentication method: {method}"),
            Self::UnsupportedSasl => f.write_str("unsupported SASL authentication mechanisms"),
        }
    }
}

impl StdError for LoginRefused {}

impl PgLogin {
    /// Rejects a login method that the caller does not permit.
    pub(crate) fn check(&self, method: PgLoginMethod) -> Result<(), LoginRefused> {
        if self.requires_channel_binding && method != PgLoginMethod::ScramSha256 {
            return Err(LoginRefused::ChannelBinding);
        }
        match &self.methods {
            Some(methods) if !methods.contains(&method) => Err(LoginRefused::NotPermitted(method)),
            _ if method == PgLoginMethod::Cleartext && !self.cleartext => Err(LoginRefused::Cleartext),
            _ => Ok(()),
        }
    }
}
