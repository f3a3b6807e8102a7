//! An Atom feed of the changes: RFC 4287.

use super::{
    RenderOptions,
    feed::{FeedEntry, XmlEscaped, entries, tag, title},
    words::time,
};
use crate::report::Report;
use jiff::Timestamp;
use std::fmt::Write as _;

pub(super) fn render(report: &Report, options: &RenderOptions<'_>) -> Vec<u8> {
    let detail = options.detail;
    let updated = report.changes().map(|change| change.at).max().unwrap_or(report.generated_at);
    let title = title(report, detail);
    // A `tag` URI needs a date. The feed's own must never change, so it is this one.
    let day = Timestamp::constant(1_767_225_600, 0);
    let id = tag(report, day, detail, format_args!("health"));
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n");
    // Writing to a String cannot fail.
    let _ = writeln!(xml, "  <title>{}</title>\n  <id>{id}</id>\n  <updated>{}</updated>", XmlEscaped(&title), time(updated));
    xml.push_str("  <author><name>allswell</name></author>\n");
    for FeedEntry { change, id, title, text } in entries(report, detail) {
        let _ = write!(
            xml,
            "  <entry>\n    <title>{}</title>\n    <id>{id}</id>\n    <updated>{}</updated>\n    <category term=\"{}\"/>\n    \
             <content type=\"text\">{}</content>\n  </entry>\n",
            XmlEscaped(&title),
            time(change.at),
            change.to,
            XmlEscaped(&text),
        );
    }
    xml.push_str("</feed>\n");
    xml.into_bytes()
}
