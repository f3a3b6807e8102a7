//! Reads AMQP URLs as the libraries of applications write them.

use super::SCHEMES;
use crate::{
    contract::{ConfigWarning, InvalidConfig, Secret},
    wire::{
        address::Address,
        tls::{TlsKeys, Verify},
        url,
    },
};
use ::url::Url;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism};
use percent_encoding::percent_decode_str;
use std::path::PathBuf;

/// Parameters with an effect on every connection.
const KNOWN: &[&str] = &["heartbeat", "auth_mechanism", "auth"];

/// Parameters with an effect on connections with TLS.
const KNOWN_WITH_TLS: &[&str] = &[
    "heartbeat",
    "auth_mechanism",
    "auth",
    "cacertfile",
    "cafile",
    "certfile",
    "keyfile",
    "verify",
    "no_verify_ssl",
    "server_name_indication",
    // Concerns servers only.
    "fail_if_no_peer_cert",
];

/// What a URL means.
pub(super) struct AmqpUrl {
    pub(super) uri: AMQPUri,
    pub(super) has_password: bool,
    /// The keys with what the URL says about TLS.
    pub(super) tls: TlsKeys,
    pub(super) warnings: Vec<ConfigWarning>,
}

impl AmqpUrl {
    /// Parses the URL in `key`. `tls` are the keys, which count more than the URL.
    pub(super) fn parse(key: &'static str, url: &Secret, tls: TlsKeys) -> Result<Self, InvalidConfig> {
        let invalid = |message: &str| InvalidConfig::new(key, message.to_owned());
        let text = url.expose().trim();
        let (scheme, _) = text.split_once("://").unwrap_or_default();
        if scheme.contains('+') && scheme.contains("ssl") {
            // Dropping the part after the `+`, as for other drivers, would send the password unencrypted.
            return Err(invalid("`amqp+ssl://` is AMQP 1.0, which this kind does not speak: for AMQP 0-9-1 with TLS write `amqps://…`"));
        }
        let schemes: Vec<_> = SCHEMES.iter().map(|scheme| (*scheme, if scheme.ends_with('s') { "amqps" } else { "amqp" })).collect();
        let url = url::parse(key, &Secret::new(with_host(text)), &schemes)?;
        if url.host_str().is_some_and(|host| host.contains(',')) {
            return Err(invalid("the URL has several hosts: configure a check for each"));
        }
        let encrypted = url.scheme() == "amqps";
        let decoded = |part: &str, name: &str| match percent_decode_str(part).decode_utf8() {
            Ok(text) => Ok(text.into_owned()),
            Err(_) => Err(invalid(&format!("the {name} in the URL is not UTF-8 after percent-decoding"))),
        };
        let or_guest = |text: &str| if text.is_empty() { "guest".to_owned() } else { text.to_owned() };
        // Clients disagree about an empty path, which RabbitMQ reads as a vhost without a name; users and Celery mean the default vhost.
        let vhost = match url.path().strip_prefix('/').unwrap_or_default() {
            "" => "/".to_owned(),
            path => decoded(path, "vhost")?,
        };
        let scheme = if encrypted { AMQPScheme::AMQPS } else { AMQPScheme::AMQP };
        let uri = AMQPUri {
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: or_guest(&decoded(url.username(), "user name")?),
                    password: or_guest(&decoded(url.password().unwrap_or_default(), "password")?),
                },
                host: decoded(&Address::new(url.host_str().unwrap_or_default(), 0).host, "host")?,
                port: url.port().unwrap_or_else(|| scheme.default_port()),
            },
            scheme,
            vhost,
            query: query(key, &url)?,
        };
        let known = if encrypted { KNOWN_WITH_TLS } else { KNOWN };
        let tls = if encrypted { with_parameters(key, tls, &url)? } else { tls };
        Ok(Self { uri, has_password: url.password().is_some(), tls, warnings: url::without_effect(key, &url, known) })
    }
}

/// The URL with `localhost` in place of an empty host, which means that in every library.
fn with_host(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (login, host) = authority.rsplit_once('@').map_or(("", authority), |(login, host)| (login, host));
    // After an `@` in what looks like a path, the beginning is part of a password.
    if (!host.is_empty() && !host.starts_with(':')) || path.contains('@') {
        return text.to_owned();
    }
    let at = if authority.contains('@') { "@" } else { "" };
    format!("{scheme}://{login}{at}localhost{host}{path}")
}

