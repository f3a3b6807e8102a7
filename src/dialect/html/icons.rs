//! The icons of the statuses. They differ in shape, so that no status depends on colour alone.

use crate::report::Status;
use maud::{Markup, html};

/// The icon of a status on the page. The page shows the status as a word, too.
pub(super) fn icon(status: Status) -> Markup {
    html! {
        svg.icon.(status) viewBox="0 0 16 16" aria-hidden="true" {
            @match status {
                Status::Pass => { circle cx="8" cy="8" r="8" {} path d="M4.2 8.4 7 11.1l5-5.4" {} },
                Status::Warn => { path.shape d="M8 .8 16 15H0z" {} path d="M8 6v4.2m0 1.3v2" {} },
                Status::Fail => { path.shape d="M0 0h16v16H0z" {} path d="m4.5 4.5 7 7m0-7-7 7" {} },
            }
        }
    }
}

/// The icon of a status in the browser's tab, as a URL.
pub(super) fn favicon(status: Status) -> &'static str {
    match status {
        Status::Pass => concat!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='8' fill='%231a7f4b'/%3E",
            "%3Cpath d='M4 8.5l2.7 2.7L12 5.5' fill='none' stroke='%23fff' stroke-width='2'/%3E%3C/svg%3E"
        ),
        Status::Warn => concat!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M8 1l8 14H0z' fill='%23b26a00'/%3E",
            "%3Cpath d='M8 6v4m0 1.5v1.5' stroke='%23fff' stroke-width='2'/%3E%3C/svg%3E"
        ),
        Status::Fail => concat!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M0 0h16v16H0z' fill='%23c0281f'/%3E",
            "%3Cpath d='M4.5 4.5l7 7m0-7l-7 7' stroke='%23fff' stroke-width='2.5'/%3E%3C/svg%3E"
        ),
    }
}
