//! Replaces secrets in text that does not come from the program itself.

use super::{Secret, printable};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap};

const MASK: &str = "***";

/// Knows secrets and removes them from texts, also if they are percent-encoded, escaped as in JSON, HTML or debug output, or in base64.
///
/// Not found: hexadecimal, reversed, shortened, split or otherwise changed forms, and secrets of less than four characters.
#[derive(Clone, Default)]
pub struct Redactor {
    /// By first character, so that a long text is read only once; then the longest first, so that a secret that contains another one is
    /// removed completely.
    secrets: BTreeMap<char, Vec<String>>,
}

impl Redactor {
    /// Shorter secrets are not looked for: removing every `a` of a text would hide nothing and make it unreadable.
    pub const MIN_LENGTH: usize = 4;

    /// Shorter parts of a secret are not looked for, unless their name says that they are secret: they may be any word.
    const MIN_PART_LENGTH: usize = 8;

    /// Knows these secrets as they are; for URLs the password and the values in the query; for headers and similar values the token after
    /// the scheme (`Bearer …`, `Basic …`) and the values of named parameters.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut known = Self::default();
        known.learn(secrets);
        known
    }

    /// Adds secrets.
    pub fn learn<'a>(&mut self, secrets: impl IntoIterator<Item = &'a Secret>) {
        for form in secrets.into_iter().flat_map(|secret| forms(secret.expose())) {
            // `redact` makes the text printable first.
            let form = printable(&form).into_owned();
            if let Some(first) = form.chars().next().filter(|_| form.len() >= Self::MIN_LENGTH) {
                self.secrets.entry(first).or_default().push(form);
            }
        }
        for known in self.secrets.values_mut() {
            known.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
            known.dedup();
        }
    }

    /// Removes public words, such as the name of a kind: hiding them would hide nothing and spoil the text.
    pub fn forget(&mut self, is_public: impl Fn(&str) -> bool) {
        for known in self.secrets.values_mut() {
            known.retain(|secret| !is_public(secret));
        }
    }

    /// The text on one line, as [`printable`] returns it, with `***` in place of every known secret and the user info of every URL.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let text = and_then(printable(text), strip_user_info);
        and_then(and_then(text, |text| self.hide(text)), |text| self.hide_base64(text))
    }

    /// The value with every text in it redacted, names included.
    #[must_use]
    pub fn redact_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => self.redact(&text).into_owned().into(),
            Value::Array(items) => items.into_iter().map(|item| self.redact_value(item)).collect(),
            Value::Object(members) => {
                members.into_iter().map(|(name, value)| (self.redact(&name).into_owned(), self.redact_value(value))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut clean = String::new();
        let (mut copied, mut at) = (0, 0);
        while let Some(c) = text[at..].chars().next() {
            if let Some(end) = self.end_of_secret(text, at, c) {
                clean.push_str(&text[copied..at]);
                clean.push_str(MASK);
                (copied, at) = (end, end);
            } else {
                at += c.len_utf8();
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        clean.push_str(&text[copied..]);
        Cow::Owned(clean)
    }

    /// The end of the longest secret that begins at position `at` of the text, where the character `c` is.
    fn end_of_secret(&self, text: &str, at: usize, c: char) -> Option<usize> {
        // The encoding of any character may begin with one of these.
        let candidates = if is_lead(c) { self.secrets.range(..) } else { self.secrets.range(c..=c) };
        candidates.flat_map(|(_, secrets)| secrets).filter_map(|secret| end_of(secret, text, at)).max()
    }

    fn hide_base64<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || "+/-_".contains(c);
        let mut clean = String::new();
        let mut copied = 0;
        let mut rest = 0;
        while let Some(start) = text[rest..].find(is_letter).map(|found| rest + found) {
            let end = text[start..].find(|c| !is_letter(c)).map_or(text.len(), |found| start + found);
            // In a path or after a word, it may begin later than the run of letters.
            if let Some(begin) = (start..end.min(start + 4)).find(|begin| self.is_known_in_base64(&text[*begin..end])) {
                clean.push_str(&text[copied..begin]);
                clean.push_str(MASK);
                copied = end;
            }
            rest = end;
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        clean.push_str(&text[copied..]);
        Cow::Owned(clean)
    }

    fn is_known_in_base64(&self, letters: &str) -> bool {
        // Four bytes take six letters; a single letter encodes nothing.
        let letters = if letters.len() % 4 == 1 { &letters[..letters.len() - 1] } else { letters };
        letters.len() >= 6
            && decode_base64(letters).is_some_and(|decoded| matches!(self.hide(&String::from_utf8_lossy(&decoded)), Cow::Owned(_)))
    }
}

fn and_then(text: Cow<'_, str>, change: impl Fn(&str) -> Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => change(text),
        Cow::Owned(text) => match change(&text) {
            Cow::Owned(changed) => Cow::Owned(changed),
            Cow::Borrowed(_) => Cow::Owned(text),
        },
    }
}

/// With either alphabet of RFC 4648, padded or not.
fn decode_base64(letters: &str) -> Option<Vec<u8>> {
    const LENIENT_BASE64_CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
    const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT_BASE64_CONFIG);
    LENIENT_BASE64.decode(letters.replace('-', "+").replace('_', "/")).ok()
}

