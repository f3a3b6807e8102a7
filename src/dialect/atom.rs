//! An Atom feed of the changes: RFC 4287.

use super::{
    Detail,
    feed::{Entry, Escaped, entries, tag, title},
    json::time,
};
use crate::report::Report;
use jiff::Timestamp;
use std::fmt::Write as _;

pub(super) fn render(report: &Report, detail: Detail) -> Vec<u8> {
    let updated = report.changes().map(|change| change.at).max().unwrap_or(report.generated_at);
    let title = title(report, detail);
    // The feed is the same on all days; this one is only there because such a name needs one.
    let day = Timestamp::constant(1_767_225_600, 0);
    let id = tag(report, day, detail, format_args!("health"));
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n");
    // Writing to a String cannot fail.
    let _ = writeln!(xml, "  <title>{}</title>\n  <id>{id}</id>\n  <updated>{}</updated>", Escaped(&title), time(updated));
    xml.push_str("  <author><name>allswell</name></author>\n");
    for Entry { change, id, title, text } in entries(report, detail) {
        let _ = write!(
            xml,
            "  <entry>\n    <title>{}</title>\n    <id>{id}</id>\n    <updated>{}</updated>\n    <category term=\"{}\"/>\n    \
             <content type=\"text\">{}</content>\n  </entry>\n",
            Escaped(&title),
            time(change.at),
            change.to,
            Escaped(&text),
        );
    }
    xml.push_str("</feed>\n");
    xml.into_bytes()
}
