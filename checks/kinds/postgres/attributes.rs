//! Which of several servers to use: libpq's `target_session_attrs`, and the JDBC driver's `targetServerType`.

use super::parameters::Parameters;
use crate::{contract::prelude::*, sql::server::ServerInfo};

/// What a server must be. <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SessionAttributes {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    /// A standby if there is one, otherwise any server.
    PreferStandby,
}

impl SessionAttributes {
    /// As the parameters say.
    ///
    /// # Errors
    ///
    /// A value that does not exist.
    pub(super) fn from_parameters(parameters: &Parameters) -> Result<Self, InvalidConfig> {
        let Some(written) = parameters.get("target_session_attrs") else { return Ok(Self::Any) };
        Ok(match &*written.value {
            "any" => Self::Any,
            "read-write" => Self::ReadWrite,
            "read-only" => Self::ReadOnly,
            "primary" | "master" | "preferPrimary" => Self::Primary,
            "standby" | "secondary" | "slave" => Self::Standby,
            "prefer-standby" | "preferSecondary" | "preferSlave" => Self::PreferStandby,
            _ => {
                return Err(written
                    .invalid("has an unknown value: write `any`, `read-write`, `read-only`, `primary`, `standby` or `prefer-standby`"));
            }
        })
    }

    /// Whether a server meets them. One that does not report its role meets only those that every server meets.
    pub(super) fn are_met_by(self, server: &ServerInfo) -> bool {
        match self {
            Self::Any | Self::PreferStandby => true,
            Self::ReadWrite => server.replica == Some(false) && server.read_only == Some(false),
            Self::ReadOnly => server.read_only == Some(true),
            Self::Primary => server.replica == Some(false),
            Self::Standby => server.replica == Some(true),
        }
    }

    /// What to ask the servers for, one after the other.
    pub(super) const fn preferences(self) -> &'static [Self] {
        match self {
            Self::Any => &[Self::Any],
            Self::ReadWrite => &[Self::ReadWrite],
            Self::ReadOnly => &[Self::ReadOnly],
            Self::Primary => &[Self::Primary],
            Self::Standby => &[Self::Standby],
            Self::PreferStandby => &[Self::Standby, Self::Any],
        }
    }

    /// The failure of a server that does not meet them.
    pub(super) fn failure(self) -> Failure {
        Failure::unhealthy(match self {
            Self::ReadOnly => "no server is read-only, which `target_session_attrs` requires",
            Self::Standby => "no server is a replica, which `target_session_attrs` requires",
            Self::Primary => "no server is the primary, which `target_session_attrs` requires",
            Self::Any | Self::PreferStandby | Self::ReadWrite => "no server accepts writes, which `target_session_attrs` requires",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_must_be_what_the_attributes_say() {
        use SessionAttributes::{Any, Primary, ReadOnly, ReadWrite, Standby};
        let server = |replica, read_only| ServerInfo { replica, read_only, ..ServerInfo::default() };
        let primary = server(Some(false), Some(false));
        let frozen = server(Some(false), Some(true));
        let replica = server(Some(true), Some(true));
        let met = |server: &ServerInfo| [Any, ReadWrite, ReadOnly, Primary, Standby].map(|attributes| attributes.are_met_by(server));
        assert_eq!(met(&primary), [true, true, false, true, false]);
        assert_eq!(met(&frozen), [true, false, true, true, false]);
        assert_eq!(met(&replica), [true, false, true, false, true]);
        assert_eq!(met(&ServerInfo::default()), [true, false, false, false, false]);
    }
}
