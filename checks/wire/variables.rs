//! Servers that an application's environment describes by several variables, such as `DB_HOST` and `DB_PORT`.
//!
//! A kind lists its [`ServerVariables`] and makes a check of each server that [`ServerVariables::read`] returns.

#[cfg(any(feature = "rabbitmq", feature = "redis"))]
mod messenger;
#[cfg(any(feature = "rabbitmq", feature = "redis", feature = "sql-server"))]
mod server;

#[cfg(any(feature = "rabbitmq", feature = "redis"))]
pub(crate) use messenger::messenger;
#[cfg(any(feature = "rabbitmq", feature = "sql-server"))]
pub(crate) use server::encoded;
#[cfg(any(feature = "rabbitmq", feature = "redis", feature = "sql-server"))]
pub(crate) use server::{Server, ServerVariables};

/// The value of an environment variable that is set and not empty.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Whether a Laravel application uses this driver. Its `.env` has the hosts of all servers that Laravel knows. `true` if it is none.
#[cfg(any(feature = "memcached", feature = "redis"))]
pub(crate) fn is_driver_used(variable: Lookup<'_>, driver: &str) -> bool {
    // Other applications have a `CACHE_STORE` as well.
    const LARAVEL: &[&str] =
        &["BROADCAST_CONNECTION", "BROADCAST_DRIVER", "CACHE_DRIVER", "QUEUE_CONNECTION", "QUEUE_DRIVER", "SESSION_DRIVER"];
    let drivers: Vec<_> = LARAVEL.iter().filter_map(|name| value(variable, name)).collect();
    drivers.is_empty() || drivers.into_iter().chain(value(variable, "CACHE_STORE")).any(|used| used == driver)
}

/// The value of a variable, without blanks around it. `null` is how Laravel writes that there is none.
pub(crate) fn value(variable: Lookup<'_>, name: &str) -> Option<String> {
    let value = variable(name)?;
    let trimmed = value.trim();
    (!trimmed.is_empty() && trimmed != "null" && trimmed != "(null)").then(|| trimmed.to_owned())
}
