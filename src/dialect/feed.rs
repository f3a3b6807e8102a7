//! What both feeds tell: an entry for every change of a component, the newest first.

use super::{Detail, failed};
use crate::report::{Change, Report, Status};
use std::{borrow::Cow, fmt};

/// An entry of a feed.
pub(super) struct Entry<'a> {
    pub(super) change: &'a Change,
    /// Stays for ever: a `tag` URI, RFC 4151.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) text: String,
}

pub(super) fn entries(report: &Report, detail: Detail) -> impl Iterator<Item = Entry<'_>> {
    report.changes().map(move |change| Entry {
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

/// What a reader shows of an entry at first, and maybe all that is read at 3 a.m.
fn heading(change: &Change, detail: Detail) -> String {
    let mut heading = format!("{} {}", change.component, verb(change.to));
    let message = change.failure.as_ref().filter(|_| change.to == Status::Fail && detail > Detail::Status);
    if let Some(failure) = message {
        heading.push_str(&format!(": {}", failure.message));
    }
    heading
}

/// A name of this instance's that nobody else uses.
pub(super) fn tag(report: &Report, date: jiff::Timestamp, detail: Detail, specific: fmt::Arguments<'_>) -> String {
    // The part before the comma has to look like a host's name.
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
        let words = change.failure.as_ref().map(|failure| Cow::Owned(failed(failure, detail)));
        if let Some(words) = words.or(change.warning.as_deref().map(Cow::Borrowed)) {
            text.push_str(&format!("; {words}"));
        }
    }
    text
}

/// Text as XML 1.0 may hold it, in an element or an attribute.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0.chars().try_for_each(|c| match c {
            '&' => formatter.write_str("&amp;"),
            '<' => formatter.write_str("&lt;"),
            '>' => formatter.write_str("&gt;"),
            '"' => formatter.write_str("&quot;"),
            // It has no way at all to write these.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => formatter.write_char(' '),
            c => formatter.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_escaped_or_gone() {
        assert_eq!(Escaped("a<b>&\"c\"\u{1}\n\u{ffff}é").to_string(), "a&lt;b&gt;&amp;&quot;c&quot;   é");
    }
}