/// The end of a secret that begins at position `at` of the text, as it is or encoded, character by character.
fn end_of(secret: &str, text: &str, at: usize) -> Option<usize> {
    if differs_early(secret, &text[at..]) {
        return None;
    }
    let mut ends = vec![at];
    for c in secret.chars() {
        // A backslash, for example, may stand for itself or escape the next.
        ends = ends.iter().flat_map(|end| lengths(c, &text[*end..]).map(move |length| end + length)).collect();
        ends.sort_unstable();
        ends.dedup();
        if ends.is_empty() {
            return None;
        }
    }
    ends.pop()
}

/// Whether the text differs from the secret before any character that may begin an encoding. This excludes nearly all positions.
fn differs_early(secret: &str, text: &str) -> bool {
    let plain = secret.bytes().zip(text.bytes()).take_while(|(_, byte)| !is_lead(char::from(*byte)));
    plain.into_iter().any(|(wanted, byte)| wanted != byte)
}

/// Whether the encoding of another character may begin with this one.
const fn is_lead(c: char) -> bool {
    matches!(c, '%' | '\\' | '&' | '+')
}

/// The lengths of a character at the beginning of a text, in every form in which it may be there.
fn lengths(c: char, text: &str) -> impl Iterator<Item = usize> {
    let literal = text.starts_with(c).then_some(c.len_utf8());
    let encoded = match text.as_bytes().first() {
        Some(b'%') => percent_encoded(c, text),
        Some(b'+') if c == ' ' => Some(1),
        Some(b'\\') => escaped(c, &text[1..]).map(|length| 1 + length),
        Some(b'&') => entity(c, text),
        _ => None,
    };
    literal.into_iter().chain(encoded)
}

/// RFC 3986, section 2.1.
fn percent_encoded(c: char, text: &str) -> Option<usize> {
    let mut buffer = [0; 4];
    let bytes = c.encode_utf8(&mut buffer).as_bytes();
    let is_byte = |(at, byte): (usize, &u8)| {
        text.get(3 * at..3 * at + 3).and_then(|three| u8::from_str_radix(three.strip_prefix('%')?, 16).ok()) == Some(*byte)
    };
    bytes.iter().enumerate().all(is_byte).then_some(3 * bytes.len())
}

