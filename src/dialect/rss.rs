//! An RSS feed of the changes: <https://www.rssboard.org/rss-specification>.

use super::{
    RenderOptions,
    feed::{FeedEntry, XmlEscaped, entries, title},
};
use crate::report::Report;
use jiff::Timestamp;
use std::fmt::Write as _;

pub(super) fn render(report: &Report, options: &RenderOptions<'_>) -> Vec<u8> {
    let detail = options.detail;
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<rss version=\"2.0\">\n<channel>\n");
    // Writing to a String cannot fail. The link is relative, since the address by which the reader reached us is not known here.
    let _ = write!(
        xml,
        "  <title>{}</title>\n  <link>/</link>\n  <description>Every change of a component's health</description>\n",
        XmlEscaped(&title(report, detail))
    );
    if let Some(last) = report.changes().map(|change| change.at).max() {
        let _ = writeln!(xml, "  <lastBuildDate>{}</lastBuildDate>", date(last));
    }
    for FeedEntry { change, id, title, text } in entries(report, detail) {
        let _ = write!(
            xml,
            "  <item>\n    <title>{}</title>\n    <guid isPermaLink=\"false\">{id}</guid>\n    <pubDate>{}</pubDate>\n    \
             <category>{}</category>\n    <description>{}</description>\n  </item>\n",
            XmlEscaped(&title),
            date(change.at),
            change.to,
            // Feed readers take this for HTML, so the text is escaped a second time.
            XmlEscaped(&XmlEscaped(&text).to_string()),
        );
    }
    xml.push_str("</channel>\n</rss>\n");
    xml.into_bytes()
}

/// RFC 822, with four digits for the year.
fn date(timestamp: Timestamp) -> String {
    timestamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
