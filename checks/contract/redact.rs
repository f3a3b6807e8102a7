//! The one way by which a driver's words lose their secrets.

use super::Secret;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

const MASK: &str = "***";

/// Knows secrets and takes them out of texts.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a secret that contains another leaves nothing of itself.
    secrets: Vec<String>,
}

impl Redactor {
    /// Shorter values are not looked for: a text without every `a` tells nobody anything, and the password least of all.
    pub const MIN_LENGTH: usize = 4;

    /// Knows these secrets: as they are, and of URLs the password, as it is written there and decoded.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut known = Self::default();
        known.learn(secrets);
        known
    }

    /// Knows these, too.
    pub fn learn<'a>(&mut self, secrets: impl IntoIterator<Item = &'a Secret>) {
        for secret in secrets {
            let secret = secret.expose();
            match password_of(secret) {
                Some(password) => {
                    self.secrets.push(percent_decode_str(password).decode_utf8_lossy().into_owned());
                    self.secrets.push(password.to_owned());
                }
                // A URL without a password is no secret.
                None if is_url(secret) => {}
                None => self.secrets.push(secret.to_owned()),
            }
        }
        // In a log's JSON or in debug output some characters stand escaped.
        let escaped: Vec<String> = self.secrets.iter().map(|secret| format!("{secret:?}")).collect();
        self.secrets.extend(escaped.iter().map(|quoted| quoted[1..quoted.len() - 1].to_owned()));
        self.secrets.retain(|secret| secret.len() >= Self::MIN_LENGTH);
        self.secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.secrets.dedup();
    }

    /// Forgets what is a public word anyway, such as the name of a kind: hiding it would hide nothing and spoil the text.
    pub fn forget(&mut self, is_public: impl Fn(&str) -> bool) {
        self.secrets.retain(|secret| !is_public(secret));
    }

    /// The text with `***` in place of every known secret and of the user-info of every URL.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = strip_user_info(text);
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), MASK));
            }
        }
        text
    }
}

/// Shows how many secrets it knows, not which.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Redactor").field("secrets", &self.secrets.len()).finish()
    }
}

/// The text with `***` in place of what stands between `://` and `@` of every URL in it.
#[must_use]
pub fn strip_user_info(text: &str) -> Cow<'_, str> {
    let mut rest = text;
    let mut clean = String::new();
    while let Some(start) = rest.find("://").map(|at| at + 3) {
        let authority = &rest[start..];
        let end = authority
            // An apostrophe may stand in user-info (RFC 3986, section 3.2.1): rather too much is hidden than too little.
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

/// Whether it begins as URLs do: RFC 3986, section 3.1.
fn is_url(text: &str) -> bool {
    let is_scheme = |scheme: &str| !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    text.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}

/// The password in a URL, as it is written there.
fn password_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    // By RFC 3986 the authority ends at the first of these; a password that holds one unescaped ends at the last `@` all the same.
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
    use proptest::prelude::*;

    #[test]
    fn user_info_leaves_every_url() {
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
    fn a_secret_is_found_in_quotes_as_well() {
        let secret = "pass\"word\\1";
        let redactor = Redactor::new([&Secret::new(secret)]);
        assert_eq!(redactor.redact(&format!("{:?}", Some(secret))), "Some(\"***\")");
    }

    #[test]
    fn secrets_within_secrets_leave_nothing() {
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
        /// Whatever stands around it, and however often.
        #[test]
        fn no_secret_survives(secret in "[A-Za-z0-9!#$%&/=?@:;,. \\\\\"'-]{6,24}", before in "\\PC{0,20}", after in "\\PC{0,20}") {
            let redactor = Redactor::new([&Secret::new(secret.as_str())]);
            let text = format!("{before}{secret}{after}{secret}");
            let told = redactor.redact(&text);
            // What is left may hold it only where somebody else's words make it up.
            prop_assume!(!before.contains(&secret) && !after.contains(&secret) && !is_url(&secret) && password_of(&secret).is_none());
            prop_assert!(!told.contains(&secret), "{told}");
        }

        /// A password in a URL goes, in the middle of any text that has no other URL in it.
        #[test]
        fn no_user_info_survives(user in "[a-z]{1,8}", password in "[a-zA-Z0-9%!$&'()*+,;=~._-]{6,20}", text in "[a-z ,.]{0,30}") {
            let told = strip_user_info(&format!("{text} postgres://{user}:{password}@db.internal/orders {text}")).into_owned();
            prop_assert!(!told.contains(&password), "{told}");
            prop_assert!(told.contains("db.internal/orders"), "{told}");
        }
    }
}
