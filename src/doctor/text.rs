//! Text from servers and files, made safe to print.

use allswell_checks::contract::{is_secret_name, printable, strip_user_info};
use hyper::StatusCode;

/// Text from a server or a file, on one line, without control characters, at most 120 characters.
pub(super) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 120;
    let text = printable(text);
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

/// The URL of a redirect as an excerpt, without user info and without the values of parameters whose names are those of secrets.
pub(super) fn url_excerpt(url: &str) -> String {
    let url = strip_user_info(url);
    let Some((path, query)) = url.split_once('?') else { return excerpt(&url) };
    let masked = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if is_secret_name(name) => format!("{name}=***"),
        _ => parameter.to_owned(),
    });
    excerpt(&format!("{path}?{}", masked.collect::<Vec<_>>().join("&")))
}

/// The text of an HTML page, without its head, styles and scripts.
pub(super) fn html_text(html: &str) -> String {
    let (mut text, mut rest) = (String::new(), html);
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        let is = |name: &str| tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let skipped = ["head>", "style", "script"].into_iter().find(|name| is(name));
        let end = skipped.and_then(|name| tag.to_ascii_lowercase().find(&format!("</{}", name.trim_end_matches('>'))));
        let tag = end.map_or(tag, |end| &tag[end + 1..]);
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    for (entity, character) in [("&#39;", "'"), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "), ("&amp;", "&")] {
        text = text.replace(entity, character);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A status code and its reason phrase: `404 Not Found`.
pub(super) fn status_line(status: StatusCode) -> String {
    status.canonical_reason().map_or_else(|| status.as_str().to_owned(), |reason| format!("{} {reason}", status.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_shown_without_its_secrets() {
        for (url, shown) in [
            ("/login?next=/health", "/login?next=/health"),
            ("https://login.example/?state=1&access_token=a1b2&next=%2F", "https://login.example/?state=1&access_token=***&next=%2F"),
            ("http://bob:hunter2@login.example/", "http://***@login.example/"),
        ] {
            assert_eq!(url_excerpt(url), shown);
        }
    }

    #[test]
    fn the_text_of_a_page_has_no_markup() {
        for (html, text) in [
            ("<html>\r\n<head><title>503</title></head>\r\n<body>\r\n<h1>Down for maintenance</h1>", "Down for maintenance"),
            (
                "<!doctype html><title>400 Bad Request</title><p>Host &#39;a&#39; is not trusted.",
                "400 Bad Request Host 'a' is not trusted.",
            ),
            ("<HEAD><STYLE>b {}</STYLE></HEAD>a<script>if (1 < 2) {}</script><header>b</header>", "a b"),
            ("plain", "plain"),
            ("an unclosed <tag", "an unclosed"),
            ("<style>", ""),
            ("ends with <", "ends with"),
        ] {
            assert_eq!(html_text(html), text, "{html}");
        }
    }
}
