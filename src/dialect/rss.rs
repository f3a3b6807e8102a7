//! An RSS feed of the changes: <https://www.rssboard.org/rss-specification>.

use super::{
    Detail,
    feed::{Entry, Escaped, entries, title},
};
use crate::report::Report;
use jiff::Timestamp;
use std::fmt::Write as _;

pub(super) fn render(report: &Report, detail: Detail) -> Vec<u8> {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<rss version=\"2.0\">\n<channel>\n");
    // Writing to a String cannot fail. Who we are for the reader is not known here: the link is relative.
    let _ = write!(
        xml,
        "  <title>{}</title>\n  <link>/</link>\n  <description>Every change of a component's health</description>\n",
        Escaped(&title(report, detail))
    );
    if let Some(last) = report.changes().map(|change| change.at).max() {
        let _ = writeln!(xml, "  <lastBuildDate>{}</lastBuildDate>", date(last));
    }
    for Entry { change, id, title, text } in entries(report, detail) {
        let _ = write!(
            xml,
            "  <item>\n    <title>{}</title>\n    <guid isPermaLink=\"false\">{id}</guid>\n    <pubDate>{}</pubDate>\n    \
             <category>{}</category>\n    <description>{}</description>\n  </item>\n",
            Escaped(&title),
            date(change.at),
            change.to,
            // Readers take it for HTML, so what is meant as text is escaped for that, too.
            Escaped(&Escaped(&text).to_string()),
        );
    }
    xml.push_str("</channel>\n</rss>\n");
    xml.into_bytes()
}

/// RFC 822, with four digits for the year.
fn date(timestamp: Timestamp) -> String {
    timestamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
