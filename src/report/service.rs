//! The service that a report is about.

use serde::Serialize;

/// The service that a report is about. Start from the default, and set what is known.
///
/// ```
/// use allswell::report::ServiceIdentity;
///
/// let mut service = ServiceIdentity::default();
/// service.name = Some("orders".to_owned());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServiceIdentity {
    /// The application's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The application's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The name of this machine, container or process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}
