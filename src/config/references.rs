//! Replaces references to environment variables in a text: `${NAME}`, and with a default, a condition or an error as in shells and Compose.

use super::environment::Environment;

/// The most defaults within each other.
const MAX_DEPTH: usize = 16;

const NOT_CLOSED: &str = "`${` has no closing `}`: add it, or write `$${` for a literal `${`";

/// A text without references.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Replaced {
    pub(super) text: String,
    /// The variables whose values are in the text.
    pub(super) used: Vec<String>,
    /// The text is the value of one variable.
    pub(super) is_variable: bool,
}

/// Replaces every reference in a text. `$${` becomes a literal `${`. Values of variables are literal: a password may contain `${`.
///
/// # Errors
///
/// What is wrong with a reference, and what to do.
pub(super) fn replace(text: &str, environment: &Environment) -> Result<Replaced, String> {
    let mut parser = Parser { rest: text, environment, used: Vec::new(), depth: 0 };
    let replaced = parser.text(false)?;
    let is_variable = matches!(&parser.used[..], [only] if environment.get_or_empty(only) == Some(&replaced));
    Ok(Replaced { text: replaced, used: parser.used, is_variable })
}

/// The text with its references replaced.
///
/// # Errors
///
/// As [`replace`].
#[cfg(feature = "cli")]
pub(super) fn expand(text: &str, environment: &Environment) -> Result<String, String> {
    replace(text, environment).map(|replaced| replaced.text)
}

struct Parser<'a> {
    rest: &'a str,
    environment: &'a Environment,
    used: Vec<String>,
    depth: usize,
}

impl Parser<'_> {
    /// The text up to its end or, `within` a reference, up to the closing brace.
    fn text(&mut self, within: bool) -> Result<String, String> {
        let mut done = String::with_capacity(self.rest.len());
        loop {
            let next = self.rest.find("${");
            if let Some(end) = self.rest.find('}').filter(|end| within && next.is_none_or(|next| *end < next)) {
                done.push_str(&self.rest[..end]);
                self.rest = &self.rest[end + 1..];
                return Ok(done);
            }
            let Some(at) = next else { break };
            let before = &self.rest[..at];
            self.rest = &self.rest[at + 2..];
            if let Some(before) = before.strip_suffix('$') {
                done.push_str(before);
                done.push_str("${");
                continue;
            }
            done.push_str(before);
            let value = self.reference()?;
            done.push_str(&value);
        }
        if within {
            return Err(NOT_CLOSED.to_owned());
        }
        done.push_str(self.rest);
        Ok(done)
    }

    /// The value of a reference, of which `${` was read.
    fn reference(&mut self) -> Result<String, String> {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let name = &self.rest[..end];
        self.rest = &self.rest[end..];
        let operators = [":-", ":?", ":+", "-", "?", "+", "}"];
        let operator = operators.into_iter().find_map(|operator| Some((operator, self.rest.strip_prefix(operator)?)));
        let Some((operator, rest)) = operator.filter(|_| !name.is_empty()) else {
            return Err(self.malformed(name));
        };
        self.rest = rest;
        let value = match operator.strip_prefix(':') {
            // As in a shell: with a colon, an empty variable counts as not set.
            Some(_) => self.environment.get(name),
            None => self.environment.get_or_empty(name),
        };
        let is_set = value.is_some() || self.environment.is_not_text(name);
        let word = if operator == "}" { None } else { Some(self.word(is_set, operator)?) };
        match (word, operator.trim_start_matches(':'), value) {
            (Some(word), "+", _) if is_set => Ok(word),
            (_, "+", _) => Ok(String::new()),
            (Some(word), "-", None) if !is_set => Ok(word),
            (Some(word), "?", None) if !is_set && !word.trim().is_empty() && is_in_capitals(name) => {
                Err(format!("the environment variable {name} is not set: {word}"))
            }
            (_, _, None) => Err(missing(name, self.environment)),
            (_, _, Some(value)) => {
                self.used.push(name.to_owned());
                Ok(value.to_owned())
            }
        }
    }

    /// The text after an operator. Problems count only in a text that is used.
    fn word(&mut self, is_set: bool, operator: &str) -> Result<String, String> {
        if self.depth == MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} defaults within each other"));
        }
        self.depth += 1;
        let used = self.used.len();
        let is_used = is_set == operator.ends_with('+');
        let before = self.rest;
        let word = self.text(true);
        self.depth -= 1;
        if is_used {
            return word;
        }
        self.used.truncate(used);
        if word.is_err() {
            self.rest = skipped(before).ok_or(NOT_CLOSED)?;
        }
        Ok(String::new())
    }

    /// What is wrong with a text in `${…}` that is not a name with an operator.
    fn malformed(&self, name: &str) -> String {
        if !self.rest.contains('}') {
            return NOT_CLOSED.to_owned();
        }
        if !is_in_capitals(name) {
            // Not quoted: it may be half of a password.
            return "the text in `${…}` is not the name of a variable: correct it, or write `$${` for a literal `${`".to_owned();
        }
        format!(
            "the text after {name} in `${{…}}` is not supported: write `:-`, `-`, `:?`, `?`, `:+` or `+` there, or `$${{` for a literal `${{`"
        )
    }
}

/// The text after the brace that closes the reference whose inside is at the beginning.
fn skipped(text: &str) -> Option<&str> {
    let mut depth = 1_usize;
    let mut rest = text;
    while depth > 0 {
        let (open, close) = (rest.find("${"), rest.find('}')?);
        if open.is_some_and(|open| open < close) {
            depth += 1;
            rest = &rest[open? + 2..];
        } else {
            depth -= 1;
            rest = &rest[close + 1..];
        }
    }
    Some(rest)
}

