//! The messages of `grpc.health.v1`, encoded and decoded: protobuf, in the frames of gRPC.

use crate::report::Status;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The whole response to `List`: every service and its status.
pub(in crate::http) fn service_list(statuses: impl IntoIterator<Item = (String, Status)>) -> Bytes {
    let mut message = BytesMut::new();
    for (name, status) in statuses {
        let mut entry = BytesMut::new();
        put_field(&mut entry, 1, name.as_bytes());
        put_field(&mut entry, 2, &health_response(Some(status)));
        put_field(&mut message, 1, &entry);
    }
    framed(&message)
}

/// A `HealthCheckResponse`. Its field 1 is `SERVING` (1), `NOT_SERVING` (2) or, for an unknown service, `SERVICE_UNKNOWN` (3).
pub(super) fn health_response(status: Option<Status>) -> BytesMut {
    let status = match status {
        Some(Status::Pass | Status::Warn) => 1,
        Some(Status::Fail) => 2,
        None => 3,
    };
    BytesMut::from(&[1 << 3, status][..])
}

/// A message in its frame: the flag "not compressed", the length, the message.
pub(super) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    // Names have at most 64 bytes, so it would take millions of components to exceed the length.
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// The message in the body of a request. `None`: it is compressed, or not exactly one.
pub(super) fn unframed(mut body: Bytes) -> Option<Bytes> {
    let compressed = body.try_get_u8().ok()?;
    let length = usize::try_from(body.try_get_u32().ok()?).ok()?;
    (compressed == 0 && body.len() == length).then_some(body)
}

/// The service in a `HealthCheckRequest`: its field 1. Other fields are skipped, since later versions may add some.
pub(super) fn requested_service(mut message: &[u8]) -> Option<String> {
    let mut name = String::new();
    while message.has_remaining() {
        let tag = varint(&mut message)?;
        let length = match tag & 7 {
            0 => {
                varint(&mut message)?;
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (value, rest) = message.split_at_checked(length)?;
        message = rest;
        if tag == 1 << 3 | 2 {
            name = String::from_utf8(value.to_vec()).ok()?;
        }
    }
    Some(name)
}

/// Appends a field of the wire type "length-delimited".
fn put_field(message: &mut BytesMut, number: u8, value: &[u8]) {
    message.put_u8(number << 3 | 2);
    let mut length = value.len();
    while length >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits of it")]
        message.put_u8((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "less than seven bits are left")]
    message.put_u8(length as u8);
    message.put_slice(value);
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = message.try_get_u8().ok()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_of_later_versions_are_skipped() {
        assert_eq!(requested_service(b""), Some(String::new()));
        assert_eq!(requested_service(b"\x0a\x05ready"), Some("ready".to_owned()));
        // A number, eight bytes, a text and four bytes under other numbers.
        assert_eq!(requested_service(b"\x10\x96\x01\x19........\x22\x03abc\x0a\x02db\x2d...."), Some("db".to_owned()));
        for wrong in [&b"\x0a\x05db"[..], b"\x0a", b"\x0b", b"\x0a\x01\xff", b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert_eq!(requested_service(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_request_is_exactly_one_uncompressed_message() {
        assert_eq!(unframed(Bytes::from_static(b"\0\0\0\0\x02ab")), Some(Bytes::from_static(b"ab")));
        for wrong in [&b""[..], b"\0\0\0\0", b"\x01\0\0\0\x02ab", b"\0\0\0\0\x03ab", b"\0\0\0\0\x01ab"] {
            assert_eq!(unframed(Bytes::from_static(wrong)), None, "{wrong:?}");
        }
    }

    #[test]
    fn long_fields_have_long_lengths() {
        let mut message = BytesMut::new();
        put_field(&mut message, 1, &[b'x'; 300]);
        assert_eq!((&message[..3], message.len()), (&b"\x0a\xac\x02"[..], 303));
    }

    proptest! {
        #[test]
        fn no_request_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            requested_service(&bytes);
            unframed(bytes.into());
        }
    }
}
