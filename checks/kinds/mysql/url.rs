//! The URL of a server, in the forms and with the parameters of the usual client libraries.

use super::mode::{TlsMode, TlsWords};
use crate::{
    contract::{prelude::*, unwrapped},
    wire::url,
};
use ::url::Url;
use percent_encoding::percent_decode_str;
use sqlx_core::net::tls::CertificateInput;
use sqlx_mysql::MySqlConnectOptions;
use std::{borrow::Cow, path::PathBuf};

/// Everything that a URL says.
pub(super) struct ParsedUrl {
    /// Where and as which user to log in.
    pub(super) options: MySqlConnectOptions,
    pub(super) has_password: bool,
    pub(super) mode: TlsMode,
    pub(super) roots: Option<CertificateInput>,
    pub(super) certificate: Option<CertificateInput>,
    pub(super) key: Option<CertificateInput>,
    pub(super) warnings: Vec<ConfigWarning>,
}

/// Parses the key `url`. `schemes` are those of the kind.
///
/// # Errors
///
/// What is wrong with the URL, or what in it concerns where or how safely to connect, and is not supported.
pub(super) fn parse(text: &Secret, schemes: &[&'static str]) -> Result<ParsedUrl, InvalidConfig> {
    let Form { text, mut socket, has_host } = form(text.expose().trim());
    let schemes: Vec<_> = schemes.iter().map(|scheme| (*scheme, "mysql")).collect();
    let url = url::parse("url", &Secret::new(text), &schemes)?;
    let host = decoded(url.host_str().unwrap_or_default())?;
    if host.starts_with('/') {
        socket = Some(PathBuf::from(&*host));
    }
    let mut parameters = Parameters { username: decoded(url.username())?.into_owned(), ..Parameters::default() };
    parameters.password = url.password().map(decoded).transpose()?.map(Cow::into_owned);
    for (name, value) in url.query_pairs() {
        parameters.read(&name, &value)?;
    }
    let socket = parameters.socket.take().or(socket);
    if socket.is_none() && (!has_host || host.is_empty()) {
        return Err(InvalidConfig::new("url", "has no host: write one, or the socket as `?unix_socket=/run/mysqld/mysqld.sock`"));
    }
    if socket.is_none() && host.contains(',') {
        return Err(InvalidConfig::new("url", "the URL has several hosts: configure a check for each"));
    }
    let mut options = MySqlConnectOptions::new().host(&host);
    if let Some(port) = url.port() {
        options = options.port(port);
    }
    if let Some(socket) = socket {
        options = options.socket(socket);
    }
    let database = decoded(url.path().trim_start_matches('/'))?;
    if !database.is_empty() {
        options = options.database(&database);
    }
    parameters.finish(options, &url)
}

fn decoded(text: &str) -> Result<Cow<'_, str>, InvalidConfig> {
    percent_decode_str(text).decode_utf8().map_err(|_| InvalidConfig::new("url", "is not UTF-8 after percent-decoding"))
}

/// A URL as `url::parse` accepts it.
struct Form {
    text: String,
    socket: Option<PathBuf>,
    has_host: bool,
}