/// The length of an escape sequence after its backslash, by the rules of JSON and of Rust.
fn escaped(c: char, text: &str) -> Option<usize> {
    let code = |digits: &str| u32::from_str_radix(digits, 16) == Ok(u32::from(c));
    match text.as_bytes().first()? {
        b'"' | b'\\' | b'/' | b'\'' => text.starts_with(c).then_some(1),
        b'x' => code(text.get(1..3)?).then_some(3),
        b'u' => match text[1..].strip_prefix('{') {
            Some(braced) => braced.find('}').filter(|end| code(&braced[..*end])).map(|end| end + 3),
            None => code(text.get(1..5)?).then_some(5),
        },
        _ => None,
    }
}

/// The length of the entity for a character in HTML or XML.
fn entity(c: char, text: &str) -> Option<usize> {
    const NAMED_ENTITIES: [(char, &str); 5] = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&apos;")];
    if let Some(number) = text.strip_prefix("&#") {
        let (number, _) = number.split_once(';')?;
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        return (code == Ok(u32::from(c))).then_some(number.len() + 3);
    }
    NAMED_ENTITIES.iter().find(|(one, entity)| *one == c && text.starts_with(entity)).map(|(_, entity)| entity.len())
}

/// The texts that must not be shown of a secret: the secret itself, or for a URL its secret parts, each also decoded.
fn forms(secret: &str) -> Vec<String> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    if is_url(secret) {
        let password = password_of(secret).into_iter().flat_map(|password| [decoded(password), password.to_owned()]);
        // A URL without a password is not secret, but its query may contain a secret.
        let query = secret.split_once('?').map_or("", |(_, query)| query.split('#').next().unwrap_or(query));
        // In the URL of a database, a word in lower case is a setting, such as `sslmode=verify-full`.
        let is_setting = |value: &str| !secret.starts_with("http") && value.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c == '_');
        return password.chain(values(query, is_setting).flat_map(|value| [decoded(value), value.to_owned()])).collect();
    }
    let mut forms = vec![secret.to_owned(), secret.trim().to_owned()];
    forms.extend(values(secret.trim_start_matches('?'), |_| false).flat_map(|value| [decoded(value), value.to_owned()]));
    // RFC 9110, section 11.4: a scheme and its credentials.
    let is_scheme = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if let Some((scheme, credentials)) = secret.trim().split_once(' ').filter(|(scheme, _)| is_scheme(scheme)) {
        forms.push(credentials.trim().to_owned());
        if scheme.eq_ignore_ascii_case("basic")
            && let Some(login) = decode_base64(credentials.trim().trim_end_matches('='))
        {
            let login = String::from_utf8_lossy(&login);
            forms.extend(login.split_once(':').map(|(_, password)| password.to_owned()));
            forms.push(login.into_owned());
        }
    }
    if let Ok(Value::Object(members)) = serde_json::from_str(secret) {
        let texts = members.iter().filter(|(name, _)| is_secret_name(name)).filter_map(|(_, value)| value.as_str());
        forms.extend(texts.map(str::to_owned));
    }
    forms
}

/// The values in `name=value&name=value`, `name=value; name=value` and similar lists that may be secret.
fn values(text: &str, is_setting: impl Fn(&str) -> bool) -> impl Iterator<Item = &str> {
    let pairs = text.split(|c: char| c.is_whitespace() || matches!(c, '&' | ';' | ',')).filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| (name, value.trim_matches('"')));
    let is_secret =
        move |(name, value): &(&str, &str)| is_secret_name(name) || (value.len() >= Redactor::MIN_PART_LENGTH && !is_setting(value));
    pairs.filter(is_secret).map(|(_, value)| value)
}

/// Whether a header or parameter with this name is secret, whatever its value.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    const PARTS: [&str; 9] = ["auth", "cookie", "cred", "key", "pass", "pwd", "secret", "sig", "token"];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
}

/// Shows how many secrets it knows, not which.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Redactor").field("secrets", &self.secrets.values().map(Vec::len).sum::<usize>()).finish()
    }
}

