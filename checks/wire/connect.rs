//! Opens a connection, and tells how long each phase of it took and until when the peer's certificate is valid.

#[cfg(any(feature = "amqp", feature = "resp", feature = "sql-server"))]
use crate::contract::Observation;
use crate::{
    contract::{Failure, milliseconds},
    wire::{
        address::{self, Address, Dialer, Stream},
        tls::Tls,
    },
};
use rustls::{
    CertificateError, Error, RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    pki_types::{CertificateDer, UnixTime},
    server::ParsedCertificate,
};
use std::{net::SocketAddr, time::Duration};
use tokio::time::Instant;

/// A connection, and what its opening told.
pub struct Opened {
    /// What is read and written.
    pub stream: Stream,
    /// What took time.
    pub phases: Phases,
    /// Of the peer's own certificate, where there is TLS.
    pub expiry: Option<Expiry>,
}

/// What took time before a connection could be used, by the name under which it is observed: the whole, `connect_ms`, and its parts
/// `resolve_ms`, where there is a name, and `tls_ms`, where there is TLS.
pub type Phases = Vec<(&'static str, Duration)>;

/// What was seen of an opening beside the whole, which includes a log-in and is measured by [`Kept`](crate::contract::Kept).
#[cfg(any(feature = "amqp", feature = "resp", feature = "sql-server"))]
pub(crate) fn phase_values(phases: Phases) -> Observation {
    let parts = phases.into_iter().filter(|(name, _)| *name != "connect_ms");
    parts.fold(Observation::pass(), |seen, (name, took)| seen.took(name, took))
}

/// Opens a connection, encrypted or not.
///
/// # Errors
///
/// What the resolver, the network or TLS says, with the phases until then.
pub async fn open(dialer: &Dialer, address: &Address, tls: Option<&Tls>) -> Result<Opened, Failure> {
    open_selected(dialer, address, tls, Ok).await
}

/// Opens a connection to one of the addresses that `select` leaves of a host's. The name is resolved once, so what is judged is what is
/// connected to.
///
/// # Errors
///
/// As [`open`], and what `select` says; no connection is attempted then.
pub(crate) async fn open_selected(
    dialer: &Dialer,
    address: &Address,
    tls: Option<&Tls>,
    select: impl FnOnce(Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Failure>,
) -> Result<Opened, Failure> {
    let mut phases = Phases::new();
    let began = Instant::now();
    let (addresses, resolving) = dialer.look_up(address).await?;
    phases.extend(resolving.map(|took| ("resolve_ms", took)));
    let until_then = |failure: Failure| phases.iter().fold(failure, |failure, (name, took)| failure.with(*name, milliseconds(*took)));
    let addresses = select(addresses).map_err(until_then)?;
    let stream = address::connect(&addresses).await.map_err(until_then)?;
    let Some(tls) = tls else {
        phases.push(("connect_ms", began.elapsed()));
        return Ok(Opened { stream: Box::new(stream), phases, expiry: None });
    };
    let connected = Instant::now();
    let stream = tls.handshake(&address.host, stream).await.map_err(until_then)?;
    phases.extend([("tls_ms", connected.elapsed()), ("connect_ms", began.elapsed())]);
    let expiry = stream.get_ref().1.peer_certificates().and_then(|chain| Expiry::of_certificate(chain.first()?));
    Ok(Opened { stream: Box::new(stream), phases, expiry })
}

/// When a certificate expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry(UnixTime);

impl Expiry {
    /// Asks the verifier, as of the end of time: it says since when the certificate has been expired, and says it before anything else.
    #[must_use]
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = ParsedCertificate::try_from(certificate).ok()?;
        let end_of_time = UnixTime::since_unix_epoch(Duration::MAX);
        match verify_server_cert_signed_by_trust_anchor(&certificate, &RootCertStore::empty(), &[], end_of_time, &[]) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => Some(Self(not_after)),
            _ => None,
        }
    }

    /// Whole days until then; negative when it has passed.
    #[must_use]
    pub fn days_left(self) -> i64 {
        let seconds = |time: UnixTime| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        (seconds(self.0) - seconds(UnixTime::now())).div_euclid(24 * 60 * 60)
    }
}
