//! Finds the configuration files of a command that names none.

use super::environment::Environment;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The variable that names configuration files, separated by colons.
const FILES_VARIABLE: &str = "ALLSWELL_CONFIG";

/// If neither a flag nor [`FILES_VARIABLE`] names a file, the first of these that exists is the configuration.
pub(super) const DEFAULT_FILES: [&str; 2] = ["allswell.toml", "/etc/allswell/allswell.toml"];

/// The name of the env file that belongs to a default file with an absolute path and is in the same directory.
#[cfg(feature = "cli")]
const ENVIRONMENT_FILE: &str = "environment";

/// The configuration files of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// Files; later ones win.
    pub(crate) files: Vec<PathBuf>,
    /// Whether no file was named, so that the default files were looked for.
    pub(crate) is_default: bool,
}

impl Lookup {
    /// Only a file that does not exist counts as absent: a directory, a dangling link and a path that cannot be examined are found, and an error
    /// when they are read.
    pub(super) fn new(named: &[PathBuf], environment: &Environment, default_files: &[PathBuf]) -> Self {
        if !named.is_empty() {
            return Self { files: named.to_vec(), is_default: false };
        }
        let listed = environment.get(FILES_VARIABLE).unwrap_or_default().split(':').filter(|file| !file.is_empty());
        let files: Vec<PathBuf> = listed.map(PathBuf::from).collect();
        if !files.is_empty() {
            return Self { files, is_default: false };
        }
        Self { files: default_files.iter().find(|file| !is_absent(file)).cloned().into_iter().collect(), is_default: true }
    }

    /// The file of variables that belongs to the file that was found.
    #[cfg(feature = "cli")]
    pub(crate) fn environment_file(&self) -> Option<PathBuf> {
        let found = self.files.first().filter(|file| self.is_default && file.is_absolute())?;
        Some(found.with_file_name(ENVIRONMENT_FILE))
    }
}

/// Whether there is certainly nothing at a path.
fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn lookup(named: &[&str], variable: &str, default_files: &[PathBuf]) -> Lookup {
        let named: Vec<PathBuf> = named.iter().map(PathBuf::from).collect();
        Lookup::new(&named, &Environment::new([(FILES_VARIABLE.to_owned(), variable.to_owned())]), default_files)
    }

    #[test]
    fn flags_win_over_the_variable_and_the_variable_over_the_default_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let default_file = folder.path().join("allswell.toml");
        fs::write(&default_file, "").expect("a file");
        let files = |named: &[&str], variable: &str| lookup(named, variable, std::slice::from_ref(&default_file)).files;
        assert_eq!(files(&["a", "b"], "c"), [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(files(&[], "c:/d::e"), ["c", "/d", "e"].map(PathBuf::from));
        assert_eq!(files(&[], ""), std::slice::from_ref(&default_file));
    }

    #[test]
    fn only_a_file_that_does_not_exist_is_absent() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        symlink(at("none"), at("dangling")).expect("a link");
        symlink(at("circle"), at("circle")).expect("a link");
        fs::write(at("file"), "").expect("a file");
        let last = at("last");
        for found in [folder.path().to_owned(), at("dangling"), at("circle"), at("file/below"), at("circle/below"), at("file")] {
            assert_eq!(lookup(&[], "", &[found.clone(), last.clone()]).files, [found]);
        }
        assert_eq!(lookup(&[], "", &[at("none"), at("none/below"), at("file")]).files, [at("file")]);
        assert!(lookup(&[], "", &[at("none")]).files.is_empty());
    }

    #[cfg(feature = "cli")]
    #[test]
    fn an_env_file_belongs_to_a_default_file_with_an_absolute_path() {
        let etc = |is_default| Lookup { files: vec![PathBuf::from("/etc/allswell/allswell.toml")], is_default };
        assert_eq!(etc(true).environment_file(), Some(PathBuf::from("/etc/allswell/environment")));
        assert_eq!(etc(false).environment_file(), None);
        let here = Lookup { files: vec![PathBuf::from("allswell.toml")], is_default: true };
        assert_eq!(here.environment_file(), None);
    }
}
