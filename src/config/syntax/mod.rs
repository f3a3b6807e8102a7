//! Explains why a file is not TOML, for people who may know another format better.
//!
//! [`mistakes`] asks `language` first, which recognises other formats; then, line by line, `characters`, which finds characters that look like
//! others or like nothing, `slips` and `values`, which know what people write by habit, and `duplicates`. What none of them knows gets the words of the
//! parser. No message quotes a value, or a key that may stand in place of one.

mod characters;
mod duplicates;
mod explain;
mod language;
mod line;
mod mistake;
mod slips;
mod values;

pub(super) use characters::invisible_name;
pub(super) use explain::mistakes;
