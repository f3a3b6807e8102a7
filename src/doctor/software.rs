//! The software behind a response, if the response identifies it, and the settings to change in it.

use super::response::PollResponse;
use hyper::header::{HeaderName, SERVER};

/// Software with settings of its own against a fault. Frameworks first: a proxy in front of one often leaves their marks in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Software {
    Django,
    Express,
    Flask,
    Rails,
    Starlette,
    Tomcat,
    Apache,
    Caddy,
    Envoy,
    Nginx,
}

/// What a setting has to achieve for the health check path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Any Host header is accepted.
    AllowHost,
    /// No redirect to HTTPS.
    StayWithHttp,
    /// No authentication.
    AllowAnonymous,
    /// No access rule applies.
    AllowAccess,
}

/// Django's page for a request that it finds suspicious. With DEBUG, the page names the setting instead.
const DJANGO_BAD_REQUEST: &str = "<h1>Bad Request (400)</h1>";

impl Software {
    pub(super) fn identify(response: &PollResponse) -> Option<Self> {
        let header = |name| response.header(HeaderName::from_static(name)).unwrap_or_default();
        let server = response.header(SERVER).unwrap_or_default();
        let body = String::from_utf8_lossy(&response.body);
        let marks = [
            (Self::Django, body.contains(DJANGO_BAD_REQUEST) || body.contains("ALLOWED_HOSTS")),
            (Self::Express, header("x-powered-by") == "Express"),
            (Self::Flask, server.starts_with("Werkzeug/") || body.contains("&#39; is not trusted")),
            (Self::Rails, (!header("x-request-id").is_empty() && !header("x-runtime").is_empty()) || body.contains("Blocked host: ")),
            (Self::Starlette, server == "uvicorn" || body == "Invalid host header"),
            (Self::Tomcat, body.contains("<h3>Apache Tomcat/") || body.contains("This combination of host and port requires TLS")),
            (Self::Apache, server.starts_with("Apache")),
            (Self::Caddy, server == "Caddy"),
            (Self::Envoy, server.ends_with("envoy")),
            (Self::Nginx, server.starts_with("nginx") || server.starts_with("openresty")),
        ];
        marks.into_iter().find_map(|(software, is_marked)| is_marked.then_some(software))
    }

    /// Whether it is a proxy, behind which other software may have sent the response.
    const fn is_proxy(self) -> bool {
        matches!(self, Self::Apache | Self::Caddy | Self::Envoy | Self::Nginx)
    }

    /// The settings that achieve something for a path.
    fn settings(self, remedy: Remedy, path: &str) -> Vec<String> {
        if self.is_proxy() { self.proxy_settings(remedy, path) } else { self.framework_settings(remedy, path) }
    }

    fn framework_settings(self, remedy: Remedy, path: &str) -> Vec<String> {
        let exempt = path.trim_start_matches('/');
        match (self, remedy) {
            (Self::Django, Remedy::AllowHost) => vec![
                format!("Django: respond to `{path}` in a middleware above SecurityMiddleware and CommonMiddleware, which validate the Host \
                         header."),
                "Django: add the machine's own address to ALLOWED_HOSTS at startup: a load balancer sends the target's address, an NLB \
                 its own."
                    .to_owned(),
            ],
            (Self::Django, Remedy::StayWithHttp) => vec![format!("Django: SECURE_REDIRECT_EXEMPT = [r\"^{exempt}$\"].")],
            (Self::Django, Remedy::AllowAnonymous) => {
                vec![format!("Django: add `@login_not_required` to the view of `{path}`, or remove `@login_required` from it.")]
            }
            (Self::Express, Remedy::StayWithHttp | Remedy::AllowAnonymous) => {
                vec![format!("Express: define the route `{path}` above the middleware that redirects or requires a login.")]
            }
            (Self::Flask, Remedy::AllowHost) => vec![
                "Flask: add the machine's own address to TRUSTED_HOSTS at startup: a load balancer sends the target's address, an NLB its own."
                    .to_owned(),
            ],
            (Self::Flask, Remedy::StayWithHttp) => {
                vec!["Flask-Talisman: add `@talisman(force_https=False)` to the view.".to_owned()]
            }
            (Self::Flask, Remedy::AllowAnonymous) => {
                vec![format!("Flask: let `before_request` pass `{path}`, or remove `@login_required` from its view.")]
            }
            (Self::Rails, Remedy::AllowHost | Remedy::AllowAccess) => vec![format!(
                "Rails: config.host_authorization = {{ exclude: ->(request) {{ request.path == \"{path}\" }} }}, if `config.hosts` is set."
            )],
            (Self::Rails, Remedy::StayWithHttp) => vec![format!(
                "Rails: config.ssl_options = {{ redirect: {{ exclude: ->(request) {{ request.path == \"{path}\" }} }} }}."
            )],
            (Self::Rails, Remedy::AllowAnonymous) => {
                vec![format!("Rails: add `skip_before_action` for the authentication of `{path}` to its controller.")]
            }
            (Self::Starlette, Remedy::AllowHost) => vec![
                "FastAPI, Starlette: add the machine's own address to `allowed_hosts` of TrustedHostMiddleware at startup: a load balancer \
                 sends the target's address, an NLB its own."
                    .to_owned(),
                format!("FastAPI, Starlette: respond to `{path}` in a middleware that is added after TrustedHostMiddleware, and so runs \
                         before it."),
            ],
            (Self::Starlette, Remedy::StayWithHttp) => vec![format!(
                "FastAPI, Starlette: HTTPSRedirectMiddleware exempts no path: respond to `{path}` in a middleware that is added after it, and \
                 so runs before it."
            )],
            (Self::Starlette, Remedy::AllowAnonymous) => {
                vec![format!("FastAPI: declare `{path}` on a router without the security dependency.")]
            }
            (Self::Tomcat, Remedy::StayWithHttp) => vec![format!(
                "Tomcat: exempt `{path}` from the security constraint with CONFIDENTIAL. Spring Security: from `requiresSecure()`."
            )],
            (Self::Tomcat, Remedy::AllowAnonymous | Remedy::AllowAccess) => vec![format!(
                "Tomcat: exempt `{path}` from the security constraint and from RemoteAddrValve. Spring Security: \
                 `requestMatchers(\"{path}\").permitAll()`."
            )],
            _ => Vec::new(),
        }
    }

