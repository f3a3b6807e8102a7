//! The file that the application's environment variables name.

use crate::contract::{EnvironmentCheck, EnvironmentKey};

/// Laravel's: `DB_CONNECTION=sqlite` and `DB_DATABASE=/srv/orders.sqlite`. Only the application knows the folder of a relative path.
pub(super) fn checks(variable: &dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck> {
    let is_used = variable("DB_CONNECTION").is_some_and(|connection| connection.trim() == "sqlite");
    let path = variable("DB_DATABASE").filter(|path| is_used && path.trim_start().starts_with('/'));
    let key = |path: String| EnvironmentKey { key: "path", value: path.trim().to_owned(), variable: Some("DB_DATABASE") };
    path.map(|path| EnvironmentCheck { variable: "DB_CONNECTION", keys: vec![key(path)] }).into_iter().collect()
}
