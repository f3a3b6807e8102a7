//! Reads URLs that name sentinels as the client libraries do.
//!
//! Sources: kombu (`transport/redis.py`, `SentinelChannel`), coredis and redis-sentinel-url (`redis+sentinel://`), Lettuce
//! (`redis-sentinel://`).

use crate::{
    contract::{ConfigWarning, InvalidConfig, Secret},
    wire::address::Address,
};

/// Schemes of such URLs, in lower case, and the scheme of the servers that the sentinels name.
const SCHEMES: &[(&str, &str)] = &[
    ("sentinel", "redis"),
    ("redis+sentinel", "redis"),
    ("redis-sentinel", "redis"),
    ("valkey+sentinel", "redis"),
    ("rediss+sentinel", "rediss"),
    ("rediss-sentinel", "rediss"),
    ("valkeys+sentinel", "rediss"),
];

/// The port of a sentinel.
const DEFAULT_PORT: u16 = 26379;

/// Parameters that name the primary.
const NAME_PARAMETERS: &[&str] = &["master_name", "sentinelMasterId", "service_name"];

/// What a URL that names sentinels says.
pub(crate) struct SentinelUrl {
    /// The URL of the first sentinel, with the login, the database and the parameters for the servers that the sentinels name.
    pub(crate) server: Secret,
    /// The other sentinels.
    pub(crate) others: Vec<Address>,
    pub(crate) master_name: Option<String>,
    /// About parts without effect.
    pub(crate) warnings: Vec<ConfigWarning>,
}

impl SentinelUrl {
    /// Parses the URL in `key`; `None` if its scheme does not name sentinels.
    ///
    /// The sentinels are separated by `,` or, as in kombu, `;`. After a `;` the scheme may be repeated; as in kombu, the login and the
    /// database are those of the first URL. The path is `/database`, `/master_name` or `/master_name/database`.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL; never the URL itself.
    pub(crate) fn parse(key: &'static str, url: &Secret) -> Result<Option<Self>, InvalidConfig> {
        let Some((scheme, rest)) = url.expose().trim().split_once("://") else { return Ok(None) };
        let Some(server_scheme) = server_scheme(scheme) else { return Ok(None) };
        let invalid = |message: &'static str| InvalidConfig::new(key, message);

        let mut urls = rest.split(';').map(|url| url.split_once("://").map_or((None, url), |(scheme, rest)| (Some(scheme.trim()), rest)));
        let (login, hosts, tail) = split(urls.next().map_or("", |(_, first)| first));
        let mut hosts = addresses(key, hosts)?;
        let mut warnings = Vec::new();
        for (written, url) in urls {
            if written.is_some_and(|written| !written.eq_ignore_ascii_case(scheme)) {
                return Err(invalid("names brokers and sentinels: name either sentinels or brokers between `;`"));
            }
            let (other_login, other_hosts, other_tail) = split(url);
            hosts.extend(addresses(key, other_hosts)?);
            if !matches!(other_tail, "" | "/") && other_tail != tail {
                warnings.push(ConfigWarning::new(
                    key,
                    "only the database and parameters of the first URL have an effect, as in kombu: those after `;` differ",
                ));
            }
            if !other_login.is_empty() && other_login != login {
                warnings.push(ConfigWarning::new(key, "only the login of the first URL has an effect, as in kombu: one after `;` differs"));
            }
        }

        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        let (in_path, database) = match path.trim_matches('/').split('/').collect::<Vec<_>>()[..] {
            [database] if database.bytes().all(|byte| byte.is_ascii_digit()) => (None, database),
            [name] => (Some(decoded(name)), ""),
            [name, database] if database.bytes().all(|byte| byte.is_ascii_digit()) => (Some(decoded(name)), database),
            _ => {
                return Err(invalid(
                    "the path of a Sentinel URL is `/0`, `/master_name` or `/master_name/0`, where 0 is the database number",
                ));
            }
        };
        let (naming, others): (Vec<&str>, Vec<&str>) = query
            .split('&')
            .filter(|parameter| !parameter.is_empty())
            .partition(|parameter| NAME_PARAMETERS.contains(&parameter.split('=').next().unwrap_or_default()));
        let in_query = naming.first().and_then(|parameter| parameter.split_once('=')).map(|(_, name)| decoded(name));
        let first = hosts.remove(0);
        let query = if others.is_empty() { String::new() } else { format!("?{}", others.join("&")) };
        Ok(Some(Self {
            server: Secret::new(format!("{server_scheme}://{login}{first}/{database}{query}")),
            others: hosts,
            master_name: in_query.or(in_path),
            warnings,
        }))
    }
}

