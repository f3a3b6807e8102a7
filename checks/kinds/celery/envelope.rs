//! The wrapping of messages in Redis, which has no headers of its own.
//!
//! Source: `kombu/transport/virtual/base.py`.

use super::pidbox::{CONTENT_TYPE, WorkerReply, unique};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::json;

/// Wraps a message to an exchange as kombu does.
pub(super) fn pack(body: &str, exchange: &str) -> String {
    json!({
        "body": BASE64_STANDARD.encode(body),
        "content-type": CONTENT_TYPE,
        "content-encoding": "utf-8",
        "headers": {},
        "properties": {
            "delivery_mode": 1,
            "delivery_info": { "exchange": exchange, "routing_key": "" },
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": unique(),
        },
    })
    .to_string()
}

#[derive(Deserialize)]
struct Wrapping {
    body: String,
    headers: Headers,
    properties: Properties,
}

#[derive(Deserialize)]
struct Headers {
    ticket: Option<String>,
}

#[derive(Deserialize)]
struct Properties {
    body_encoding: Option<String>,
}

/// The message inside kombu's wrapping. An event has no ticket.
pub(super) fn unpack(message: &[u8]) -> Option<WorkerReply> {
    let Wrapping { body, headers, properties } = serde_json::from_slice(message).ok()?;
    let body = if properties.body_encoding.as_deref() == Some("base64") { BASE64_STANDARD.decode(body).ok()? } else { body.into_bytes() };
    Some(WorkerReply { ticket: headers.ticket, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_message_can_be_unpacked() {
        let reply = unpack(pack("{\"a\": 1}", "celery.pidbox").as_bytes()).expect("a message");
        assert_eq!((reply.ticket, reply.body.as_slice()), (None, b"{\"a\": 1}".as_slice()));
    }

    #[test]
    fn a_message_may_be_plain_and_the_placeholder_is_not_a_message() {
        let plain = unpack(br#"{"body": "{}", "headers": {"ticket": "t"}, "properties": {}}"#).expect("a message");
        assert_eq!((plain.ticket.as_deref(), plain.body.as_slice()), (Some("t"), b"{}".as_slice()));
        assert!(unpack(b"").is_none() && unpack(br#"{"body": 7}"#).is_none());
    }
}
