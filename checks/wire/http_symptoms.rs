//! Recognises in an HTTP response the usual mistakes of applications behind load balancers.

use std::net::IpAddr;
use url::Url;

/// Whether the server says, over plaintext, that it expects TLS: in the words of nginx, Apache httpd, Tomcat and Go's net/http.
#[must_use]
pub fn requires_tls(body: &[u8]) -> bool {
    says(
        body,
        &[
            "The plain HTTP request was sent to HTTPS port",
            "speaking plain HTTP to an SSL-enabled server port",
            "Client sent an HTTP request to an HTTPS server",
            "This combination of host and port requires TLS",
        ],
    )
}

/// Whether the server requires a client certificate: nginx rejects the request without one with this text.
#[must_use]
pub fn requires_client_certificate(body: &[u8]) -> bool {
    says(body, &["No required SSL certificate was sent"])
}

/// Whether Django names the setting that rejects the `Host` header. It does so only with DEBUG.
#[must_use]
pub fn names_allowed_hosts(body: &[u8]) -> bool {
    says(body, &["ALLOWED_HOSTS"])
}

/// Whether the server says that it rejects the `Host` header: in the words of Django with DEBUG, Starlette and webpack, Werkzeug, Rails,
/// `Rack::Protection`, Vite, and HTTP.sys.
#[must_use]
pub fn rejects_host(body: &[u8]) -> bool {
    names_allowed_hosts(body)
        || says(
            body,
            &[
                "Invalid host header",
                "&#39; is not trusted",
                "Blocked host",
                "Host not permitted",
                "This host (",
                "Bad Request - Invalid Hostname",
            ],
        )
}

/// Whether a proxy says that it has no server for the request: in the words of Envoy, `HAProxy` and Traefik.
#[must_use]
pub fn has_no_upstream(body: &[u8]) -> bool {
    says(body, &["no healthy upstream", "upstream connect error", "No server is available to handle this request", "no available server"])
}

/// Whether the response comes from a CSRF protection, in the words of Django and others. The name of the form field does not count: every
/// form of Django has it.
#[must_use]
pub fn protects_from_csrf(body: &[u8]) -> bool {
    says(body, &["CSRF verification failed", "CSRF token", "CSRF cookie"])
}

/// Whether a host is an IP address or `localhost`, under which no user calls an application.
#[must_use]
pub fn is_address(host: &str) -> bool {
    host == "localhost" || host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
}

/// Whether a plaintext request for a path is redirected to the same path over HTTPS.
#[must_use]
pub fn redirects_to_https(path: &str, location: &str) -> bool {
    Url::parse(location).is_ok_and(|location| location.scheme() == "https" && location.path() == path)
}

fn says(body: &[u8], any_of: &[&str]) -> bool {
    let body = String::from_utf8_lossy(body).to_ascii_lowercase();
    any_of.iter().any(|words| body.contains(&words.to_ascii_lowercase()))
}