/// What the URL says about the login and heartbeats.
fn query(key: &'static str, url: &Url) -> Result<AMQPQueryString, InvalidConfig> {
    let invalid = |message: &str| InvalidConfig::new(key, message.to_owned());
    let heartbeat = match value(url, &["heartbeat"]) {
        Some(text) => {
            Some(text.parse().map_err(|_| invalid("the parameter `heartbeat` of the URL is not a number of seconds from 0 to 65535"))?)
        }
        None => None,
    };
    let auth_mechanism = match value(url, &["auth_mechanism", "auth"]) {
        // In upper case, as Java and aio-pika write them, or in lower case, as in RabbitMQ's documentation.
        Some(text) => Some(text.parse::<SASLMechanism>().map_err(|_| {
            invalid(
                "the login method in the parameter `auth_mechanism` of the URL is not supported: write `plain`, `amqplain` or `external`",
            )
        })?),
        None => None,
    };
    Ok(AMQPQueryString { heartbeat, auth_mechanism, ..AMQPQueryString::default() })
}

/// Adds what the URL says about TLS to the keys that are not set. The names are those of RabbitMQ's own clients and of aio-pika:
/// <https://www.rabbitmq.com/docs/uri-query-parameters>.
fn with_parameters(key: &'static str, keys: TlsKeys, url: &Url) -> Result<TlsKeys, InvalidConfig> {
    let unsupported =
        |name: &str, instead: &str| InvalidConfig::new(key, format!("the parameter `{name}` of the URL is not supported: {instead}"));
    for (name, instead) in [
        ("ssl_options", "write its settings as the keys `tls.*`"),
        ("capath", "write `tls.ca_file`"),
        ("cadata", "write `tls.ca_file`"),
        ("password", "store the client key without a password"),
    ] {
        if value(url, &[name]).is_some() {
            return Err(unsupported(name, instead));
        }
    }
    let file = |names: &[&str]| value(url, names).map(PathBuf::from);
    let (certificate, private) = (file(&["certfile"]), file(&["keyfile"]));
    let verify = match (value(url, &["verify"]).as_deref(), value(url, &["no_verify_ssl"]).as_deref()) {
        (Some("verify_none" | "false" | "0"), _) | (None, Some("1" | "true" | "True" | "yes")) => Some(Verify::None),
        (Some("verify_peer" | "true" | "1") | None, _) => None,
        (Some(_), _) => return Err(unsupported("verify", "write `verify_peer` or `verify_none`")),
    };
    let own_identity = keys.client_certificate_file.is_none() && keys.client_key_file.is_none();
    let is_pinned = !keys.pinned_sha256.is_empty();
    let verify = keys.verify.or(verify.filter(|_| keys.ca_file.is_none() && !is_pinned));
    let names_authority = !is_pinned && verify != Some(Verify::None);
    let name = value(url, &["server_name_indication"]);
    // Erlang's word for: any name.
    let any_name = name.as_deref() == Some("disable") && verify.is_none() && names_authority;
    Ok(TlsKeys {
        ca_file: keys.ca_file.or_else(|| file(&["cacertfile", "cafile"]).filter(|_| names_authority)),
        // A file that contains both, as Python's `load_cert_chain` accepts it.
        client_key_file: keys.client_key_file.or_else(|| private.or_else(|| certificate.clone()).filter(|_| own_identity)),
        client_certificate_file: keys.client_certificate_file.or_else(|| certificate.filter(|_| own_identity)),
        server_name: keys.server_name.or_else(|| name.filter(|name| name != "disable")),
        verify: if any_name { Some(Verify::Ca) } else { verify },
        pinned_sha256: keys.pinned_sha256,
    })
}

