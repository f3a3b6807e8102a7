//! Opens a connection, measures each phase of that, and reads the expiry of the server's certificate.

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

/// A new connection.
pub struct Opened {
    /// The stream.
    pub stream: Stream,
    /// How long each phase took.
    pub phases: Phases,
    /// Expiry of the server's certificate; `None` without TLS.
    pub expiry: Option<Expiry>,
}

/// Durations by the name under which they are observed: `connect_ms` for the whole, and its parts `resolve_ms`, if there was a name to
/// resolve, and `tls_ms`, if there is TLS.
pub type Phases = Vec<(&'static str, Duration)>;

/// The observed parts of `connect_ms`. The whole includes the login and is measured by [`Kept`](crate::contract::Kept).
#[cfg(any(feature = "amqp", feature = "resp", feature = "sql-server"))]
pub(crate) fn phase_values(phases: Phases) -> Observation {
    let parts = phases.into_iter().filter(|(name, _)| *name != "connect_ms");
    parts.fold(Observation::pass(), |seen, (name, took)| seen.took(name, took))
}

/// Opens a connection; encrypted if there is a `tls`.
///
/// # Errors
///
/// What the resolver, the network or TLS reports, with the phases before it.
pub async fn open(dialer: &Dialer, address: &Address, tls: Option<&Tls>) -> Result<Opened, Failure> {
    open_selected(dialer, address, tls, Ok).await
}

/// Opens a connection to one of the addresses of the host that `select` returns. The name is resolved only once, so the connection goes to
/// an address that `select` has seen.
///
/// # Errors
///
/// As [`open`], and the error of `select`, before any connection is attempted.
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
    /// Asks the verifier with a time at the end of all time: before anything else, it reports when the certificate expired.
    #[must_use]
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = ParsedCertificate::try_from(certificate).ok()?;
        let end_of_time = UnixTime::since_unix_epoch(Duration::MAX);
        match verify_server_cert_signed_by_trust_anchor(&certificate, &RootCertStore::empty(), &[], end_of_time, &[]) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => Some(Self(not_after)),
            _ => None,
        }
    }

    /// Whole days until then; negative after it.
    #[must_use]
    pub fn days_left(self) -> i64 {
        let seconds = |time: UnixTime| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        (seconds(self.0) - seconds(UnixTime::now())).div_euclid(24 * 60 * 60)
    }
}
