//! HTTP/2 frames and header blocks as raw bytes, without Huffman codes and without a dynamic table.

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
/// A type that no specification defines.
pub(super) const UNKNOWN: u8 = 0xbb;

pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) const HEADER_TABLE_SIZE: u16 = 1;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;

/// The largest window, less the initial one.
pub(super) const LARGEST_INCREMENT: u32 = 0x7fff_ffff - 65_535;

/// A frame (RFC 9113, section 4.1).
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(super) fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = values.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(SETTINGS, 0, 0, &payload)
}

pub(super) fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

pub(super) fn reset(stream: u32) -> Vec<u8> {
    const CANCEL: u32 = 8;
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

/// A complete request.
pub(super) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &header_block(0x82, path))
}

/// The beginning of a gRPC call: its message is missing.
pub(super) fn begin_call(stream: u32, method: &str) -> Vec<u8> {
    let mut block = header_block(0x83, &format!("/grpc.health.v1.Health/{method}"));
    block.extend(literal("content-type", "application/grpc"));
    block.extend(literal("te", "trailers"));
    frame(HEADERS, END_HEADERS, stream, &block)
}

/// A gRPC call with an empty message.
pub(super) fn call(stream: u32, method: &str) -> Vec<u8> {
    [begin_call(stream, method), frame(DATA, END_STREAM, stream, &[0; 5])].concat()
}

/// Pseudo-headers of a request. The method is an index of the static table (RFC 7541, appendix A).
pub(super) fn header_block(method: u8, path: &str) -> Vec<u8> {
    const SCHEME_HTTP: u8 = 0x86;
    const PATH: u8 = 0x04;
    const AUTHORITY: u8 = 0x01;
    [&[method, SCHEME_HTTP, PATH][..], &string(path), &[AUTHORITY], &string("attacked")].concat()
}

/// A header that is not indexed, with a new name.
pub(super) fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &string(name), &string(value)].concat()
}

/// A string with its length as an integer with a prefix of 7 bits (RFC 7541, section 5.1).
fn string(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    match u8::try_from(text.len()) {
        Ok(short) if short < 127 => bytes.push(short),
        _ => {
            bytes.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128 + 128).expect("a byte"));
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).expect("a byte"));
        }
    }
    bytes.extend(text.as_bytes());
    bytes
}