fn server_scheme(scheme: &str) -> Option<&'static str> {
    let scheme = scheme.trim().to_ascii_lowercase();
    SCHEMES.iter().find(|(name, _)| *name == scheme).map(|(_, server)| *server)
}

/// The login with its `@`, the hosts, and everything behind them.
fn split(url: &str) -> (&str, &str, &str) {
    let authority = &url[..url.find(['/', '?', '#']).unwrap_or(url.len())];
    let (login, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    (login, hosts, &url[authority.len()..])
}

/// Hosts that are separated by commas: at least one.
fn addresses(key: &'static str, hosts: &str) -> Result<Vec<Address>, InvalidConfig> {
    let addresses = hosts.split(',').map(|host| Address::with_default_port(host, DEFAULT_PORT)).collect::<Result<Vec<_>, _>>();
    addresses.map_err(|_| InvalidConfig::new(key, "a sentinel of the URL is not a host: write `sentinel://a:26379;sentinel://b:26379`"))
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> (String, Vec<String>, Option<String>, usize) {
        let parsed = SentinelUrl::parse("url", &Secret::new(url)).unwrap_or_else(|error| panic!("{url}: {}", error.message));
        let parsed = parsed.unwrap_or_else(|| panic!("{url} names sentinels"));
        let others = parsed.others.iter().map(ToString::to_string).collect();
        (parsed.server.expose().to_owned(), others, parsed.master_name, parsed.warnings.len())
    }

    #[test]
    fn each_form_is_read_as_the_client_libraries_do() {
        for (url, server, others, name, warnings) in [
            ("sentinel://a:26379;sentinel://b:26380", "redis://a:26379/", &["b:26380"][..], None, 0),
            ("sentinel://:p%40w@a:1/2;sentinel://:p%40w@b/2", "redis://:p%40w@a:1/2", &["b:26379"], None, 0),
            ("sentinel://a;b:1;SENTINEL://[::1]:2", "redis://a:26379/", &["b:1", "[::1]:2"], None, 0),
            // kombu reads the database of the first URL only.
            ("sentinel://a:1;sentinel://b:2/3", "redis://a:1/", &["b:2"], None, 1),
            ("sentinel://u:p@a:1/0;sentinel://u:q@b:2/0", "redis://u:p@a:1/0", &["b:2"], None, 1),
            ("redis+sentinel://u:p@a:1,b/orders/3", "redis://u:p@a:1/3", &["b:26379"], Some("orders"), 0),
            ("redis+sentinel://[::1]:1/my%20orders", "redis://[::1]:1/", &[], Some("my orders"), 0),
            ("rediss+sentinel://a/0?ssl_cert_reqs=none", "rediss://a:26379/0?ssl_cert_reqs=none", &[], None, 0),
            (
                "redis-sentinel://p@a,b/0?sentinelMasterId=orders&timeout=1s",
                "redis://p@a:26379/0?timeout=1s",
                &["b:26379"],
                Some("orders"),
                0,
            ),
        ] {
            let expected = (server.to_owned(), others.iter().map(|host| (*host).to_owned()).collect(), name.map(str::to_owned), warnings);
            assert_eq!(read(url), expected, "{url}");
        }
    }

    #[test]
    fn other_urls_are_left_alone_and_faults_are_named_without_the_url() {
        for url in ["redis://a", "hunter2", "amqp://sentinel"] {
            assert!(SentinelUrl::parse("url", &Secret::new(url)).is_ok_and(|parsed| parsed.is_none()), "{url}");
        }
        for url in ["sentinel://", "sentinel://hunter2:x", "sentinel://a/hunter2/b/0", "sentinel://a;redis://:hunter2@b"] {
            let error = SentinelUrl::parse("url", &Secret::new(url)).err().unwrap_or_else(|| panic!("{url} is wrong"));
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
