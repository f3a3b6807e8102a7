//! The fingerprint of a certificate.

use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use std::fmt::Write as _;

/// The SHA-256 of a certificate in DER, in hexadecimal digits.
pub(crate) fn sha256(certificate: &[u8]) -> String {
    let mut digits = String::new();
    if let Some(suite) = TLS13_AES_128_GCM_SHA256.tls13() {
        for byte in suite.common.hash_provider.hash(certificate).as_ref() {
            // Writing to a String cannot fail.
            let _ = write!(digits, "{byte:02x}");
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_that_of_other_programs() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
