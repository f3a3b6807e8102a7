//! Rogue HTTP servers and object storages: they demand credentials, and redirect to another origin.

use super::{
    case::{Case, Left, Request, Way},
    lab::{Lab, PASSWORD, USER},
    peer::{Peer, Rogue},
};
use std::io;

const UNAUTHORIZED: &str =
    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"orders\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const PROXY: &str = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"orders\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

pub(super) fn cases(lab: &Lab) -> Vec<Case> {
    let ways = lab.ways().into_iter().filter(|way| !way.is_local()).collect::<Vec<_>>();
    ways.iter().flat_map(|way| web(lab, way).into_iter().chain(objects(lab, way))).collect()
}

fn web(lab: &Lab, way: &Way) -> Vec<Case> {
    let mut cases = Vec::new();
    for (asked, answer) in [("401 with Basic", UNAUTHORIZED), ("407 with Basic", PROXY)] {
        for (key, user, keys) in [
            ("url", format!("{USER}:{PASSWORD}@"), String::new()),
            ("password", String::new(), format!("username = \"{USER}\"\npassword = \"{PASSWORD}\"\n")),
            ("headers", String::new(), format!("headers = {{ Authorization = \"Bearer {PASSWORD}\" }}\n")),
        ] {
            let server = lab.rogue(way, &lab.socket("http"), move |peer, _| speak(peer, answer));
            let url = format!("http{}://{user}localhost:{}/", way.s(), server.port);
            let table = format!("kind = \"http\"\nurl = \"{url}\"\n{keys}{}", way.keys);
            cases.push(Case::new("http", key, Request::leaves(asked, Left::Password), way, table, server));
        }
    }
    let (here, there) = leading(lab, way);
    let table = format!(
        "kind = \"http\"\nurl = \"http{}://{USER}:{PASSWORD}@localhost:{}/\"\nfollow_redirects = true\n\
         headers = {{ X-Key = \"{PASSWORD}\", Cookie = \"key={PASSWORD}\" }}\n{}",
        way.s(),
        here.port,
        way.keys
    );
    let mut redirected = Request::leaves("redirect to another origin, which is followed", Left::Nothing);
    if way.keys.contains("pinned") {
        // A pin is about one server, and no authority knows the other one.
        redirected = redirected.avoided();
    }
    cases.push(Case::new("http", "headers", redirected, way, table, there).led_by(here));
    cases
}

/// A server that redirects to another one; the first has a proper certificate, where it has one at all.
fn leading(lab: &Lab, way: &Way) -> (Rogue, Rogue) {
    let there = lab.rogue(way, &lab.socket("http"), |peer, _| speak(peer, UNAUTHORIZED));
    let location = format!("http{}://localhost:{}/", way.s(), there.port);
    let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    (lab.rogue(&lab.properly(way), &lab.socket("http"), move |peer, _| speak(peer, &answer)), there)
}

fn objects(lab: &Lab, way: &Way) -> Vec<Case> {
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
        ("azure_blob", "sas_token", shows("the token in the URL"), format!("sas_token = \"sv=1&sig={PASSWORD}\"\n"), PASSWORD.to_owned()),
        ("gcs", "service_account", signs("a signed token"), format!("service_account = '{}'\n", lab.service_account()), lab.private_key()),
    ];
    let mut cases = Vec::new();
    for (kind, key, request, keys, secret) in rows {
        let table = |port: u16| {
            let account = if kind == "azure_blob" { "account = \"orders\"\n" } else { "" };
            let endpoint = format!("http{}://localhost:{port}", way.s());
            format!("kind = \"{kind}\"\nbucket = \"media\"\nendpoint = \"{endpoint}\"\n{account}{keys}{}", way.keys)
        };
        let server = lab.rogue(way, &lab.socket("http"), |peer, _| speak(peer, UNAUTHORIZED));
        cases.push(Case::new(kind, key, request, way, table(server.port), server).hiding(secret.clone()));
        let (here, there) = leading(lab, way);
        let table = table(here.port);
        let redirected = Request::leaves("redirect to another origin, which is not followed", Left::Nothing).avoided();
        cases.push(Case::new(kind, key, redirected, way, table, there).led_by(here).hiding(secret));
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
