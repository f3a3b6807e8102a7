//! The servers of a URL: hosts, addresses, ports and sockets, as libpq reads them.

use super::parameters::{Origin, Parameter, Parameters};
use crate::{
    contract::{prelude::*, unwrapped},
    wire::url,
};
use percent_encoding::percent_decode_str;
use sqlx_postgres::PgConnectOptions;
use std::{net::IpAddr, path::PathBuf};

/// A server to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DatabaseServer {
    /// Its name, which its certificate must have, or the folder of its socket.
    pub(super) host: String,
    /// Its address, if it is not to be looked up.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
    /// Its Unix socket.
    pub(super) socket: Option<PathBuf>,
}

/// A host and a port, as a URL contains them.
type Host = (String, Option<u16>);

const DEFAULT_PORT: u16 = 5432;

/// Parses the URL in the key `url`, in all forms of libpq: without a host, with the folder of a socket, and with several hosts. The
/// prefix of a framework, such as `jdbc:`, is removed. Returns the hosts before its path, too.
///
/// # Errors
///
/// What is wrong with the URL; never the URL itself.
pub(super) fn parse(secret: &Secret, schemes: &[&str]) -> Result<(::url::Url, Vec<Host>), InvalidConfig> {
    let schemes: Vec<_> = schemes.iter().map(|scheme| (*scheme, "postgres")).collect();
    let text = unwrapped(secret.expose().trim());
    let Some((scheme, rest)) = text.split_once("://") else { return Ok((url::parse("url", secret, &schemes)?, Vec::new())) };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (login, hosts) = authority.rsplit_once('@').map_or(("", authority), |(login, hosts)| (login, hosts));
    if !hosts.contains(',') && !hosts.is_empty() && !hosts.starts_with(':') {
        let parsed = url::parse("url", &Secret::new(text), &schemes)?;
        return Ok((parsed, vec![host(hosts)?]));
    }
    let database = path.split(['?', '#']).next().unwrap_or_default();
    if hosts.is_empty() && database.trim_start_matches('/').contains('/') {
        let message = "the folder of a socket belongs in the parameter `host`: write `?host=/folder` after the database";
        return Err(InvalidConfig::new("url", message));
    }
    let at = if login.is_empty() { "" } else { "@" };
    let parsed = url::parse("url", &Secret::new(format!("{scheme}://{login}{at}localhost{path}")), &schemes)?;
    let hosts = if hosts.is_empty() { Vec::new() } else { hosts.split(',').map(host).collect::<Result<_, _>>()? };
    Ok((parsed, hosts))
}

fn host(text: &str) -> Result<Host, InvalidConfig> {
    // In brackets is an IPv6 address, which has colons of its own.
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (text, None),
    };
    let port = port.filter(|port| !port.is_empty()).map(number).transpose()?;
    let name = percent_decode_str(name.trim_start_matches('[').trim_end_matches(']')).decode_utf8();
    Ok((name.map_err(|_| InvalidConfig::new("url", "the host of the URL is not UTF-8"))?.into_owned(), port))
}

fn number(text: &str) -> Result<u16, InvalidConfig> {
    let wrong = || InvalidConfig::new("url", "the port of the URL is not a number from 1 to 65535");
    text.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)
}

/// The servers that the parameters and the hosts of a URL name, at least one.
pub(super) fn servers(hosts: Vec<Host>, parameters: &Parameters) -> Result<Vec<DatabaseServer>, InvalidConfig> {
    let mut hosts = named_hosts(hosts, parameters)?;
    let addresses: Vec<IpAddr> = list(parameters, "hostaddr", |text| text.parse().ok(), "is not an IP address")?;
    if hosts.is_empty() {
        hosts = addresses.iter().map(|address| (address.to_string(), None)).collect();
    }
    if hosts.is_empty() {
        hosts.push((String::new(), None));
    }
    let count = hosts.len();
    let must_match = |parameter: &str, found: usize| match parameters.get(parameter) {
        Some(given) if found > 1 && found != count || parameter == "hostaddr" && found != count && found != 0 => {
            Err(given.invalid("has another number of values than there are hosts"))
        }
        _ => Ok(()),
    };
    let ports = list(parameters, "port", |text| number(text).ok(), "is not a port number")?;
    must_match("port", ports.len())?;
    must_match("hostaddr", addresses.len())?;
    // A port in the host part of the URL is more important than one of a service or the environment.
    let is_url = parameters.get("port").is_some_and(|port| port.origin == Origin::Url);
    let port = |at: usize, own: Option<u16>| {
        let listed = ports.get(at).or_else(|| ports.first()).copied();
        (if is_url { listed.or(own) } else { own.or(listed) }).unwrap_or(DEFAULT_PORT)
    };
    let server = |(at, (host, own_port)): (usize, Host)| {
        let (port, address) = (port(at, own_port), addresses.get(at).copied());
        let host = if host.is_empty() { PgConnectOptions::default_host(port) } else { host };
        if host.starts_with('@') {
            return Err(InvalidConfig::new("url", "a socket in the abstract namespace is not supported: name the folder of a socket"));
        }
        let socket = (host.starts_with('/') && address.is_none()).then(|| PathBuf::from(&host).join(format!(".s.PGSQL.{port}")));
        Ok(DatabaseServer { host, address, port, socket })
    };
    let mut servers = hosts.into_iter().enumerate().map(server).collect::<Result<Vec<_>, _>>()?;
    // pg8000 names the socket itself.
    if let Some(socket) = parameters.value("unix_sock") {
        servers.truncate(1);
        servers[0].socket = Some(socket.into());
    }
    Ok(servers)
}

