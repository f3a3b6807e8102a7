//! The request that a probe sends, and the next one after a redirect.

use super::{Config, expectation::NOT_A_NAME};
use crate::{
    contract::{is_secret_name, prelude::*},
    wire::http1::Origin,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT},
};
use percent_encoding::percent_decode_str;
use url::{Position, Url};

fn origin_of(url: &Url) -> Option<Origin> {
    Some(Origin::new(url.scheme() == "https", url.host_str()?, url.port()))
}

/// Whether a URL has one of the forms of a Unix socket: of requests-unixsocket, Docker's clients and nginx.
pub(super) fn names_unix_socket(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once(':') else { return false };
    let scheme = scheme.to_ascii_lowercase();
    scheme == "unix" || scheme.ends_with("+unix") || (scheme.starts_with("http") && rest.starts_with("//unix:/"))
}

/// One request and the server it goes to.
#[derive(Clone)]
pub(super) struct RequestSpec {
    pub(super) origin: Origin,
    /// As the server sees it: with the scheme of `forwarded_proto` and the host of the `Host` header.
    pub(super) url: Url,
    pub(super) method: Method,
    target: Uri,
    headers: HeaderMap,
}

impl RequestSpec {
    /// The request of a configuration. `accept` is the `Accept` header unless `headers` sets one.
    pub(super) fn new(config: &Config, url: &Url, accept: &'static str) -> Result<Self, InvalidConfig> {
        let origin = origin_of(url).ok_or_else(|| InvalidConfig::new("url", "has no host"))?;
        let target = target(url).ok_or_else(|| InvalidConfig::new("url", "has a path that cannot be sent as it is"))?;
        let method = config.method.parse().map_err(|_| InvalidConfig::new("method", "not a method: write `GET` or `HEAD`"))?;
        let headers = headers(config, url, accept)?;
        let scheme = config.forwarded_proto.as_deref().unwrap_or(url.scheme());
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        // `forwarded_proto` may be another scheme, and `host` may be no valid URL host: then the configured URL is used.
        let seen = Url::parse(&format!("{scheme}://{host}{}", &url[Position::BeforePath..Position::AfterQuery]));
        let url = seen.ok().filter(|seen| matches!(seen.scheme(), "http" | "https")).unwrap_or_else(|| url.clone());
        Ok(Self { origin, url, method, target, headers })
    }

    pub(super) fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// Whether a header is secret, by its name.
    pub(super) fn carries_credentials(&self) -> bool {
        self.headers.iter().any(|(name, value)| value.is_sensitive() && is_secret_name(name.as_str()))
    }

    /// Whether it may be sent twice because it changes nothing: RFC 9110, section 9.2.1.
    pub(super) fn is_safe(&self) -> bool {
        self.method.is_safe()
    }

    /// Whether a plaintext request says that it was HTTPS before the proxy.
    pub(super) fn says_https(&self) -> bool {
        !self.origin.encrypted && self.url.scheme() == "https"
    }

    /// The next request, if the response is a redirect that can be followed.
    ///
    /// For the same server, only the path changes. Another server receives nothing but public headers.
    pub(super) fn redirected(&self, status: StatusCode, headers: &HeaderMap) -> Result<Option<Self>, Failure> {
        use StatusCode as Code;
        let keeps_method = match status {
            Code::TEMPORARY_REDIRECT | Code::PERMANENT_REDIRECT => true,
            Code::MOVED_PERMANENTLY | Code::FOUND | Code::SEE_OTHER => matches!(self.method, Method::GET | Method::HEAD),
            _ => return Ok(None),
        };
        let location = headers.get(LOCATION).and_then(|location| self.url.join(location.to_str().ok()?).ok());
        let Some(url) = location.filter(|url| matches!(url.scheme(), "http" | "https")) else { return Ok(None) };
        let (Some(origin), Some(target)) = (origin_of(&url), target(&url)) else { return Ok(None) };
        let method = if keeps_method { self.method.clone() } else { Method::GET };
        if url.origin() == self.url.origin() {
            return Ok(Some(Self { url, method, target, ..self.clone() }));
        }
        if url.scheme() == "http" && (self.origin.encrypted || self.url.scheme() == "https") {
            return Err(Failure::unhealthy("redirects from https to http, which is not followed"));
        }
        let Ok(host) = HeaderValue::from_str(authority(&url)) else { return Ok(None) };
        let mut headers = HeaderMap::new();
        for name in [USER_AGENT, ACCEPT] {
            // A configured value may be a password for the first server.
            let value = self.headers.get(&name).filter(|value| !value.is_sensitive());
            headers.extend(value.map(|value| (name, value.clone())));
        }
        headers.insert(HOST, host);
        Ok(Some(Self { origin, url, method, target, headers }))
    }
}