/// The text with `***` in place of the user info (between `://` and `@`) of every URL.
#[must_use]
pub fn strip_user_info(text: &str) -> Cow<'_, str> {
    let mut rest = text;
    let mut clean = String::new();
    while let Some(start) = rest.find("://").map(|at| at + 3) {
        let authority = &rest[start..];
        let end = authority
            // User info may contain an apostrophe (RFC 3986, section 3.2.1): better to hide too much than too little.
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '`' | '<' | '>'))
            .unwrap_or(authority.len());
        clean.push_str(&rest[..start]);
        rest = authority;
        if let Some(at) = authority[..end].rfind('@') {
            clean.push_str(MASK);
            rest = &authority[at..];
        }
    }
    if clean.is_empty() {
        return Cow::Borrowed(text);
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

/// Whether a text begins as URLs do: RFC 3986, section 3.1.
fn is_url(text: &str) -> bool {
    let is_scheme = |scheme: &str| !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    text.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}

/// The password in a URL, as it is written there.
fn password_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    // In RFC 3986, the authority ends at the first of these characters. A password with one of them unescaped still ends at the last `@`.
    let authority = match rest.find(['/', '?', '#']) {
        Some(end) if rest[..end].contains('@') => &rest[..end],
        _ => rest,
    };
    let (user_info, _) = authority.rsplit_once('@')?;
    let (_, password) = user_info.split_once(':')?;
    Some(password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::*;
    use proptest::prelude::*;

    #[test]
    fn user_info_is_removed_from_every_url() {
        assert_eq!(strip_user_info("a redis://u:p@h/0 and http://x/y@z"), "a redis://***@h/0 and http://x/y@z");
        assert_eq!(strip_user_info("nothing here"), "nothing here");
        assert_eq!(strip_user_info("pg://u:p@ss@h"), "pg://***@h");
        assert_eq!(strip_user_info("pg://u:it's@h/x"), "pg://***@h/x");
    }

    #[test]
    fn a_password_is_found_as_written_and_decoded() {
        let redactor = Redactor::new([&Secret::new("postgres://app:hun%23ter2@db/orders"), &Secret::new("token-007")]);
        assert_eq!(redactor.redact("hun#ter2, hun%23ter2, token-007, orders"), "***, ***, ***, orders");
    }

    #[test]
    fn an_unescaped_slash_in_a_password_hides_nothing() {
        let redactor = Redactor::new([&Secret::new("amqp://app:pa/ss?word@mq/vhost")]);
        assert_eq!(redactor.redact("got pa/ss?word"), "got ***");
    }

    #[test]
    fn a_secret_is_found_in_debug_output() {
        let secret = "pass\"word\\1";
        let redactor = Redactor::new([&Secret::new(secret)]);
        assert_eq!(redactor.redact(&format!("{:?}", Some(secret))), "Some(\"***\")");
    }

    #[test]
    fn the_token_after_a_scheme_and_the_values_of_a_query_are_secret() {
        let secrets = [
            "Bearer tok3n",
            "Basic YXBwOmh1bnRlcjI=",
            "session=s3ss10n-value; theme=dark",
            "https://web/hook?key=k3y1&format=json&x=a%2Fb-0123456",
            "postgres://db/orders?sslmode=verify-full&sslpassword=pw12",
            r#"{"type": "service_account", "private_key": "-----BEGIN\nabc\n"}"#,
        ];
        let redactor = Redactor::new(&secrets.map(Secret::new));
        assert_eq!(
            redactor.redact("tok3n, hunter2, s3ss10n-value, k3y1, a/b-0123456, pw12, -----BEGIN\nabc\n"),
            "***, ***, ***, ***, ***, ***, ***"
        );
        let public = "Bearer, Basic, dark, json, verify-full, service_account";
        assert_eq!(redactor.redact(public), public);
    }

    #[test]
    fn a_secret_is_found_anywhere_in_base64() {
        let redactor = Redactor::new([&Secret::new("hunter2?>~")]);
        for login in ["app:hunter2?>~", ":hunter2?>~", "\0a\0hunter2?>~", "hunter2?>~"] {
            for engine in [&BASE64_STANDARD, &BASE64_STANDARD_NO_PAD, &BASE64_URL_SAFE, &BASE64_URL_SAFE_NO_PAD] {
                let encoded = engine.encode(login);
                for text in [format!("got Basic {encoded}"), format!("a={encoded}&b"), format!("x/{encoded}"), format!("\"{encoded}\"")] {
                    let shown = redactor.redact(&text);
                    assert!(shown.contains(MASK) && !shown.contains(encoded.trim_end_matches('=')), "{text}: {shown}");
                }
            }
        }
    }

    #[test]
    fn a_secret_is_found_in_every_encoding() {
        let redactor = Redactor::new([&Secret::new("p ä\"<\\&s")]);
        for text in [
            "p ä\"<\\&s",
            "p%20%C3%A4%22%3C%5C%26s",
            "p+%c3%a4%22%3c%5c&s",
            r#"p ä\"<\\&s"#,
            r#"p \u00e4\"\u003c\\\u0026s"#,
            r"p \u{e4}\x22<\\&s",
            "p ä&quot;&lt;\\&amp;s",
            "&#112;&#x20;&#228;&#34;&#X3c;&#92;&#38;s",
            "p\u{200b} \u{202e}ä\"<\\&s",
        ] {
            assert_eq!(redactor.redact(&format!("<{text}>")), "<***>", "{text}");
        }
    }

    #[test]
    fn names_and_values_are_redacted_at_any_depth() {
        let redactor = Redactor::new([&Secret::new("hunter2")]);
        let value = serde_json::json!({ "a hunter2": ["hunter2", { "x": "\u{202e}hunter2" }], "n": 7 });
        assert_eq!(redactor.redact_value(value), serde_json::json!({ "a ***": ["***", { "x": "***" }], "n": 7 }));
    }

    #[test]
    fn a_secret_within_a_secret_leaves_nothing() {
        let redactor = Redactor::new([&Secret::new("abcd"), &Secret::new("abcdefgh")]);
        assert_eq!(redactor.redact("abcdefgh abcd"), "*** ***");
    }

    #[test]
    fn short_and_public_words_stay() {
        let mut redactor = Redactor::new([&Secret::new("pw"), &Secret::new("postgres")]);
        redactor.forget(|word| word == "postgres");
        assert_eq!(redactor.redact("pw postgres"), "pw postgres");
        assert_eq!(format!("{redactor:?}"), "Redactor { secrets: 0 }");
    }

    proptest! {
        /// In any context, and any number of times.
        #[test]
        fn no_secret_survives(secret in "[A-Za-z0-9!#$%&/=?@:;,. \\\\\"'-]{6,24}", before in "\\PC{0,20}", after in "\\PC{0,20}") {
            let redactor = Redactor::new([&Secret::new(secret.as_str())]);
            let text = format!("{before}{secret}{after}{secret}");
            let shown = redactor.redact(&text);
            // The rest of the text may contain the secret by chance.
            prop_assume!(!before.contains(&secret) && !after.contains(&secret) && !is_url(&secret) && password_of(&secret).is_none());
            prop_assert!(!shown.contains(&secret), "{shown}");
        }

        /// A password in a URL is removed from any text without other URLs.
        #[test]
        fn no_user_info_survives(user in "[a-z]{1,8}", password in "[a-zA-Z0-9%!$&'()*+,;=~._-]{6,20}", text in "[a-z ,.]{0,30}") {
            let shown = strip_user_info(&format!("{text} postgres://{user}:{password}@db.internal/orders {text}")).into_owned();
            prop_assert!(!shown.contains(&password), "{shown}");
            prop_assert!(shown.contains("db.internal/orders"), "{shown}");
        }
    }
}
