//! What identifies a configuration to another process of the same machine.

use super::lookup::{DEFAULT_FILES, Lookup};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{self, Path, PathBuf},
};

/// What identifies a configuration to another process of the same machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConfigIdentity {
    /// The absolute paths of the files.
    pub(crate) files: Vec<String>,
    /// If no file was named: the absolute path of the first file that was looked for.
    pub(crate) searched: Option<String>,
}

impl From<&Lookup> for ConfigIdentity {
    fn from(lookup: &Lookup) -> Self {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        Self {
            files: lookup.files.iter().map(|file| text(absolute(file))).collect(),
            searched: lookup.is_default.then(|| text(absolute(Path::new(DEFAULT_FILES[0])))),
        }
    }
}

/// The absolute path of a file, which need not exist. Links to its directory are resolved, but not the file's own: some tools replace it.
fn absolute(file: &Path) -> PathBuf {
    let absolute = path::absolute(file).unwrap_or_else(|_| file.to_owned());
    match (absolute.parent().map(fs::canonicalize), absolute.file_name()) {
        (Some(Ok(directory)), Some(name)) => directory.join(name),
        _ => absolute,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_has_one_identity_whatever_link_leads_to_its_directory() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("real")).expect("a folder");
        symlink("real", folder.path().join("link")).expect("a link");
        let identity = |path: &str| ConfigIdentity::from(&Lookup { files: vec![folder.path().join(path)], is_default: false });
        assert_eq!(identity("link/a.toml"), identity("./real/../real/a.toml"));
        assert_ne!(identity("link/a.toml"), identity("link/b.toml"));
        assert_eq!(identity("link/a.toml").searched, None);
    }
}