/// The first value of a parameter.
fn value(url: &Url, names: &[&str]) -> Option<String> {
    url.query_pairs().find(|(name, _)| names.contains(&&**name)).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> AmqpUrl {
        AmqpUrl::parse("url", &Secret::new(url), TlsKeys::default()).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn refused(url: &str) -> String {
        match AmqpUrl::parse("url", &Secret::new(url), TlsKeys::default()) {
            Ok(_) => panic!("{url} is accepted"),
            Err(error) => error.message.into_owned(),
        }
    }

    #[test]
    fn each_form_of_other_libraries_is_understood() {
        for (url, expected) in [
            ("amqp://", "amqp://guest:guest@localhost:5672/%2F"),
            ("amqp:///orders", "amqp://guest:guest@localhost:5672/orders"),
            ("amqp://:5673/", "amqp://guest:guest@localhost:5673/%2F"),
            ("amqp://app:pw@/orders", "amqp://app:pw@localhost:5672/orders"),
            ("amqp://app:pw@mq/%2F", "amqp://app:pw@mq:5672/%2F"),
            ("pyamqp://app:pw@mq//", "amqp://app:pw@mq:5672/%2F"),
            ("amqp://app:pw@mq//orders", "amqp://app:pw@mq:5672/%2Forders"),
            ("rabbitmq://mq/orders?prefetch=16", "amqp://guest:guest@mq:5672/orders"),
            ("rabbitmqs://mq/orders", "amqps://guest:guest@mq:5671/orders"),
            ("amqps://app:p%40w@[::1]:5671", "amqps://app:p%40w@::1:5671/%2F"),
            ("amqp://app:pw@mq?heartbeat=0", "amqp://app:pw@mq:5672/%2F?heartbeat=0"),
            ("amqps://mq?auth=EXTERNAL", "amqps://guest:guest@mq:5671/%2F?auth_mechanism=EXTERNAL"),
        ] {
            assert_eq!(parse(url).uri.to_string(), expected, "{url}");
        }
    }

    #[test]
    fn a_parameter_that_cannot_be_followed_is_refused_without_quoting_the_url() {
        for (url, hint) in [
            ("amqp://app:pw@mq/%2F?heartbeat=ten", "the parameter `heartbeat` of the URL is not a number of seconds from 0 to 65535"),
            (
                "amqps://mq?auth_mechanism=gssapi",
                "the login method in the parameter `auth_mechanism` of the URL is not supported: write `plain`, `amqplain` or `external`",
            ),
            (
                "amqps://mq?ssl_options={'ca_certs':'/ca.pem'}",
                "the parameter `ssl_options` of the URL is not supported: write its settings as the keys `tls.*`",
            ),
            ("amqps://mq?verify=peer", "the parameter `verify` of the URL is not supported: write `verify_peer` or `verify_none`"),
            (
                "amqp+ssl://app:pw@mq:5671",
                "`amqp+ssl://` is AMQP 1.0, which this kind does not speak: for AMQP 0-9-1 with TLS write `amqps://…`",
            ),
            ("amqp://a:5672;amqp://b:5672", "this is a list of URLs: configure a check for each"),
            ("amqp://app:pw@a,b/orders", "the URL has several hosts: configure a check for each"),
            ("amqp://app:pw@mq/%FF", "the vhost in the URL is not UTF-8 after percent-decoding"),
        ] {
            let message = refused(url);
            assert_eq!(message, hint, "{url}");
            // The redactor would mask a part of our own hint.
            assert_eq!(crate::contract::strip_user_info(&message), message);
        }
    }

    #[test]
    fn parameters_without_effect_are_named() {
        let named = |url: &str| parse(url).warnings.into_iter().map(|warning| warning.message).collect::<Vec<_>>();
        let says = |name: &str| format!("the parameter `{name}` of the URL has no effect here");
        assert_eq!(named("amqp://mq?frameMax=0&connection_timeout=30"), [says("frameMax"), says("connection_timeout")]);
        assert_eq!(named("amqp://mq?cacertfile=/ca.pem"), [says("cacertfile")], "without TLS");
        assert_eq!(named("amqps://mq?cacertfile=/ca.pem&heartbeat=5"), [""; 0]);
        assert_eq!(named("amqp://mq?heartbeet=5"), [format!("{}; did you mean `heartbeat`?", says("heartbeet"))]);
    }

    #[test]
    fn tls_parameters_have_the_meaning_of_the_keys_that_are_not_set() {
        let tls =
            parse("amqps://mq?cacertfile=/ca.pem&certfile=/c.pem&keyfile=/k.pem&verify=verify_peer&server_name_indication=mq.internal").tls;
        assert_eq!(tls.ca_file, Some("/ca.pem".into()));
        assert_eq!((tls.client_certificate_file, tls.client_key_file), (Some("/c.pem".into()), Some("/k.pem".into())));
        assert_eq!((tls.verify, tls.server_name.as_deref()), (None, Some("mq.internal")));

        let both = parse("amqps://mq?cafile=/ca.pem&certfile=/both.pem").tls;
        assert_eq!(both.client_key_file, Some("/both.pem".into()), "Python's clients read both from one file");
        for unverified in ["amqps://mq?verify=verify_none&cacertfile=/ca.pem", "amqps://mq?no_verify_ssl=1"] {
            let tls = parse(unverified).tls;
            assert_eq!((tls.verify, tls.ca_file), (Some(Verify::None), None), "{unverified}");
        }
        let any_name = parse("amqps://mq?cacertfile=/ca.pem&server_name_indication=disable").tls;
        assert_eq!((any_name.verify, any_name.server_name), (Some(Verify::Ca), None));

        let keys = TlsKeys { ca_file: Some("/key.pem".into()), ..TlsKeys::default() };
        let both = AmqpUrl::parse("url", &Secret::new("amqps://mq?verify=verify_none&cacertfile=/url.pem"), keys).expect("a URL").tls;
        assert_eq!((both.ca_file, both.verify), (Some("/key.pem".into()), None), "the keys count more");
    }
}