/// Rewrites what is not a URL in the strict sense: `jdbc:mysql://`, Go's `user@tcp(host:3306)` and `user@unix(/path)`, and an empty host,
/// which is usual with a socket.
fn form(text: &str) -> Form {
    let text = unwrapped(text);
    let unchanged = || Form { text: text.to_owned(), socket: None, has_host: true };
    let Some((scheme, rest)) = text.split_once("://") else { return unchanged() };
    let with_host = |login: &str, host: &str, rest: &str| format!("{scheme}://{login}{host}{rest}");
    for (network, is_socket) in [("tcp(", false), ("unix(", true)] {
        let start = if rest.starts_with(network) { Some(0) } else { rest.find(&format!("@{network}")).map(|at| at + 1) };
        let parts = start.and_then(|start| Some((&rest[..start], rest[start + network.len()..].split_once(')')?)));
        if let Some((login, (inner, rest))) = parts {
            return if is_socket {
                Form { text: with_host(login, LOCALHOST, rest), socket: Some(PathBuf::from(inner)), has_host: true }
            } else {
                Form { text: with_host(login, inner, rest), socket: None, has_host: true }
            };
        }
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
    if host < end && !rest[host..end].starts_with(':') {
        return unchanged();
    }
    Form { text: with_host(&rest[..host], LOCALHOST, &rest[host..]), socket: None, has_host: false }
}

const LOCALHOST: &str = "localhost";

/// What the parameters of a URL say.
#[derive(Default)]
struct Parameters {
    username: String,
    password: Option<String>,
    socket: Option<PathBuf>,
    charset: Option<String>,
    collation: Option<String>,
    roots: Option<(String, CertificateInput)>,
    certificate: Option<CertificateInput>,
    key: Option<CertificateInput>,
    words: TlsWords,
    /// Names of parameters with an effect, or with a warning of their own.
    known: Vec<String>,
    warnings: Vec<ConfigWarning>,
}

impl Parameters {
    fn read(&mut self, name: &str, value: &str) -> Result<(), InvalidConfig> {
        // `ssl-ca`, `ssl_ca`, `sslca` and `sslCA` are the spellings of different libraries.
        let key: String = name.to_ascii_lowercase().chars().filter(|letter| !"-_".contains(*letter)).collect();
        let owned = || value.to_owned();
        match key.as_str() {
            "socket" | "unixsocket" | "socketpath" | "localsocket" => self.socket = Some(PathBuf::from(value)),
            "user" | "username" => self.username = owned(),
            "password" | "passwd" => self.password = Some(owned()),
            // Go takes a list, and Node.js the name of a collation, which begins with that of its character set.
            "charset" => {
                let first = word(name, value.split(',').next().unwrap_or(value))?;
                self.charset = first.split('_').next().map(str::to_owned);
                self.collation = self.collation.take().or(Some(first).filter(|first| first.contains('_')));
            }
            "collation" => self.collation = Some(word(name, value)?),
            "sslca" | "serversslcert" => self.roots = Some((name.to_owned(), owned().into())),
            "sslcert" => self.certificate = Some(owned().into()),
            "sslkey" => self.key = Some(owned().into()),
            "allowcleartextpasswords" | "enablecleartextplugin" => {
                let message = format!("the parameter `{name}` of the URL has no effect here: write `allow_cleartext_password = true`");
                self.warnings.push(ConfigWarning::new("url", message));
            }
            key => match refusal(key) {
                Some(instead) => return Err(InvalidConfig::new("url", format!("the parameter `{name}` is not supported: {instead}"))),
                None if !self.words.read(key, name, value)? => return Ok(()),
                None => {}
            },
        }
        self.known.push(name.to_owned());
        Ok(())
    }

    fn finish(mut self, mut options: MySqlConnectOptions, url: &Url) -> Result<ParsedUrl, InvalidConfig> {
        if !self.username.is_empty() {
            options = options.username(&self.username);
        }
        if let Some(password) = &self.password {
            options = options.password(password);
        }
        if let Some(charset) = &self.charset {
            options = options.charset(charset);
        }
        if let Some(collation) = &self.collation {
            options = options.collation(collation);
        }
        // Prisma calls the file of the CA `sslcert`; for the others it is the client's certificate, which needs a key.
        if self.key.is_none() && self.roots.is_none() {
            self.roots = self.certificate.take().map(|file| ("sslcert".to_owned(), file));
        }
        let mode = self.words.mode()?;
        if let (Some(reason), Some((name, _))) = (&mode.unverified_by, &self.roots) {
            let message = format!("the parameter `{name}` of the URL has no effect, because `{reason}` turns verification off");
            self.warnings.push(ConfigWarning::new("url", message));
            self.roots = None;
        }
        let known: Vec<_> = self.known.iter().map(String::as_str).chain(USUAL.iter().copied()).collect();
        let warnings = url::without_effect("url", url, &known).into_iter().chain(self.warnings).collect();
        let has_password = self.password.is_some();
        let (certificate, key, roots) = (self.certificate, self.key, self.roots.map(|(_, file)| file));
        Ok(ParsedUrl { options, has_password, mode, roots, certificate, key, warnings })
    }
}

/// The usual spellings, which a misspelled parameter is compared with.
const USUAL: &[&str] =
    &["charset", "collation", "socket", "ssl-ca", "ssl-cert", "ssl-key", "ssl-mode", "ssl_ca", "ssl_mode", "sslmode", "unix_socket"];

/// The driver puts the value into a statement.
fn word(name: &str, value: &str) -> Result<String, InvalidConfig> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Ok(value.to_owned());
    }
    Err(InvalidConfig::new("url", format!("the value of `{name}` is not a name: write `charset=utf8mb4`")))
}

