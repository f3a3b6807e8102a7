//! The key `require_mount`: a file system that must be mounted. Without it, a probe of the empty folder below a mount that is gone would pass.

use super::{failure::classify, mount_table::MountTable};
use crate::contract::{Failure, InvalidConfig};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    borrow::Cow,
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// Which file system must be mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RequiredMount {
    /// None.
    #[default]
    None,
    /// One at the path itself.
    AtPath,
    /// One at this folder, which contains the path.
    At(PathBuf),
}

impl RequiredMount {
    /// Rejects a mount point that is not an absolute path.
    pub(crate) fn validate(&self) -> Result<(), InvalidConfig> {
        match self {
            Self::At(folder) if !folder.is_absolute() => {
                Err(InvalidConfig::new("require_mount", "is neither true nor false nor an absolute path: name the mount point"))
            }
            _ => Ok(()),
        }
    }

    /// Verifies that the file system is mounted, and that `path` is on it or below it. A mount that is made on first use is made now. This blocks.
    pub(crate) fn verify(&self, path: &Path) -> Result<(), Failure> {
        let (mount_point, missing) = match self {
            Self::None => return Ok(()),
            Self::AtPath => (path, "nothing is mounted at `path`"),
            Self::At(folder) => (folder.as_path(), "nothing is mounted at the folder in `require_mount`"),
        };
        let failure = |error: io::Error| classify(error, mount_point).unwrap_or_else(|error| unusable(error, missing));
        // This starts an automount; reading the attributes of a folder would not.
        rustix::fs::statvfs(mount_point).map_err(|error| failure(error.into()))?;
        let found = fs::canonicalize(mount_point).map_err(failure)?;
        let table = MountTable::read().map_err(|error| Failure::internal(error).saying("the mounts of this system cannot be read"))?;
        if !table.has_mount_at(&found) {
            return Err(Failure::unhealthy(missing));
        }
        let path = fs::canonicalize(path).map_err(|error| classify(error, path).unwrap_or_else(|error| unusable(error, missing)))?;
        if path.starts_with(&found) { Ok(()) } else { Err(Failure::unhealthy("`path` is not below the folder in `require_mount`")) }
    }
}

fn unusable(error: io::Error, missing: &'static str) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => Failure::unhealthy("there is no such directory").because(error),
        io::ErrorKind::PermissionDenied => Failure::rejected("permission to access the mount point denied").because(error),
        _ => Failure::unhealthy(missing).because(error),
    }
}

impl<'de> Deserialize<'de> for RequiredMount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = RequiredMount;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("true, false or a mount point")
            }

            fn visit_bool<E>(self, is_required: bool) -> Result<RequiredMount, E> {
                Ok(if is_required { RequiredMount::AtPath } else { RequiredMount::None })
            }

            fn visit_str<E>(self, text: &str) -> Result<RequiredMount, E> {
                // A variable of the environment is text.
                Ok(match text {
                    "true" => RequiredMount::AtPath,
                    "false" => RequiredMount::None,
                    folder => RequiredMount::At(folder.into()),
                })
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// Defaults in the documentation have the form in which users write them.
impl Serialize for RequiredMount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_bool(false),
            Self::AtPath => serializer.serialize_bool(true),
            Self::At(folder) => folder.serialize(serializer),
        }
    }
}

impl JsonSchema for RequiredMount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RequiredMount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "string"], "title": "true, false or a mount point" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mount_is_required_at_the_path_or_at_a_folder_above_it() {
        let read = |value: serde_json::Value| serde_json::from_value::<RequiredMount>(value).ok();
        assert_eq!(read(json!(true)), Some(RequiredMount::AtPath));
        assert_eq!(read(json!(false)), Some(RequiredMount::None));
        assert_eq!(read(json!("true")), Some(RequiredMount::AtPath));
        assert_eq!(read(json!("/srv/media")), Some(RequiredMount::At("/srv/media".into())));
        assert_eq!(read(json!(1)), None);
        assert!(RequiredMount::At("media".into()).validate().is_err());
    }

    #[test]
    fn a_folder_that_is_no_mount_point_and_a_path_elsewhere_fail() {
        let folder = tempfile::tempdir().expect("a folder");
        let message = |required: RequiredMount, path: &Path| required.verify(path).err().map(|failure| failure.message().to_owned());
        assert_eq!(message(RequiredMount::None, folder.path()), None);
        assert_eq!(message(RequiredMount::AtPath, folder.path()).as_deref(), Some("nothing is mounted at `path`"));
        assert_eq!(message(RequiredMount::AtPath, Path::new("/proc")), None);
        assert_eq!(message(RequiredMount::At("/proc".into()), Path::new("/proc/self/fd")).as_deref(), None);
        assert_eq!(
            message(RequiredMount::At("/proc".into()), folder.path()).as_deref(),
            Some("`path` is not below the folder in `require_mount`")
        );
        assert_eq!(message(RequiredMount::At("/none".into()), folder.path()).as_deref(), Some("there is no such directory"));
    }
}
