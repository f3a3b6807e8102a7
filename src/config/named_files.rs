//! Warns of files that keys name and that cannot be used as they are now. They may be created or changed later, so this is no error.

use super::{files::unusable, locate::Places, problem::Problem, tls_files};
use figment::value::Dict;
use std::path::Path;

/// A warning for each file that a check names under `tls` and that cannot be read, and for a drain file that is none.
pub(crate) fn warnings(merged: &Dict, places: &Places<'_>) -> Vec<Problem> {
    let mut found = tls_files::warnings(merged, places);
    found.extend(drain_file(merged, places));
    found
}

/// The existence of the drain file counts. A directory was probably created by mistake, and a file that cannot be looked for never drains.
fn drain_file(merged: &Dict, places: &Places<'_>) -> Option<Problem> {
    let file = merged.get("server")?.as_dict()?.get("drain_file")?.as_str()?;
    let reason = match Path::new(file).symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => format!("{}; the instance drains while this exists", unusable(Path::new(file))?),
        Err(_) if Path::new(file).try_exists().is_err() => format!("{}; the instance cannot be drained by it", unusable(Path::new(file))?),
        _ => return None,
    };
    let path = ["server", "drain_file"].map(str::to_owned).to_vec();
    Some(Problem { place: places.place_of(&path), path, message: reason, hint: None })
}
