//! URLs that a framework wraps to select its own library, such as `jdbc:postgresql://db/orders`.

/// What JDBC, R2DBC and Celery's result backends write before the URL of the server.
const WRAPPERS: &[&str] = &["jdbc:", "r2dbc:pool:", "r2dbc:", "db+", "cache+"];

/// The URL without the prefix of a framework: `postgresql://db/orders` for `jdbc:postgresql://db/orders`.
#[must_use]
pub fn unwrapped(url: &str) -> &str {
    let starts_with = |wrapper: &&&str| url.get(..wrapper.len()).is_some_and(|start| start.eq_ignore_ascii_case(wrapper));
    WRAPPERS.iter().find(starts_with).map_or(url, |wrapper| &url[wrapper.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_of_a_framework_is_removed() {
        for (url, expected) in [
            ("jdbc:postgresql://db/orders", "postgresql://db/orders"),
            ("JDBC:mysql://db/orders", "mysql://db/orders"),
            ("r2dbc:pool:postgresql://db/orders", "postgresql://db/orders"),
            ("db+postgresql+psycopg://db/results", "postgresql+psycopg://db/results"),
            ("cache+memcached://cache", "memcached://cache"),
            ("redis://cache", "redis://cache"),
            ("", ""),
        ] {
            assert_eq!(unwrapped(url), expected);
        }
    }
}
