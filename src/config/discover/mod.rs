//! Finds checks in the environment that an application already has, and on the host, for when no check is configured.
//!
//! [`discover`] in `find` does all of it. A kind declares what belongs to it: URL schemes, sets of other variables, the default port and the
//! check of the host. The rest is here: `names` knows the names of variables, `scheme` what a URL belongs to, `value` what is no real value,
//! `keys` the keys of a check, and `identity` whether two checks are about the same backend.

mod find;
mod findings;
mod host;
mod identity;
mod keys;
mod names;
mod scheme;
#[cfg(test)]
mod tests;
mod urls;
mod value;

pub(super) use find::discover;