    fn proxy_settings(self, remedy: Remedy, path: &str) -> Vec<String> {
        match (self, remedy) {
            (Self::Apache, Remedy::AllowHost) => {
                vec![format!("Apache: the first virtual host of a port serves unknown hosts: serve `{path}` there.")]
            }
            (Self::Apache, Remedy::StayWithHttp) => {
                vec![format!("Apache: add `RewriteCond %{{REQUEST_URI}} !^{path}$` before the RewriteRule that redirects.")]
            }
            (Self::Apache, Remedy::AllowAnonymous | Remedy::AllowAccess) => {
                vec![format!("Apache: add `<Location \"{path}\">` with `Require all granted`.")]
            }
            (Self::Caddy, Remedy::AllowHost | Remedy::StayWithHttp) => vec![format!(
                "Caddy: add the site `http://` with a response to `{path}`: it serves every Host that no other site matches, without a redirect."
            )],
            (Self::Caddy, Remedy::AllowAnonymous) => {
                vec![format!("Caddy: give `basic_auth` a matcher that excludes `{path}`.")]
            }
            (Self::Envoy, Remedy::AllowHost) => {
                vec![format!("Envoy: add a virtual host with `domains: [\"*\"]` and a route for `{path}`.")]
            }
            (Self::Envoy, Remedy::StayWithHttp) => {
                vec![format!("Envoy: `require_tls` exempts no path: use a route with `https_redirect`, after one for `{path}`.")]
            }
            (Self::Envoy, Remedy::AllowAccess) => {
                vec![format!("Envoy: allow `{path}` in the RBAC or external authorization filter.")]
            }
            (Self::Nginx, Remedy::AllowHost) => vec![format!(
                "nginx: add `location = {path}` to the server with `listen … default_server`, with a `proxy_set_header Host` that the \
                 app accepts."
            )],
            (Self::Nginx, Remedy::StayWithHttp) => {
                vec![format!("nginx: move the `return 301` into `location /`, and add a `location = {path}` without it.")]
            }
            (Self::Nginx, Remedy::AllowAnonymous) => vec![format!("nginx: add `location = {path}` with `auth_basic off;`.")],
            (Self::Nginx, Remedy::AllowAccess) => vec![format!("nginx: add `location = {path}` with `allow all;`.")],
            _ => Vec::new(),
        }
    }
}

/// The settings to change in the software that responded. If that is unknown, or a proxy, those of the `usual` software follow.
pub(super) fn settings(software: Option<Software>, remedy: Remedy, path: &str, usual: &[Software]) -> Vec<String> {
    let others = usual.iter().copied().filter(|usual| software.is_none_or(Software::is_proxy) && Some(*usual) != software);
    software.into_iter().chain(others).flat_map(|software| software.settings(remedy, path)).collect()
}
