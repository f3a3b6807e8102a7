//! Rogue HTTP servers and object storages: they demand credentials, and redirect to another origin.

use super::{
    case::{LeakCase, Left, Request, Transport},
    lab::{Lab, PASSWORD, USER},
    peer::{Peer, Rogue},
};
use std::io;

const UNAUTHORIZED: &str =
    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"orders\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const PROXY: &str = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"orders\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

pub(super) fn cases(lab: &Lab) -> Vec<LeakCase> {
    let transports = lab.transports().into_iter().filter(|transport| !transport.is_local()).collect::<Vec<_>>();
    transports.iter().flat_map(|transport| web(lab, transport).into_iter().chain(objects(lab, transport))).collect()
}

fn web(lab: &Lab, transport: &Transport) -> Vec<LeakCase> {
    let mut cases = Vec::new();
    for (asked, answer) in [("401 with Basic", UNAUTHORIZED), ("407 with Basic", PROXY)] {
        for (key, user, keys) in [
            ("url", format!("{USER}:{PASSWORD}@"), String::new()),
            ("password", String::new(), format!("username = \"{USER}\"\npassword = \"{PASSWORD}\"\n")),
            ("headers", String::new(), format!("headers = {{ Authorization = \"Bearer {PASSWORD}\" }}\n")),
        ] {
            let server = lab.rogue(transport, &lab.socket("http"), move |peer, _| speak(peer, answer));
            let url = format!("http{}://{user}localhost:{}/", transport.s(), server.port);
            let table = format!("kind = \"http\"\nurl = \"{url}\"\n{keys}{}", transport.keys);
            cases.push(LeakCase::new("http", key, Request::leaves(asked, Left::Password), transport, table, server));
        }
    }
    let (here, there) = leading(lab, transport);
    let table = format!(
        "kind = \"http\"\nurl = \"http{}://{USER}:{PASSWORD}@localhost:{}/\"\nfollow_redirects = true\n\
         headers = {{ X-Key = \"{PASSWORD}\", Cookie = \"key={PASSWORD}\" }}\n{}",
        transport.s(),
        here.port,
        transport.keys
    );
    let mut redirected = Request::leaves("redirect to another origin, which is followed", Left::Nothing);
    if transport.keys.contains("pinned") {
        // A pin fits one server, and no authority has signed the certificate of the other.
        redirected = redirected.avoided();
    }
    cases.push(LeakCase::new("http", "headers", redirected, transport, table, there).led_by(here));
    cases
}

/// A server that redirects to another one. The first has a proper certificate, if it has one.
fn leading(lab: &Lab, transport: &Transport) -> (Rogue, Rogue) {
    let there = lab.rogue(transport, &lab.socket("http"), |peer, _| speak(peer, UNAUTHORIZED));
    let location = format!("http{}://localhost:{}/", transport.s(), there.port);
    let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    (lab.rogue(&lab.properly(transport), &lab.socket("http"), move |peer, _| speak(peer, &answer)), there)
}

fn objects(lab: &Lab, transport: &Transport) -> Vec<LeakCase> {
    let base64 = crate::secrets::base64_of(PASSWORD.as_bytes());
    let keys = |id: &str, secret: &str| format!("access_key_id = \"{id}\"\nsecret_access_key = \"{secret}\"\n");
    let signs = |asked| Request::leaves(asked, Left::Scramble);
    let shows = |asked| Request::leaves(asked, Left::Password);
    let rows = [
        ("s3", "secret_access_key", signs("a signature"), keys("AKIAROGUE", PASSWORD), PASSWORD.to_owned()),
        ("s3", "access_key_id", shows("a signature, and the key's identifier"), keys(PASSWORD, "c2VjcmV0"), PASSWORD.to_owned()),
        (
            "s3",
            "session_token",
            shows("a signature, and the session token"),
            format!("{}session_token = \"{PASSWORD}\"\n", keys("AKIAROGUE", "c2VjcmV0")),
            PASSWORD.to_owned(),
        ),
        ("azure_blob", "access_key", signs("a signature"), format!("access_key = \"{base64}\"\n"), base64.clone()),
        ("azure_blob", "connection_string", signs("a signature"), String::new(), base64.clone()),
        ("azure_blob", "sas_token", shows("the token in the URL"), format!("sas_token = \"sv=1&sig={PASSWORD}\"\n"), PASSWORD.to_owned()),
        ("gcs", "service_account", signs("a signed token"), format!("service_account = '{}'\n", lab.service_account()), lab.private_key()),
    ];
    let mut cases = Vec::new();
    for (kind, key, request, keys, secret) in rows {
        let table = |port: u16| {
            let endpoint = format!("http{}://localhost:{port}", transport.s());
            if key == "connection_string" {
                let string = format!("AccountName=orders;AccountKey={base64};BlobEndpoint={endpoint}");
                return format!("kind = \"{kind}\"\nbucket = \"media\"\nconnection_string = \"{string}\"\n{}", transport.keys);
            }
            let account = if kind == "azure_blob" { "account = \"orders\"\n" } else { "" };
            format!("kind = \"{kind}\"\nbucket = \"media\"\nendpoint = \"{endpoint}\"\n{account}{keys}{}", transport.keys)
        };
        let server = lab.rogue(transport, &lab.socket("http"), |peer, _| speak(peer, UNAUTHORIZED));
        cases.push(LeakCase::new(kind, key, request, transport, table(server.port), server).hiding(secret.clone()));
        let (here, there) = leading(lab, transport);
        let table = table(here.port);
        let redirected = Request::leaves("redirect to another origin, which is not followed", Left::Nothing).avoided();
        cases.push(LeakCase::new(kind, key, redirected, transport, table, there).led_by(here).hiding(secret));
    }
    cases
}

fn speak(peer: &mut Peer, answer: &str) -> io::Result<()> {
    let head = String::from_utf8_lossy(&peer.read_until(b"\r\n\r\n")?).into_owned();
    if ["Signature=", "SharedKey ", "Bearer eyJ"].iter().any(|proof| head.contains(proof)) {
        peer.has_proof();
    }
    peer.write(answer.as_bytes())
}