/// What to write instead of a parameter that concerns where or how safely to connect, and has no counterpart here.
fn refusal(key: &str) -> Option<&'static str> {
    Some(match key {
        "host" | "hostname" | "hostaddr" | "port" => "write the host and port before the path of the URL",
        "sslcapath" => "name the file of the CA in `tls.ca_file`",
        "sslidentity" | "sslpassword" | "certificatefile" | "keystore" | "clientcertificatekeystoreurl" => {
            "convert the key store to PEM, and name the files in `tls.client_certificate_file` and `tls.client_key_file`"
        }
        "truststore" | "trustcertificatekeystoreurl" => "convert the trust store to PEM, and name the file in `tls.ca_file`",
        "readdefaultfile" | "readdefaultgroup" | "defaultsfile" | "defaultfile" | "optionfiles" => {
            "option files are not read: write the settings here"
        }
        "socketfactory" | "cloudsqlinstance" => {
            "Cloud SQL's connector is a part of the application: use the Cloud SQL Auth Proxy, or the address of the server"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sql::server::encryption::Encryption, wire::tls::Verify};

    const SCHEMES: &[&str] = &["mysql", "mysql2", "trilogy"];

    fn parsed(url: &str) -> ParsedUrl {
        parse(&Secret::new(url), SCHEMES).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn refused(url: &str) -> String {
        let error = parse(&Secret::new(url), SCHEMES).err().unwrap_or_else(|| panic!("{url} is accepted"));
        error.message.into_owned()
    }

    fn place(url: &str) -> String {
        let options = parsed(url).options;
        match options.get_socket() {
            Some(path) => path.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        }
    }

    #[test]
    fn hosts_and_sockets_in_every_form() {
        for (url, expected) in [
            ("mysql://app:pw@db.internal/orders", "db.internal:3306"),
            ("mysql+pymysql://app@db:3307/orders?charset=utf8mb4", "db:3307"),
            ("jdbc:mysql://db:3307/orders?user=app&password=pw", "db:3307"),
            ("mysql://app:pw@tcp(db:3307)/orders", "db:3307"),
            ("mysql://app@[::1]:3307/orders", "[::1]:3307"),
            ("mysql://app@localhost/orders?socket=/run/mysqld/mysqld.sock", "/run/mysqld/mysqld.sock"),
            ("mysql+aiomysql://app@localhost/orders?unix_socket=/run/mysqld/mysqld.sock", "/run/mysqld/mysqld.sock"),
            ("mysql://app:pw@/orders?socketPath=/run/mysqld/mysqld.sock", "/run/mysqld/mysqld.sock"),
            ("mysql:///orders?unix_socket=/cloudsql/project:region:name", "/cloudsql/project:region:name"),
            ("mysql2://app@%2Frun%2Fmysqld%2Fmysqld.sock/orders", "/run/mysqld/mysqld.sock"),
            ("trilogy://app:pw@unix(/run/mysqld/mysqld.sock)/orders", "/run/mysqld/mysqld.sock"),
        ] {
            assert_eq!(place(url), expected, "{url}");
        }
    }

    #[test]
    fn what_names_no_single_place_is_refused_with_what_to_write() {
        for (url, hint) in [
            ("mysql:///orders", "has no host: write one, or the socket as `?unix_socket=/run/mysqld/mysqld.sock`"),
            ("mysql://app:pw@/orders", "has no host: write one, or the socket as `?unix_socket=/run/mysqld/mysqld.sock`"),
            ("mysql://app:pw@:3306/orders", "has no host: write one, or the socket as `?unix_socket=/run/mysqld/mysqld.sock`"),
            ("mysql://a,b/orders", "the URL has several hosts: configure a check for each"),
            ("mysql://a:1,b:2/orders", "the URL has several hosts: configure a check for each"),
            ("mysql://db/orders?host=other", "the parameter `host` is not supported: write the host and port before the path of the URL"),
            (
                "mysql://db/orders?ssl_capath=/etc/ssl",
                "the parameter `ssl_capath` is not supported: name the file of the CA in `tls.ca_file`",
            ),
            (
                "mysql://db/orders?read_default_file=/etc/my.cnf",
                "the parameter `read_default_file` is not supported: option files are not read: write the settings here",
            ),
            ("mysql://db/orders?charset=utf8%27", "the value of `charset` is not a name: write `charset=utf8mb4`"),
        ] {
            assert_eq!(refused(url), hint, "{url}");
        }
    }

    #[test]
    fn a_parameter_without_effect_is_named() {
        let warnings = |url: &str| parsed(url).warnings.into_iter().map(|warning| warning.message.into_owned()).collect::<Vec<_>>();
        assert_eq!(
            warnings("mysql2://db/orders?pool=5&encoding=utf8mb4&ssl_mdoe=verify_identity&timezone=Z"),
            [
                "the parameter `pool` of the URL has no effect here",
                "the parameter `encoding` of the URL has no effect here",
                "the parameter `ssl_mdoe` of the URL has no effect here",
                "the parameter `timezone` of the URL has no effect here",
            ]
        );
        assert_eq!(
            warnings("mysql://db/orders?ssl_ca=/ca.pem&ssl_verify_cert=false"),
            ["the parameter `ssl_ca` of the URL has no effect, because `ssl_verify_cert` turns verification off"]
        );
        assert_eq!(
            warnings("mysql://db/orders?allowCleartextPasswords=true"),
            ["the parameter `allowCleartextPasswords` of the URL has no effect here: write `allow_cleartext_password = true`"]
        );
        assert!(warnings("mysql://db/orders?sslMode=VERIFY_CA&ssl-ca=/ca.pem&charset=utf8mb4,utf8").is_empty());
    }

    #[test]
    fn a_character_set_may_be_a_list_or_a_collation() {
        let names = |url: &str| {
            let options = parsed(url).options;
            (options.get_charset().to_owned(), options.get_collation().map(str::to_owned))
        };
        assert_eq!(names("mysql://db/orders?charset=utf8mb4,utf8"), ("utf8mb4".to_owned(), None));
        assert_eq!(names("mysql://db/orders?charset=UTF8_GENERAL_CI"), ("UTF8".to_owned(), Some("UTF8_GENERAL_CI".to_owned())));
    }

    #[test]
    fn a_certificate_without_a_key_is_that_of_the_authority_as_prisma_calls_it() {
        let prisma = parsed("mysql://db/orders?sslaccept=strict&sslcert=/ca.pem");
        assert!(prisma.roots.is_some() && prisma.certificate.is_none());
        assert_eq!((prisma.mode.encryption, prisma.mode.verify), (Encryption::Always, Verify::Full));
        let client = parsed("mysql://db/orders?sslca=/ca.pem&sslcert=/cert.pem&sslkey=/key.pem");
        assert!(client.roots.is_some() && client.certificate.is_some() && client.key.is_some());
    }
}
