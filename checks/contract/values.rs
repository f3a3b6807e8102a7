//! Observed values by name.

use serde::{Serialize, Serializer};
use std::{borrow::Cow, ops::Index, vec};

/// An observed value, as the JSON report shows it.
pub type Value = serde_json::Value;

/// Observed values by name: lower-case words joined by `_`, with the unit last (`used_memory_bytes`, `connect_ms`).
///
/// A list sorted by name, in which order reports show them. Most components have few values; each node of a B-tree would have room for
/// eleven.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(Vec<(Cow<'static, str>, Value)>);

impl Values {
    /// No values.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a value, or replaces the one of the same name.
    pub fn insert(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        match self.find(&name) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => self.0.insert(place, (name, value)),
        }
    }

    /// The value with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.find(name).ok().map(|place| &self.0[place].1)
    }

    /// Whether a value has this name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// Names and values, sorted by name.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// The number of values.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no values.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the values for which `keep` returns `true`, after it may have changed them, and frees the memory of the others.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value) -> bool) {
        self.0.retain_mut(|(name, value)| keep(name, value));
        self.0.shrink_to_fit();
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| (**other).cmp(name))
    }
}

impl IntoIterator for Values {
    type Item = (Cow<'static, str>, Value);
    type IntoIter = vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<Value>> Extend<(N, V)> for Values {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, others: I) {
        for (name, value) in others {
            self.insert(name, value);
        }
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<Value>> FromIterator<(N, V)> for Values {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(values: I) -> Self {
        let mut all = Self::new();
        all.extend(values);
        all
    }
}

/// `null` for a name without a value.
impl Index<&str> for Values {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_sorted_by_name_and_each_name_is_unique() {
        let mut values = Values::new();
        for (name, value) in [("lag_ms", 3), ("connect_ms", 1), ("lag_ms", 2)] {
            values.insert(name, value);
        }
        assert_eq!(serde_json::to_string(&values).ok().as_deref(), Some(r#"{"connect_ms":1,"lag_ms":2}"#));
        assert_eq!((values.len(), values.get("lag_ms"), &values["role"]), (2, Some(&Value::from(2)), &Value::Null));
        values.retain(|name, _| name != "lag_ms");
        assert_eq!(values.iter().collect::<Vec<_>>(), [("connect_ms", &Value::from(1))]);
    }
}
