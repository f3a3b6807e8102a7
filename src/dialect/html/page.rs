//! The whole page: head, parts and links.

use super::{
    headline::title,
    icons::favicon,
    parts::{layout, one_line},
    times::{Clock, clock},
    view_names::view_name,
};
use crate::{
    dialect::{Detail, PagePlace, RenderOptions},
    report::{Report, View},
};
use maud::{DOCTYPE, html};

/// The page's style, at `_assets/allswell.css` below `/health`.
pub(crate) const STYLE: &str = include_str!("allswell.css");
/// The page's script, in the same folder.
pub(crate) const SCRIPT: &str = include_str!("allswell.js");

/// The page of a report.
pub(in crate::dialect) fn render(report: &Report, options: &RenderOptions<'_>) -> Vec<u8> {
    let RenderOptions { detail, pollers, place: PagePlace { root, view } } = options;
    let now = Clock { now: report.generated_at, leaves_ages: false };
    let name = view_name(view);
    let events = format!("{root}health/_events{}{name}", if name.is_empty() { "" } else { "?of=" });
    let loaded_at = (*detail > Detail::Status).then_some(report.generated_at);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                noscript { meta http-equiv="refresh" content="10"; }
                title { (title(report, *detail)) }
                link rel="icon" href=(favicon(report.status));
                link rel="stylesheet" href={ (root) "health/_assets/allswell.css" };
                script src={ (root) "health/_assets/allswell.js" } data-events=(events) defer {}
            }
            body {
                div id="link" {
                    p id="news" role="status" { "Loaded" }
                    p id="clock" { @if let Some(at) = loaded_at { "at " (clock(at, at)) } }
                }
                (layout(report, *detail, &mut |part| part.markup(report, *pollers, now, *detail)))
                nav aria-label="Elsewhere" {
                    @if **view != View::Whole { a href={ (root) "health" } { "All components" } }
                    a href="?format=json" { "JSON" }
                    a href="?format=text" { "Text" }
                }
            }
        }
    };
    let mut page = one_line(&page.into_string());
    page.push('\n');
    page.into_bytes()
}
