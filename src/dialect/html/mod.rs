//! The status page: complete without a script, and live with one.
//!
//! * `page`: the whole page. All of its links are relative, so that a proxy may strip a prefix.
//! * `parts`: its parts, which live events replace one by one, and the layout that has a place for each.
//! * `component`, `hour`, `pollers`: the larger parts. `headline`, `times`, `icons`: the small ones.
//! * `view_names`: the names of views in the URL of the events.

mod component;
mod headline;
mod hour;
mod icons;
mod page;
mod parts;
mod pollers;
#[cfg(test)]
mod tests;
mod times;
mod view_names;

pub(super) use page::render;
pub(crate) use page::{SCRIPT, STYLE};
pub(crate) use parts::PageParts;
pub(crate) use view_names::view_by_name;
