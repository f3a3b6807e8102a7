//! The content of both feeds: an entry for every change of a component, the newest first.

use super::{Detail, words::failure_text};
use crate::report::{Change, Report, Status};
use std::{borrow::Cow, fmt};

/// An entry of a feed.
pub(super) struct FeedEntry<'a> {
    pub(super) change: &'a Change,
    /// A `tag` URI, RFC 4151, which never changes.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) text: String,
}

pub(super) fn entries(report: &Report, detail: Detail) -> impl Iterator<Item = FeedEntry<'_>> {
    report.changes().map(move |change| FeedEntry {
        change,
        id: tag(report, change.at, detail, format_args!("{}/{}/{}", change.component, change.at.as_microsecond(), change.number)),
        title: heading(change, detail),
        text: text(change, detail),
    })
}

pub(super) fn title(report: &Report, detail: Detail) -> String {
    let name = report.service.name.as_deref().or(report.service.instance.as_deref()).filter(|_| detail > Detail::Status);
    name.map_or_else(|| "Health".to_owned(), |name| format!("Health of {name}"))
}

/// The title of an entry: feed readers show it first, and it may be all that is read at 3 a.m.
fn heading(change: &Change, detail: Detail) -> String {
    let mut heading = format!("{} {}", change.component, verb(change.to));
    let message = change.failure.as_ref().filter(|_| change.to == Status::Fail && detail > Detail::Status);
    if let Some(failure) = message {
        heading.push_str(&format!(": {}", failure.message));
    }
    heading
}

/// A globally unique URI of this instance.
pub(super) fn tag(report: &Report, date: jiff::Timestamp, detail: Detail, specific: fmt::Arguments<'_>) -> String {
    // The authority, before the comma, has to have the form of a host name.
    let part = |text: &str| text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect::<String>();
    let service = &report.service;
    let known = |text: &Option<String>| text.as_deref().filter(|text| detail > Detail::Status && !text.is_empty()).map(part);
    let authority = known(&service.instance).unwrap_or_else(|| "localhost".to_owned());
    let name = known(&service.name).unwrap_or_else(|| "allswell".to_owned());
    format!("tag:{authority},{}:{name}/{specific}", date.strftime("%Y-%m-%d"))
}

const fn verb(status: Status) -> &'static str {
    match status {
        Status::Pass => "passes",
        Status::Warn => "warns",
        Status::Fail => "fails",
    }
}

fn text(change: &Change, detail: Detail) -> String {
    let from = change.from.map_or("pending", Status::as_str);
    let mut text = format!("{} was {from} and is {}", change.component, change.to);
    if detail > Detail::Status {
        if let Some(lasted) = change.lasted {
            text.push_str(&format!("; it was {from} for {} s", lasted.as_secs()));
        }
        let message = change.failure.as_ref().map(|failure| Cow::Owned(failure_text(failure, detail)));
        if let Some(message) = message.or(change.warning.as_deref().map(Cow::Borrowed)) {
            text.push_str(&format!("; {message}"));
        }
    }
    text
}

/// Text escaped for XML 1.0, in an element or an attribute.
pub(super) struct XmlEscaped<'a>(pub(super) &'a str);

impl fmt::Display for XmlEscaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0.chars().try_for_each(|c| match c {
            '&' => formatter.write_str("&amp;"),
            '<' => formatter.write_str("&lt;"),
            '>' => formatter.write_str("&gt;"),
            '"' => formatter.write_str("&quot;"),
            // XML cannot represent these characters.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => formatter.write_char(' '),
            c => formatter.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_are_escaped_and_forbidden_ones_replaced() {
        assert_eq!(XmlEscaped("a<b>&\"c\"\u{1}\n\u{ffff}é").to_string(), "a&lt;b&gt;&amp;&quot;c&quot;   é");
    }
}
