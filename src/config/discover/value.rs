//! Values that are none: references that nothing replaced, templates and placeholders.

/// Without the password, each probe would be a failed login of the application's account.
pub(super) const PASSWORD_IN_FILE: &str =
    "the password is in a file, which discovery does not read: configure a check with `password_file`";

/// Hosts that stand for a host in documentation. The domains are reserved for it: <https://www.rfc-editor.org/rfc/rfc2606>.
const PLACEHOLDER_HOSTS: &[&str] = &["host", "hostname", "your-host", "your_host", "yourhost", "example.com", "example.net", "example.org"];

/// Whether a character may stand between two marks.
type IsInside = fn(char) -> bool;

/// Marks around the names in references and templates, with what may stand between them.
const MARKS: &[(&str, &str, IsInside)] = &[
    ("{{", "}}", |_| true),
    ("<%", "%>", |_| true),
    ("%kernel.", "%", |c| c.is_ascii_alphanumeric() || c == '_' || c == '.'),
    ("%env(", ")%", |_| true),
    ("<", ">", |c| c.is_ascii_alphabetic() || " -_".contains(c)),
    // Not an IPv6 address, which has colons.
    ("[", "]", |c| c.is_ascii_alphabetic() || "-_".contains(c)),
];

/// What is wrong with a URL, host or name. `None`: it looks like a value.
pub(super) fn fault(value: &str) -> Option<&'static str> {
    let value = value.trim();
    if value.starts_with(['"', '\'']) {
        return Some("the value begins with a quotation mark, which is a part of it here: remove the quotes");
    }
    if has_reference(value) {
        return Some("the value has a reference to another variable, which nothing has replaced");
    }
    let host = host(value).to_ascii_lowercase();
    let is_host = |known: &&str| host == **known || (known.contains('.') && host.ends_with(&format!(".{known}")));
    let has_placeholder = MARKS.iter().any(|(open, close, is_inside)| has_mark(value, open, close, *is_inside));
    (has_placeholder || PLACEHOLDER_HOSTS.iter().any(is_host)).then_some("the value has a placeholder")
}

/// What is wrong with a password, which may contain anything, if the whole of it is a reference.
pub(super) fn reference(password: &str) -> Option<&'static str> {
    let is_reference = password.starts_with("${") && password.find('}') == Some(password.len() - 1);
    is_reference.then_some("its password is a reference to another variable, which nothing has replaced")
}

/// `${NAME}`, as in a shell and Compose, or `$(NAME)`, as in Kubernetes.
fn has_reference(value: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_:-?.".contains(c);
    has_mark(value, "${", "}", is_of_name) || has_mark(value, "$(", ")", is_of_name) || is_plain_reference(value)
}

/// `$NAME` alone. Within a longer value it may be a part of a password.
fn is_plain_reference(value: &str) -> bool {
    value.strip_prefix('$').is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

fn has_mark(value: &str, open: &str, close: &str, is_inside: IsInside) -> bool {
    value.match_indices(open).any(|(at, _)| {
        let inside = &value[at + open.len()..];
        inside.find(close).is_some_and(|end| end > 0 && inside[..end].chars().all(is_inside))
    })
}

/// The host of a URL, or of an address; the whole value if it is neither.
fn host(value: &str) -> &str {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_value_has_a_message_of_its_own() {
        let (quotes, reference) = (
            "the value begins with a quotation mark, which is a part of it here: remove the quotes",
            "the value has a reference to another variable, which nothing has replaced",
        );
        let placeholder = "the value has a placeholder";
        for (value, expected) in [
            ("\"redis://cache\"", quotes),
            ("'redis://cache'", quotes),
            ("postgres://app:${DB_PASSWORD}@db/orders", reference),
            ("postgres://$(DB_HOST)/orders", reference),
            ("$DATABASE_URL", reference),
            ("postgres://{{ user }}@db/orders", placeholder),
            ("postgres://<%= user %>@db/orders", placeholder),
            ("sqlite:///%kernel.project_dir%/var/app.db", placeholder),
            ("postgres://app:<password>@db/orders", placeholder),
            ("postgres://app:[YOUR-PASSWORD]@db/orders", placeholder),
            ("ecto://USER:PASS@HOST/DATABASE", placeholder),
            ("redis://host:6379", placeholder),
            ("mysql://app@db.example.com/orders", placeholder),
        ] {
            assert_eq!(fault(value), Some(expected), "{value}");
        }
    }

    #[test]
    fn real_values_have_no_fault() {
        for value in [
            " redis://cache:6379/0\r\n",
            "postgres://app:pa$word@db/orders",
            "postgres://app:p%40ss%2Fw@db/orders",
            "postgres://app:{x}@db/orders",
            "redis://[::1]:6379",
            "redis://[cafe::1]",
            "postgres://app@/orders?host=/cloudsql/project:region:instance",
            "sqlite:///db.sqlite3",
            "mysql://app:a<b@db/orders",
            "postgres://app@ghost/orders",
            "",
        ] {
            assert_eq!(fault(value), None, "{value}");
        }
        assert_eq!(reference("pa${x"), None);
        assert!(reference("${DB_PASSWORD}").is_some());
    }
}
