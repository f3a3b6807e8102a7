//! What an HTTP answer shows of the mistakes that are made behind load balancers.

use std::net::IpAddr;
use url::Url;

/// Whether the server says, without TLS, that it wants TLS: in the words of nginx, Apache httpd and Go's net/http.
#[must_use]
pub fn wants_tls(body: &[u8]) -> bool {
    says(
        body,
        &[
            "The plain HTTP request was sent to HTTPS port",
            "speaking plain HTTP to an SSL-enabled server port",
            "Client sent an HTTP request to an HTTPS server",
        ],
    )
}

/// Whether the server requires a client certificate: in the words of nginx, which asks for one and refuses the request without it.
#[must_use]
pub fn requires_client_certificate(body: &[u8]) -> bool {
    says(body, &["No required SSL certificate was sent"])
}

/// Whether Django says which setting keeps the `Host` out: it does so only where DEBUG is on.
#[must_use]
pub fn names_allowed_hosts(body: &[u8]) -> bool {
    says(body, &["ALLOWED_HOSTS"])
}

/// Whether the answer is that of a protection against forged requests: in the words of Django and others, and not by the name of a field
/// that every form of Django's has.
#[must_use]
pub fn protects_from_csrf(body: &[u8]) -> bool {
    says(body, &["CSRF verification failed", "CSRF token", "CSRF cookie"])
}

/// Whether a host is an address, or the name that every machine gives itself: nobody's users call an app by it.
#[must_use]
pub fn is_address(host: &str) -> bool {
    host == "localhost" || host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
}

/// Whether a request for a path, sent without TLS, is redirected to the same path with it.
#[must_use]
pub fn redirects_to_https(path: &str, location: &str) -> bool {
    Url::parse(location).is_ok_and(|location| location.scheme() == "https" && location.path() == path)
}

fn says(body: &[u8], any_of: &[&str]) -> bool {
    let body = String::from_utf8_lossy(body).to_ascii_lowercase();
    any_of.iter().any(|words| body.contains(&words.to_ascii_lowercase()))
}