/// The hosts by the parameter `host` of the URL, which replaces those before its path; or else of a service or the environment.
fn named_hosts(of_url: Vec<Host>, parameters: &Parameters) -> Result<Vec<Host>, InvalidConfig> {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    // SQLAlchemy repeats the parameter and writes the port into it.
    let entry = |text: &str| match text.rsplit_once(':') {
        Some((name, port)) if !text.starts_with('/') && !name.contains(':') && is_port(port) => Ok((name.to_owned(), Some(number(port)?))),
        _ => Ok((text.to_owned(), None)),
    };
    let entries = |found: &Parameter| found.value.split(',').map(entry).collect::<Result<Vec<_>, _>>();
    // The most important parameter is the last one of the URL.
    let in_url = parameters.iter().rev().filter(|found| found.name == "host" && found.origin == Origin::Url);
    let mut parameter = in_url.map(entries).collect::<Result<Vec<_>, _>>()?.concat();
    if !parameter.is_empty() {
        // The ports before the path stay.
        for (at, (_, port)) in parameter.iter_mut().enumerate() {
            let before_path = of_url.get(at).or_else(|| of_url.first().filter(|_| of_url.len() == 1));
            *port = port.or(before_path.and_then(|(_, port)| *port));
        }
        return Ok(parameter);
    }
    if !of_url.is_empty() {
        return Ok(of_url);
    }
    parameters.get("host").map_or_else(|| Ok(Vec::new()), entries)
}

/// The values of a parameter that is a list.
fn list<T>(parameters: &Parameters, name: &str, parse: impl Fn(&str) -> Option<T>, wrong: &'static str) -> Result<Vec<T>, InvalidConfig> {
    let Some(given) = parameters.get(name) else { return Ok(Vec::new()) };
    given.value.split(',').map(|text| parse(text).ok_or_else(|| given.invalid(wrong))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let (url, hosts) = parse(&Secret::new(text), &["postgres", "postgresql"]).map_err(|error| error.message.into_owned())?;
        let found = servers(hosts, &Parameters::of_url(&url)).map_err(|error| error.message.into_owned())?;
        let shown = found.iter().map(|server| match (&server.socket, server.address) {
            (Some(socket), _) => socket.display().to_string(),
            (None, Some(address)) => format!("{}={address}:{}", server.host, server.port),
            (None, None) => format!("{}:{}", server.host, server.port),
        });
        Ok(shown.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_servers_of_a_url_are_those_of_libpq() {
        for (url, servers) in [
            ("postgres://app:pw@db/orders", "db:5432"),
            ("postgresql+psycopg://app:pw@db:6432/orders", "db:6432"),
            ("jdbc:postgresql://db:6432/orders?user=app", "db:6432"),
            ("postgresql://app:pw@/orders?host=/run/db", "/run/db/.s.PGSQL.5432"),
            ("postgresql:///orders?host=/run/db&port=6432", "/run/db/.s.PGSQL.6432"),
            ("postgres://%2Frun%2Fdb/orders", "/run/db/.s.PGSQL.5432"),
            ("postgres://app@%2Frun%2Fdb:6432/orders", "/run/db/.s.PGSQL.6432"),
            ("postgres://app:pw@/orders?host=/cloudsql/project:region:name", "/cloudsql/project:region:name/.s.PGSQL.5432"),
            ("postgres://app:pw@localhost/orders?host=/cloudsql/p:r:n", "/cloudsql/p:r:n/.s.PGSQL.5432"),
            ("postgresql+pg8000://app:pw@/orders?unix_sock=/cloudsql/p:r:n/.s.PGSQL.5432", "/cloudsql/p:r:n/.s.PGSQL.5432"),
            ("postgres://app@a:1,b:2,c/orders", "a:1 b:2 c:5432"),
            ("postgres://a,[::1]:6432/orders?port=7000", "a:7000 ::1:7000"),
            ("postgres://a,b/orders?port=1,2", "a:1 b:2"),
            ("postgresql+psycopg2://app@/orders?host=a:1&host=b:2", "a:1 b:2"),
            ("postgres://db/orders?hostaddr=10.0.0.7", "db=10.0.0.7:5432"),
            ("postgres:///orders?hostaddr=10.0.0.7,10.0.0.8", "10.0.0.7=10.0.0.7:5432 10.0.0.8=10.0.0.8:5432"),
            ("postgres://app:pw@localhost:6432/orders?host=/run/db", "/run/db/.s.PGSQL.6432"),
            ("postgres://app:p@ss@db/orders", "db:5432"),
        ] {
            assert_eq!(read(url).as_deref(), Ok(servers), "{url}");
        }
    }

    #[test]
    fn a_list_that_does_not_match_is_an_error() {
        for (url, message) in [
            ("postgres://a,b,c/orders?port=1,2", "the parameter `port` of the URL has another number of values than there are hosts"),
            (
                "postgres://a,b/orders?hostaddr=10.0.0.7",
                "the parameter `hostaddr` of the URL has another number of values than there are hosts",
            ),
            ("postgres://a/orders?hostaddr=db", "the parameter `hostaddr` of the URL is not an IP address"),
            (
                "postgres://app:pw@/cloudsql/project:region:name/orders",
                "the folder of a socket belongs in the parameter `host`: write `?host=/folder` after the database",
            ),
            ("postgres://a:x,b/orders", "the port of the URL is not a number from 1 to 65535"),
            ("postgres://a/orders?port=x", "the parameter `port` of the URL is not a port number"),
            ("postgres://db:x/orders", "the port of the URL is not a number from 1 to 65535"),
        ] {
            assert_eq!(read(url).map_err(|found| found == message), Err(true), "{url}: {:?}", read(url));
        }
    }
}
