//! Checks that the broker offers the login method: the driver would send the password in any case.

use crate::wire::address::Stream;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Maximum number of first bytes of the broker that are examined. `RabbitMQ` sends about 500.
const MAX_BEGINNING_BYTES: usize = 64 * 1024;

/// The broker does not offer the method.
#[derive(Debug, thiserror::Error)]
#[error("the broker offers {0:?}")]
struct NotOffered(String);

/// What to do about a login that ended for this reason; `None` for another error.
pub(super) fn not_offered(error: &io::Error) -> Option<&'static str> {
    let NotOffered(offered) = error.get_ref()?.downcast_ref()?;
    let has = |method: &str| offered.split(' ').any(|offered| offered == method);
    Some(if has("EXTERNAL") {
        "the broker does not offer this login method: try `?auth_mechanism=external` in the URL"
    } else if has("AMQPLAIN") {
        "the broker does not offer this login method: try `?auth_mechanism=amqplain` in the URL"
    } else if has("PLAIN") {
        "the broker does not offer this login method: try `?auth_mechanism=plain` in the URL"
    } else {
        "the broker offers no login method that this kind supports"
    })
}

/// A stream that fails before the reply to a broker that does not offer the login method.
pub(super) struct MechanismGuard {
    stream: Stream,
    mechanism: &'static str,
    /// The first bytes of the broker, until the driver replies.
    beginning: Option<Vec<u8>>,
}

impl MechanismGuard {
    pub(super) const fn new(stream: Stream, mechanism: &'static str) -> Self {
        Self { stream, mechanism, beginning: Some(Vec::new()) }
    }

    /// Examines what the broker offers before the driver's first reply. The protocol header, which is sent first, is not a reply.
    fn require_mechanism(&mut self) -> io::Result<()> {
        let Some(beginning) = self.beginning.take_if(|beginning| !beginning.is_empty()) else { return Ok(()) };
        match mechanisms(&beginning) {
            Some(offered) if !offered.split(' ').any(|offered| offered == self.mechanism) => {
                Err(io::Error::new(io::ErrorKind::PermissionDenied, NotOffered(offered)))
            }
            _ => Ok(()),
        }
    }
}

/// The methods in `Connection.Start`, separated by blanks: after the header of a frame, the method's number, the version and a table.
/// <https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>, 4.2.3; <https://www.rabbitmq.com/amqp-0-9-1-reference#connection.start>
fn mechanisms(beginning: &[u8]) -> Option<String> {
    const HEAD: usize = 7 + 4 + 2;
    let (_, rest) = long(beginning.get(HEAD..)?)?;
    let (mechanisms, _) = long(rest)?;
    Some(String::from_utf8_lossy(mechanisms).into_owned())
}

/// Splits a long string with its length off the beginning.
fn long(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)
}

impl AsyncRead for MechanismGuard {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(beginning) = &mut self.beginning {
            let room = MAX_BEGINNING_BYTES - beginning.len();
            beginning.extend(buffer.filled()[before..].iter().take(room));
        }
        polled
    }
}

impl AsyncWrite for MechanismGuard {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.require_mechanism()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offered_methods_are_read() {
        let start = b"\x01\0\0\0\0\0\x2b\0\x0a\0\x0a\0\x09\0\0\0\x03abc\0\0\0\x0ePLAIN EXTERNAL\0\0\0\x05en_US\xce";
        assert_eq!(mechanisms(start).as_deref(), Some("PLAIN EXTERNAL"));
        for cut in 0..start.len() - 10 {
            assert_eq!(mechanisms(&start[..cut]), None, "{cut}");
        }
        assert_eq!(mechanisms(b"\x01\0\0\0\0\0\x2b\0\x0a\0\x0a\0\x09\xff\xff\xff\xffabc"), None);
    }
}
