//! The names of views in the URL of the live events.

use crate::report::View;

/// The name of a view; empty for the whole. No component and no group has a name that begins with an underscore.
pub(super) fn view_name(view: &View) -> &str {
    match view {
        View::Whole => "",
        View::Live => "_live",
        View::Ready => "_ready",
        View::Startup => "_startup",
        View::Group(name) | View::Component(name) => name.as_str(),
    }
}

/// The built-in view with a name that begins with an underscore.
pub(crate) fn view_by_name(name: &str) -> Option<View> {
    [View::Live, View::Ready, View::Startup].into_iter().find(|view| view_name(view) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_views_are_found_by_their_names_and_components_are_not() {
        for view in [View::Live, View::Ready, View::Startup] {
            assert_eq!(view_by_name(view_name(&view)), Some(view));
        }
        assert_eq!(view_by_name("cache"), None);
    }
}
