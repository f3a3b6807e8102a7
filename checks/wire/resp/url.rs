//! Reads the URL of a Redis server as the client libraries do.
//!
//! Sources: redis-py (`redis/connection.py`, `parse_url`), kombu (`transport/redis.py`), django-redis, go-redis (`options.go`), Lettuce
//! (`RedisURI`), redis-rs (`connection.rs`).

use crate::{
    contract::{ConfigWarning, InvalidConfig, Secret, unwrapped},
    wire::{
        address::Address,
        tls::{TlsKeys, Verify},
        url::{self, CUT_PASSWORD},
    },
};
use ::url::Url;
use percent_encoding::percent_decode_str;
use redis::{ProtocolVersion, RedisConnectionInfo};
use std::path::PathBuf;

const DEFAULT_PORT: u16 = 6379;

/// How a scheme connects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Tcp,
    Tls,
    Socket,
}

/// All schemes, in lower case.
const FORMS: &[(&str, Transport)] = &[
    ("redis", Transport::Tcp),
    ("valkey", Transport::Tcp),
    ("rediscache", Transport::Tcp),
    ("redis-cache", Transport::Tcp),
    ("hiredis", Transport::Tcp),
    ("rediss", Transport::Tls),
    ("valkeys", Transport::Tls),
    ("redis+ssl", Transport::Tls),
    ("redis+tls", Transport::Tls),
    ("unix", Transport::Socket),
    ("redis+unix", Transport::Socket),
    ("valkey+unix", Transport::Socket),
    ("redis+socket", Transport::Socket),
    ("redis-socket", Transport::Socket),
];

/// Parameters with an effect.
const PARAMETERS: &[&str] = &["db", "database", "virtual_host", "username", "user", "password", "pass", "protocol"];

/// Parameters with an effect on TLS connections.
const TLS_PARAMETERS: &[&str] =
    &["ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname", "verifyPeer", "skip_verify"];

/// A server, as its URL describes it.
pub(super) struct ServerUrl {
    pub(super) target: Target,
    pub(super) login: RedisConnectionInfo,
    /// `None` without TLS.
    pub(super) tls: Option<UrlTls>,
    /// About parts without effect.
    pub(super) warnings: Vec<ConfigWarning>,
}

/// Where a server listens.
pub(super) enum Target {
    /// The hosts of the URL: at least one.
    Hosts(Vec<Address>),
    Socket(PathBuf),
}

