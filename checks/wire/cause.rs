//! Finds a typed error in the chain of causes of a driver's error, so that no code compares the texts of errors.

use std::{error::Error, io, sync::Arc};

/// The first error of the type `T` in a chain of causes.
pub(crate) fn find_cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        // redis-rs shares the cause of an error by a pointer that is an error itself.
        let error = error.downcast_ref::<Arc<dyn Error + Send + Sync>>().map_or(error, |shared| &**shared);
        // An io::Error does not return the error inside it as its source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let found = error.downcast_ref::<T>().or_else(|| inner.and_then(|inner| inner.downcast_ref()));
        if found.is_some() {
            return found;
        }
        next = error.source();
    }
    None
}
