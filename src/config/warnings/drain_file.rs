//! Warns about a drain file that is a directory or cannot be examined. It may be replaced later, so this is no error.

use crate::config::{files::unusable, locate::Places, problem::Problem};
use figment::value::Dict;
use std::path::Path;

/// The existence of the drain file counts. A directory was probably created by mistake, and a file that cannot be looked for never drains.
pub(in crate::config) fn warning(merged: &Dict, places: &Places<'_>) -> Option<Problem> {
    let file = merged.get("server")?.as_dict()?.get("drain_file")?.as_str()?;
    let reason = match Path::new(file).symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => format!("{}; the instance drains while this exists", unusable(Path::new(file))?),
        Err(_) if Path::new(file).try_exists().is_err() => format!("{}; the instance cannot be drained by it", unusable(Path::new(file))?),
        _ => return None,
    };
    let path = ["server", "drain_file"].map(str::to_owned).to_vec();
    Some(Problem { place: places.place_of(&path), path, message: reason, hint: None })
}