/// Host and port, as in the `Host` header.
fn authority(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

fn target(url: &Url) -> Option<Uri> {
    url[Position::BeforePath..Position::AfterQuery].parse().ok()
}

fn headers(config: &Config, url: &Url, accept: &'static str) -> Result<HeaderMap, InvalidConfig> {
    let mut headers = HeaderMap::new();
    let text = |key: &'static str, text: &str| {
        HeaderValue::from_str(text).map_err(|_| InvalidConfig::new(key, "contains characters that a header cannot have"))
    };
    headers.insert(HOST, text("host", config.host.as_deref().unwrap_or_else(|| authority(url)))?);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("allswell/", env!("CARGO_PKG_VERSION"))));
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if let Some(proto) = &config.forwarded_proto {
        headers.insert(HeaderName::from_static("x-forwarded-proto"), text("forwarded_proto", proto)?);
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let username = config.username.clone().unwrap_or_else(|| decoded(url.username()));
    let password = config.password.as_ref().map(|password| password.expose().to_owned()).or_else(|| url.password().map(decoded));
    if !username.is_empty() || password.is_some() {
        let credentials = BASE64_STANDARD.encode(format!("{username}:{}", password.unwrap_or_default()));
        let mut value = text("password", &format!("Basic {credentials}"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    for (name, value) in &config.headers {
        let name: HeaderName = name.parse().map_err(|_| InvalidConfig::new("headers", NOT_A_NAME))?;
        let mut value = text("headers", value.expose())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The request after a redirect: method, host, target, server, and the number of secret headers.
    fn after(config: &serde_json::Value, status: u16, location: &str) -> Result<Option<String>, String> {
        let config: Config = serde_json::from_value(config.clone()).expect("a configuration");
        let spec = RequestSpec::new(&config, &Url::parse(config.url.expose()).expect("a URL"), "*/*").expect("it is valid");
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(location).expect("a value"))]);
        let next =
            spec.redirected(StatusCode::from_u16(status).expect("a status"), &headers).map_err(|failure| failure.message().to_owned())?;
        Ok(next.map(|next| {
            let secrets = next.headers.iter().filter(|(_, value)| value.is_sensitive()).count();
            let Origin { encrypted, address } = &next.origin;
            let host = next.headers[HOST].to_str().expect("text");
            format!("{} {host} {} at {address}{}, {secrets} secrets", next.method, next.target, if *encrypted { " by TLS" } else { "" })
        }))
    }

    #[test]
    fn only_the_same_server_receives_secrets() {
        let with_secrets = json!({ "url": "http://a:b@10.0.0.7:81/x?y", "headers": { "x-token": "t" }, "method": "POST" });
        let next = |location: &str| after(&with_secrets, 302, location).expect("it is followed");
        assert_eq!(next("/login?next=1").as_deref(), Some("GET 10.0.0.7:81 /login?next=1 at 10.0.0.7:81, 2 secrets"));
        assert_eq!(next("http://10.0.0.7:81/z").as_deref(), Some("GET 10.0.0.7:81 /z at 10.0.0.7:81, 2 secrets"));
        assert_eq!(next("http://10.0.0.7/z").as_deref(), Some("GET 10.0.0.7 /z at 10.0.0.7:80, 0 secrets"), "another port");
        assert_eq!(next("https://[::1]/z").as_deref(), Some("GET [::1] /z at [::1]:443 by TLS, 0 secrets"));
        assert_eq!(next("ftp://10.0.0.7:81/z"), None);
    }

    #[test]
    fn a_server_behind_a_name_of_its_own_is_the_same_server() {
        let behind =
            json!({ "url": "http://10.0.0.7:81/x", "host": "www.example.com", "forwarded_proto": "https", "headers": { "x-token": "t" } });
        let next = |location: &str| after(&behind, 301, location);
        assert_eq!(
            next("https://www.example.com/y").expect("it is followed").as_deref(),
            Some("GET www.example.com /y at 10.0.0.7:81, 1 secrets")
        );
        assert_eq!(next("http://www.example.com/y"), Err("redirects from https to http, which is not followed".to_owned()));
    }

    #[test]
    fn urls_of_unix_sockets_are_recognised() {
        for url in ["http+unix://%2Frun%2Fapp.sock/health", "HTTPS+unix://x", "unix:///run/app.sock", "http://unix:/run/app.sock:/health"] {
            assert!(names_unix_socket(url), "{url}");
        }
        assert!(!names_unix_socket("http://unix.example/") && !names_unix_socket("http://unix:80/") && !names_unix_socket("unix"));
    }

    #[test]
    fn the_method_is_kept_where_the_status_says_so() {
        let post = json!({ "url": "https://a/x", "method": "POST" });
        for (status, method) in [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")] {
            let next = after(&post, status, "/y").expect("it is followed").expect("it is a redirect");
            assert!(next.starts_with(method), "{status}: {next}");
        }
        assert_eq!(after(&post, 304, "/y"), Ok(None));
    }
}