/// The TLS parameters of a URL.
#[derive(Default)]
pub(super) struct UrlTls {
    /// What the certificate must prove, and the parameter that says so.
    verify: Option<(Verify, &'static str)>,
    ca_file: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl ServerUrl {
    /// Parses the URL in `key`.
    pub(super) fn parse(key: &'static str, written: &Secret) -> Result<Self, InvalidConfig> {
        let text = unwrapped(written.expose().trim());
        let invalid = |message: &'static str| InvalidConfig::new(key, message);
        let Some((scheme, rest)) = text.split_once("://") else {
            let is_list =
                text.contains(',') && ["password=", "ssl=", "abortconnect="].iter().any(|part| text.to_ascii_lowercase().contains(part));
            let message = "a connection string of StackExchange.Redis is not a URL: write `rediss://:PASSWORD@host:6380/0`";
            return if is_list { Err(invalid(message)) } else { Err(unknown_scheme(key, written)) };
        };
        let scheme = scheme.to_ascii_lowercase();
        let form = FORMS.iter().find(|(name, _)| *name == scheme).map(|(_, transport)| *transport);
        let transport = form.ok_or_else(|| unknown_scheme(key, written))?;
        let (url, target) = if transport == Transport::Socket { socket(key, rest)? } else { hosts(key, transport, rest)? };
        let first = |names: &[&str]| url.query_pairs().find(|(name, _)| names.contains(&&**name)).map(|(_, value)| value.into_owned());
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let is_tls = transport == Transport::Tls;

        let mut login =
            RedisConnectionInfo::default().set_db(database(key, &url, &target, first(&["db", "database", "virtual_host"]).as_deref())?);
        let username = Some(decoded(url.username())).filter(|name| !name.is_empty()).or_else(|| first(&["username", "user"]));
        if let Some(username) = username {
            login = login.set_username(username);
        }
        if let Some(password) = url.password().map(decoded).filter(|password| !password.is_empty()).or_else(|| first(&["password", "pass"]))
        {
            login = login.set_password(password);
        }
        match first(&["protocol"]).map(|version| version.to_ascii_lowercase()).as_deref() {
            None | Some("2" | "resp2") => {}
            Some("3" | "resp3") => login = login.set_protocol(ProtocolVersion::RESP3),
            Some(_) => return Err(invalid("the parameter `protocol` of the URL is 2 or 3")),
        }

        let mut warnings = url::without_effect(key, &url, &[PARAMETERS, TLS_PARAMETERS].concat());
        if !is_tls {
            let unused = TLS_PARAMETERS.iter().filter(|name| url.query_pairs().any(|(written, _)| written == **name));
            let message = |name| format!("the parameter `{name}` of the URL applies only with TLS: write `rediss://`");
            warnings.extend(unused.map(|name| ConfigWarning::new(key, message(name))));
        }
        let tls = if is_tls { Some(UrlTls::parse(key, &url)?) } else { None };
        Ok(Self { target, login, tls, warnings })
    }
}

/// The error about a URL without a known scheme.
fn unknown_scheme(key: &'static str, written: &Secret) -> InvalidConfig {
    let suffix =
        || InvalidConfig::new(key, "the part of the scheme after `+` is unknown: write `redis://`, `rediss://` or `redis+socket://`");
    url::parse(key, written, &[("redis", "redis"), ("rediss", "rediss"), ("valkey", "redis"), ("valkeys", "rediss")])
        .err()
        .unwrap_or_else(suffix)
}

/// The hosts of a URL. Without a host it is this machine, as in redis-py, ioredis and go-redis.
fn hosts(key: &'static str, transport: Transport, rest: &str) -> Result<(Url, Target), InvalidConfig> {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let tail = &rest[authority.len()..];
    let (login, hosts) = authority.rsplit_once('@').map_or(("", authority), |(login, hosts)| (&authority[..=login.len()], hosts));
    let mut hosts = hosts.split(',').map(str::trim);
    let first = hosts.next().unwrap_or_default();
    // The beginning of such a password may be a number, and would be taken for the port.
    if login.is_empty() && first.starts_with(':') && tail.contains('@') && !tail.contains('=') {
        return Err(InvalidConfig::new(key, CUT_PASSWORD));
    }
    let local = if first.is_empty() || first.starts_with(':') { "localhost" } else { "" };
    let scheme = if transport == Transport::Tls { "rediss" } else { "redis" };
    let normalized = Secret::new(format!("{scheme}://{login}{local}{first}{tail}"));
    let url = url::parse(key, &normalized, &[("redis", "redis"), ("rediss", "rediss")])?;
    let host = Address::new(url.host_str().unwrap_or("localhost"), url.port().unwrap_or(DEFAULT_PORT));
    let others = hosts.map(|host| Address::with_default_port(host, DEFAULT_PORT)).collect::<Result<Vec<_>, _>>();
    let others =
        others.map_err(|_| InvalidConfig::new(key, "one of the hosts of the URL is not a host: write `redis://a:6379,b:6379/0`"))?;
    Ok((url, Target::Hosts([vec![host], others].concat())))
}

/// The path of a socket.
fn socket(key: &'static str, rest: &str) -> Result<(Url, Target), InvalidConfig> {
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let login = match authority.strip_suffix('@') {
        Some(login) => format!("{login}@"),
        None if authority.is_empty() => String::new(),
        None => return Err(InvalidConfig::new(key, "the path of a socket begins with `/`: write `unix:///run/redis.sock`")),
    };
    let url = url::parse(key, &Secret::new(format!("unix://{login}localhost{path}")), &[("unix", "unix")])?;
    let path = percent_decode_str(url.path()).decode_utf8_lossy().into_owned();
    if matches!(path.as_str(), "" | "/") {
        return Err(InvalidConfig::new(key, "the URL has no path of a socket: write `unix:///run/redis.sock`"));
    }
    Ok((url, Target::Socket(path.into())))
}

/// The number of the database: a parameter, or the path.
fn database(key: &'static str, url: &Url, target: &Target, parameter: Option<&str>) -> Result<i64, InvalidConfig> {
    let in_path = match target {
        Target::Hosts(_) => url.path().trim_matches('/'),
        Target::Socket(_) => "",
    };
    let number = parameter.unwrap_or(in_path).trim_matches('/');
    let is_password = in_path.contains('@') && url.username().is_empty();
    // No host was written, and something other than a number.
    let is_socket = url.host_str() == Some("localhost") && url.username().is_empty() && in_path.contains('/');
    let message = match (is_password, is_socket) {
        (true, _) => CUT_PASSWORD,
        (_, true) => "the path is not the number of a database: for a socket write `unix:///run/redis.sock`",
        _ => "the URL names no database number: write `redis://host:6379/0`, where 0 is the number",
    };
    if number.is_empty() { Ok(0) } else { number.parse::<u32>().map(i64::from).map_err(|_| InvalidConfig::new(key, message)) }
}

impl UrlTls {
    fn parse(key: &'static str, url: &Url) -> Result<Self, InvalidConfig> {
        let mut parsed = Self::default();
        for (name, value) in url.query_pairs() {
            let lower = value.to_ascii_lowercase();
            let is_false = matches!(lower.as_str(), "0" | "f" | "false" | "n" | "no");
            let file = || Some(PathBuf::from(&*value));
            match &*name {
                "ssl_cert_reqs" => match lower.trim_start_matches("cert_") {
                    "none" => parsed.verify = Some((Verify::None, "ssl_cert_reqs")),
                    // For a client, OpenSSL makes no difference between them.
                    "optional" | "required" => {}
                    _ => {
                        return Err(InvalidConfig::new(
                            key,
                            "the parameter `ssl_cert_reqs` of the URL is `none`, `optional` or `required`",
                        ));
                    }
                },
                "ssl_check_hostname" if is_false && parsed.verify.is_none() => parsed.verify = Some((Verify::Ca, "ssl_check_hostname")),
                "verifyPeer" => match lower.as_str() {
                    "none" | "false" => parsed.verify = Some((Verify::None, "verifyPeer")),
                    "ca" => parsed.verify = Some((Verify::Ca, "verifyPeer")),
                    "full" | "true" => {}
                    _ => return Err(InvalidConfig::new(key, "the parameter `verifyPeer` of the URL is `NONE`, `CA` or `FULL`")),
                },
                "skip_verify" if !is_false => parsed.verify = Some((Verify::None, "skip_verify")),
                "ssl_ca_certs" => parsed.ca_file = file(),
                "ssl_certfile" => parsed.certificate = file(),
                "ssl_keyfile" => parsed.key = file(),
                _ => {}
            }
        }
        if url.fragment() == Some("insecure") {
            parsed.verify = Some((Verify::None, "#insecure"));
        }
        Ok(parsed)
    }

    /// Adds these parameters to the keys of `tls`, and returns the parameter that decides about verification. A certificate that the keys name
    /// is verified whatever the URL says.
    ///
    /// # Errors
    ///
    /// The key that contradicts the URL.
    pub(super) fn merge(self, keys: &mut TlsKeys) -> Result<Option<&'static str>, InvalidConfig> {
        let is_trust_written = keys.ca_file.is_some() || !keys.pinned_sha256.is_empty();
        let mut deciding = None;
        match (self.verify, keys.verify) {
            (Some((verify, parameter)), Some(written)) if verify != written => {
                return Err(InvalidConfig::new("tls.verify", format!("contradicts `{parameter}` in the URL: remove one of them")));
            }
            (Some((verify, parameter)), None) if !is_trust_written || (verify == Verify::Ca && keys.pinned_sha256.is_empty()) => {
                keys.verify = Some(verify);
                deciding = Some(parameter);
            }
            _ => {}
        }
        if !is_trust_written && keys.is_verified() {
            keys.ca_file = self.ca_file;
        }
        if keys.client_certificate_file.is_none() {
            // As in Python's ssl, whose file of the certificate may contain the key.
            keys.client_key_file = keys.client_key_file.take().or(self.key).or_else(|| self.certificate.clone());
            keys.client_certificate_file = self.certificate;
        }
        Ok(deciding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> ServerUrl {
        ServerUrl::parse("url", &Secret::new(url)).unwrap_or_else(|error| panic!("{url}: {}", error.message))
    }

    /// Address or path, user, password and database.
    fn read(url: &str) -> (String, Option<String>, Option<String>, i64) {
        let ServerUrl { target, login, .. } = parsed(url);
        let place = match target {
            Target::Hosts(hosts) => hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Target::Socket(path) => path.display().to_string(),
        };
        (place, login.username().map(str::to_owned), login.password().map(str::to_owned), login.db())
    }

    #[test]
    fn each_form_is_read_as_the_client_libraries_do() {
        for (url, place, user, password, database) in [
            ("redis://cache", "cache:6379", None, None, 0),
            ("redis://:pw@cache:7/3", "cache:7", None, Some("pw"), 3),
            ("REDISS://default:p%40w@cache:6380", "cache:6380", Some("default"), Some("p@w"), 0),
            ("rediscache://cache:6379/1", "cache:6379", None, None, 1),
            ("redis://:6379/1", "localhost:6379", None, None, 1),
            ("redis:///2", "localhost:6379", None, None, 2),
            ("redis://:pw@/2", "localhost:6379", None, Some("pw"), 2),
            ("redis://", "localhost:6379", None, None, 0),
            ("redis://0.0.0.0:6379", "0.0.0.0:6379", None, None, 0),
            ("redis://[::1]:7/0", "[::1]:7", None, None, 0),
            ("redis://cache/0?db=4", "cache:6379", None, None, 4),
            ("redis://cache?database=4&password=pw&username=app", "cache:6379", Some("app"), Some("pw"), 4),
            ("redis://app@cache", "cache:6379", Some("app"), None, 0),
            ("redis://:@cache", "cache:6379", None, None, 0),
            ("redis://:p,w@a:1,b,[::1]:3/0", "a:1 b:6379 [::1]:3", None, Some("p,w"), 0),
            ("unix:///run/redis.sock?db=1", "/run/redis.sock", None, None, 1),
            ("unix://app:pw@/run/redis.sock", "/run/redis.sock", Some("app"), Some("pw"), 0),
            ("unix://:pw@/run/redis.sock", "/run/redis.sock", None, Some("pw"), 0),
            ("redis+unix:///run/redis.sock", "/run/redis.sock", None, None, 0),
            ("redis+socket:///run/redis.sock?virtual_host=1", "/run/redis.sock", None, None, 1),
            ("redis-socket:///run/my%20redis.sock?database=1", "/run/my redis.sock", None, None, 1),
        ] {
            let expected = (place.to_owned(), user.map(str::to_owned), password.map(str::to_owned), database);
            assert_eq!(read(url), expected, "{url}");
        }
        for (url, is_tls) in
            [("redis+ssl://cache", true), ("redis+tls://cache", true), ("valkeys://cache", true), ("valkey://cache", false)]
        {
            assert_eq!(parsed(url).tls.is_some(), is_tls, "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_read_says_what_to_write() {
        for (url, hint) in [
            ("https://x.upstash.io", "the scheme before `://` does not belong to this kind: write `redis://…`"),
            ("redis+foo://cache", "the part of the scheme after `+` is unknown: write `redis://`, `rediss://` or `redis+socket://`"),
            (
                "cache:6380,password=hunter2,ssl=True",
                "a connection string of StackExchange.Redis is not a URL: write `rediss://:PASSWORD@host:6380/0`",
            ),
            ("redis://:12/hunter2@cache", CUT_PASSWORD),
            ("redis://:hunter/2@cache", CUT_PASSWORD),
            ("redis://:12#hunter2@cache", CUT_PASSWORD),
            ("redis://cache/first", "the URL names no database number: write `redis://host:6379/0`, where 0 is the number"),
            ("redis:///run/redis.sock", "the path is not the number of a database: for a socket write `unix:///run/redis.sock`"),
            ("unix://run/redis.sock", "the path of a socket begins with `/`: write `unix:///run/redis.sock`"),
            ("unix://", "the URL has no path of a socket: write `unix:///run/redis.sock`"),
            ("redis://cache?protocol=4", "the parameter `protocol` of the URL is 2 or 3"),
            ("rediss://cache?ssl_cert_reqs=maybe", "the parameter `ssl_cert_reqs` of the URL is `none`, `optional` or `required`"),
            ("redis://a:1,b:x", "one of the hosts of the URL is not a host: write `redis://a:6379,b:6379/0`"),
        ] {
            let message = ServerUrl::parse("url", &Secret::new(url)).err().expect(url).message;
            assert_eq!(message, hint, "{url}");
        }
    }

    #[test]
    fn parameters_without_effect_are_named() {
        let warnings = |url: &str| parsed(url).warnings.into_iter().map(|warning| warning.message.into_owned()).collect::<Vec<_>>();
        assert_eq!(warnings("rediss://cache/0?db=1&protocol=3&ssl_cert_reqs=required&ssl_check_hostname=true"), Vec::<String>::new());
        assert_eq!(
            warnings("redis://cache?socket_timeout=5&ssl_cert_reqs=none&protocl=3"),
            [
                "the parameter `socket_timeout` of the URL has no effect here",
                "the parameter `protocl` of the URL has no effect here; did you mean `protocol`?",
                "the parameter `ssl_cert_reqs` of the URL applies only with TLS: write `rediss://`",
            ]
        );
    }

    /// `verify`, its parameter and `ca_file`.
    type Merged = (Option<Verify>, Option<&'static str>, Option<String>);

    /// What the URL and keys require together, or the key with an error.
    fn merged(parameters: &str, mut keys: TlsKeys) -> Result<Merged, &'static str> {
        let tls = parsed(&format!("rediss://cache?{parameters}")).tls.expect("TLS");
        let parameter = tls.merge(&mut keys).map_err(|error| error.key)?;
        Ok((keys.verify, parameter, keys.ca_file.map(|file| file.display().to_string())))
    }

    #[test]
    fn parameters_of_tls_apply_unless_keys_say_otherwise() {
        let none = TlsKeys::default;
        let verify = |verify| TlsKeys { verify: Some(verify), ..none() };
        let roots = || TlsKeys { ca_file: Some("/key.pem".into()), ..none() };
        let file = |path: &str| Some(path.to_owned());
        for (parameters, keys, expected) in [
            ("", none(), Ok((None, None, None))),
            ("ssl_cert_reqs=none", none(), Ok((Some(Verify::None), Some("ssl_cert_reqs"), None))),
            ("ssl_cert_reqs=CERT_NONE&ssl_ca_certs=/u.pem", none(), Ok((Some(Verify::None), Some("ssl_cert_reqs"), None))),
            ("ssl_cert_reqs=CERT_OPTIONAL", none(), Ok((None, None, None))),
            ("ssl_ca_certs=/u.pem", none(), Ok((None, None, file("/u.pem")))),
            ("ssl_ca_certs=/u.pem", roots(), Ok((None, None, file("/key.pem")))),
            ("ssl_check_hostname=false&ssl_ca_certs=/u.pem", none(), Ok((Some(Verify::Ca), Some("ssl_check_hostname"), file("/u.pem")))),
            ("ssl_cert_reqs=none", roots(), Ok((None, None, file("/key.pem")))),
            ("ssl_cert_reqs=none", verify(Verify::None), Ok((Some(Verify::None), None, None))),
            ("ssl_cert_reqs=none", verify(Verify::Full), Err("tls.verify")),
            ("verifyPeer=NONE", none(), Ok((Some(Verify::None), Some("verifyPeer"), None))),
            ("skip_verify=true", none(), Ok((Some(Verify::None), Some("skip_verify"), None))),
            ("#insecure", none(), Ok((Some(Verify::None), Some("#insecure"), None))),
        ] {
            assert_eq!(merged(parameters, keys), expected, "{parameters}");
        }
    }

    #[test]
    fn a_client_certificate_without_a_key_contains_it() {
        let mut keys = TlsKeys::default();
        parsed("rediss://cache?ssl_certfile=/c.pem").tls.expect("TLS").merge(&mut keys).expect("keys");
        assert_eq!((keys.client_certificate_file.clone(), keys.client_key_file), (Some("/c.pem".into()), Some("/c.pem".into())));
    }
}