/// Whether this is a name in capitals, as is usual for variables. Any other may be part of a password such as `pa${word}`.
fn is_in_capitals(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_ascii_lowercase()) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn missing(name: &str, environment: &Environment) -> String {
    if environment.is_not_text(name) {
        return format!("the value of the environment variable {name} is not UTF-8");
    }
    if !is_in_capitals(name) {
        return "the environment variable in `${…}` is not set: set it, write `${NAME:-default}`, or write `$${` for a literal `${`"
            .to_owned();
    }
    match environment.get_or_empty(name) {
        Some(_) => format!("the environment variable {name} is empty"),
        None => format!("the environment variable {name} is not set: set it, or write `${{{name}:-default}}`"),
    }
}

/// The name of a variable that a text refers to as `$NAME` or `$(NAME)`, which is not replaced.
pub(super) fn unsupported_reference<'a>(text: &'a str, environment: &Environment) -> Option<&'a str> {
    let names = text.match_indices('$').filter_map(|(at, _)| {
        let rest = &text[at + 1..];
        let rest = rest.strip_prefix('(').unwrap_or(rest);
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        Some(&rest[..end]).filter(|name| is_in_capitals(name))
    });
    names.into_iter().find(|name| environment.get_or_empty(name).is_some() || environment.is_not_text(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        let variables = [("A", "1"), ("EMPTY", ""), ("B", "${A}"), ("PA_SS", "x\n")];
        Environment::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    fn with(text: &str) -> Result<String, String> {
        replace(text, &environment()).map(|replaced| replaced.text)
    }

    #[test]
    fn references_are_replaced_but_not_those_in_a_replacement() {
        for (text, expected) in [
            ("no reference, $5, $ {A}, {}", "no reference, $5, $ {A}, {}"),
            ("<${A}${A}>", "<11>"),
            ("${NONE:-x:y}", "x:y"),
            ("${EMPTY:-d}${EMPTY}", "d"),
            ("${EMPTY-d}${NONE-d}${NONE-}", "d"),
            ("${B}", "${A}"),
            ("${NONE:-${B}}", "${A}"),
            ("${NONE:-${A}}", "1"),
            ("${NONE:-a${EMPTY:-${A}}z}!", "a1z!"),
            ("${A:-${NONE}}", "1"),
            ("${A:-${NONE:-${}}}!", "1!"),
            ("${NONE:-{}", "{"),
            ("${NONE:-$${A}}", "${A}"),
            ("${A:+x}${EMPTY:+y}${EMPTY+z}${NONE+${NONE}}", "xz"),
            ("${A:?required}${EMPTY?required}", "1"),
            ("$${A} and $$${A}", "${A} and $${A}"),
        ] {
            assert_eq!(with(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_reference_that_does_not_resolve_is_an_error_that_says_what_to_do() {
        let missing = "the environment variable NONE is not set: set it, or write `${NONE:-default}`";
        for text in ["${NONE}", "${NONE:?}", "${EMPTY:-${NONE}}", "${A:+${NONE}}"] {
            assert_eq!(with(text), Err(missing.to_owned()), "{text}");
        }
        assert_eq!(with("${NONE:?set it in .env}"), Err("the environment variable NONE is not set: set it in .env".to_owned()));
        assert!(with("pa${hunter2}").is_err_and(|message| message.contains("is not set") && !message.contains("hunter2")));
        assert!(with("pa${hunter2:?hunter3}").is_err_and(|message| message.contains("is not set") && !message.contains("hunter")));
        for text in ["${A", "${A:-x", "${NONE:-${A}", "${A:-${NONE}", "${"] {
            assert!(with(text).is_err_and(|message| message.contains("no closing")), "{text}");
        }
        for text in ["${a b}", "${}", "${:-x}"] {
            assert!(with(text).is_err_and(|message| message.contains("not the name of a variable")), "{text}");
        }
        for text in ["${A%x}", "${A:0:1}", "${A/x/y}", "${A:=x}"] {
            assert!(with(text).is_err_and(|message| message.starts_with("the text after A in `${…}` is not supported")), "{text}");
        }
        assert!(with(&"${NONE:-".repeat(1000)).is_err());
    }

    #[test]
    fn a_variable_that_is_not_utf_8_is_set_and_has_no_usable_value() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), b"BAD=\xe4\n").expect("a file");
        let mut environment = Environment::default();
        environment.add_file(file.path()).expect("it reads");
        let with = |text: &str| replace(text, &environment).map(|replaced| replaced.text);
        for text in ["${BAD}", "${BAD:-default}", "${BAD-default}", "${BAD:?message}"] {
            assert_eq!(with(text), Err("the value of the environment variable BAD is not UTF-8".to_owned()), "{text}");
        }
        assert_eq!(with("${BAD:+text}"), Ok("text".to_owned()));
    }

    #[test]
    fn a_variable_that_is_not_replaced_is_suspicious_only_if_it_exists() {
        for (text, expected) in [("$A", Some("A")), ("x$(A)y", Some("A")), ("pa$word$NONE$AB", None), ("${A}$", None), ("$a", None)] {
            assert_eq!(unsupported_reference(text, &environment()), expected, "{text}");
        }
    }

    #[test]
    fn a_value_is_that_of_a_variable_only_if_nothing_is_around_it() {
        let is_variable = |text| replace(text, &environment()).expect("it resolves").is_variable;
        assert!(is_variable("${PA_SS}") && is_variable("${NONE:-${PA_SS}}"));
        assert!(!is_variable("${NONE:- }") && !is_variable("x${PA_SS}"));
    }
}
