//! A rogue AMQP broker: <https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>, section 2.2.4.

use super::{
    case::{LeakCase, Left, Request, contains},
    lab::{Lab, PASSWORD, USER},
    peer::{Encryption, Peer, Rogue},
};
use crate::probing::Probed;
use std::io;

/// The login methods that the broker offers. Our client supports `PLAIN`, which always reveals the password.
const ASKS: [(&str, Request); 4] = [
    ("PLAIN AMQPLAIN EXTERNAL RABBIT-CR-DEMO", Request::leaves("PLAIN AMQPLAIN EXTERNAL RABBIT-CR-DEMO", Left::Password)),
    ("AMQPLAIN", Request::leaves("AMQPLAIN alone", Left::Nothing)),
    ("EXTERNAL", Request::leaves("EXTERNAL alone", Left::Nothing)),
    ("RABBIT-CR-DEMO", Request::leaves("RABBIT-CR-DEMO alone", Left::Nothing)),
];

pub(super) fn cases(lab: &Lab) -> Vec<LeakCase> {
    let mut cases = Vec::new();
    for (mechanisms, request) in ASKS {
        for transport in lab.transports().iter().filter(|transport| !transport.is_local()) {
            for (kind, key) in [("rabbitmq", "url"), ("celery", "broker")] {
                let rogue = || lab.rogue(transport, &lab.socket("amqp"), move |peer, _| speak(peer, mechanisms));
                let server = rogue();
                let url = format!("amqp{}://{USER}:{PASSWORD}@localhost:{}/orders", transport.s(), server.port);
                let table = format!("kind = \"{kind}\"\n{key} = \"{url}\"\n{}", transport.keys);
                cases.push(LeakCase::new(kind, key, request, transport, table, server));
                let server = rogue();
                let url = format!("amqp{}://{USER}@localhost:{}/orders", transport.s(), server.port);
                let table = format!("kind = \"{kind}\"\n{key} = \"{url}\"\npassword = \"{PASSWORD}\"\n{}", transport.keys);
                cases.push(LeakCase::new(kind, "password", request, transport, table, server));
            }
        }
    }
    cases
}

fn speak(peer: &mut Peer, mechanisms: &str) -> io::Result<()> {
    peer.read(b"AMQP\0\0\x09\x01".len())?;
    // Connection.Start of version 0-9, without properties.
    method(peer, &[b"\0\x0a\0\x0a\0\x09\0\0\0\0".to_vec(), long(mechanisms), long("en_US")].concat())?;
    let chosen = frame(peer)?;
    if contains(&chosen, b"\x0eRABBIT-CR-DEMO") {
        // Connection.Secure: the broker requests more.
        method(peer, &[b"\0\x0a\0\x14".to_vec(), long("Please tell me your password")].concat())?;
        frame(peer)?;
    }
    Ok(())
}

fn long(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

fn method(peer: &mut Peer, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    peer.write(&[b"\x01\0\0", &length.to_be_bytes()[..], payload, b"\xce"].concat())
}

/// Reads a frame.
fn frame(peer: &mut Peer) -> io::Result<Vec<u8>> {
    let header = peer.read(7)?;
    let length = u32::from_be_bytes(header[3..].try_into().expect("four bytes"));
    peer.read(length as usize + 1)
}

#[test]
fn a_broker_that_offers_only_another_login_method_is_named() {
    for (mechanisms, hint) in
        [("EXTERNAL", "auth_mechanism=external"), ("AMQPLAIN", "auth_mechanism=amqplain"), ("", "offers no login method")]
    {
        let server = Rogue::new(Encryption::None, move |peer| speak(peer, mechanisms));
        let url = format!("amqp://{USER}:{PASSWORD}@localhost:{}/", server.port);
        let failure = Probed::new(&format!("kind = \"rabbitmq\"\nurl = \"{url}\"\n")).fail();
        assert_eq!(failure.class().as_str(), "rejected");
        assert!(failure.message().contains(hint), "{}", failure.message());
        server.finish();
    }
}
