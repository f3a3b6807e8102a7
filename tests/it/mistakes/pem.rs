//! Certificates and keys that real `openssl` made and that cannot be used, or not by everyone.

use super::lines;
use crate::servers::run_openssl;
use std::path::Path;
use tempfile::TempDir;

/// A folder with an authority, an intermediate authority, and certificates and keys of every kind.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    run_openssl(
        folder.path(),
        "exec 2>/dev/null
        ec() { openssl ecparam -name ${2:-prime256v1} -genkey -noout -out $1.key; }
        self() { openssl req -x509 -key $1.key -subj /CN=$1 -days ${2:-30} -out $1.pem; }
        sign() { openssl req -new -key $1.key -subj /CN=$1 -out $1.csr
          printf 'basicConstraints=CA:%s\n' $3 > $1.ext
          openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 30 -extfile $1.ext -out $1.pem; }
        for name in root middle leaf own other; do ec $name; done
        printf 'basicConstraints=CA:TRUE\n' > root.ext
        self root; sign middle root TRUE; sign leaf middle FALSE; self own; self other
        cat leaf.pem middle.pem > chain.pem; cat middle.pem leaf.pem > reversed.pem
        cat leaf.pem root.pem middle.pem > shuffled.pem
        printf '\\xef\\xbb\\xbf' | cat - own.pem > bom.pem
        sed 's/$/\\r/' own.pem > crlf.pem; (cat own.pem; echo trailing text) > trailing.pem
        openssl x509 -in own.pem -outform der -out der.pem
        openssl pkcs12 -export -in own.pem -inkey own.key -passout pass:x -out p12.pem
        openssl x509 -in own.pem -trustout -addtrust serverAuth -out trusted.pem
        openssl ec -in own.key -aes128 -passout pass:x -out encrypted.key
        openssl pkcs8 -topk8 -in own.key -passout pass:x -out encrypted8.key
        openssl genrsa -out short.key 1024; self short
        ec curve secp256k1; self curve
        openssl pkey -in own.key -pubout -out public.key
        touch index; echo 01 > serial
        printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n' > old.cnf
        printf 'unique_subject=no\n[p]\ncommonName=supplied\n' >> old.cnf
        past() { openssl ca -config old.cnf -batch -selfsign -keyfile leaf.key -in leaf.csr -startdate 20200101000000Z \
          -enddate 20200201000000Z -notext \"$@\"; }
        past -out version1.pem; past -extfile root.ext -out expired.pem
        touch empty.pem",
    );
    folder
}

/// What is said about a certificate and a key of the listener.
fn of_server(folder: &Path, certificate: &str, key: &str) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    let lines = lines(&format!(
        "[server.tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n[checks.m]\nkind = \"memory\"\n",
        path(certificate),
        path(key)
    ));
    lines.lines().next().unwrap_or_default().split_once(": server.tls.").map_or_else(String::new, |(_, message)| message.to_owned())
}

#[test]
fn trouble_with_the_files_of_the_listener_is_named() {
    let folder = folder();
    for (certificate, key, expected) in [
        ("own.pem", "own.key", ""),
        ("chain.pem", "leaf.key", ""),
        ("bom.pem", "own.key", ""),
        ("crlf.pem", "own.key", ""),
        ("trailing.pem", "own.key", ""),
        ("trusted.pem", "own.key", ""),
        ("reversed.pem", "leaf.key", "certificate_file: the file has the certificate of the key, but not as the first one"),
        ("shuffled.pem", "leaf.key", "certificate_file: the file has its certificates in another order than that of the chain"),
        ("leaf.pem", "leaf.key", "certificate_file: the file has no certificate of the issuer"),
        ("own.pem", "other.key", "key_file: the file has the key of another certificate"),
        ("own.key", "own.pem", "certificate_file: the file has no certificate, but a private key"),
        ("own.pem", "own.pem", "key_file: the file has no private key, but a certificate"),
        ("own.pem", "public.key", "key_file: the file has no private key, but a public key"),
        ("leaf.csr", "leaf.key", "certificate_file: the file has no certificate, but a certificate request"),
        ("der.pem", "own.key", "certificate_file: the file is not PEM but binary"),
        ("p12.pem", "own.key", "certificate_file: the file is not PEM but binary"),
        ("own.pem", "encrypted.key", "key_file: the file has an encrypted private key"),
        ("own.pem", "encrypted8.key", "key_file: the file has an encrypted private key"),
        ("short.pem", "short.key", "key_file: the file has an RSA key of 1024 bits, which is too short"),
        ("curve.pem", "curve.key", "key_file: the file has a key on an elliptic curve that is not supported"),
        ("expired.pem", "leaf.key", "certificate_file: the file has a certificate that expired on 2020-02-01"),
        ("version1.pem", "leaf.key", "certificate_file: the file has a certificate of X.509 version 1"),
        ("empty.pem", "own.key", "certificate_file: the file is empty"),
        ("none.pem", "own.key", "certificate_file: there is no such file"),
    ] {
        let message = of_server(folder.path(), certificate, key);
        assert!(message.starts_with(expected) && message.is_empty() == expected.is_empty(), "{certificate}, {key}: {message}");
    }
}

#[test]
fn trouble_with_the_files_of_a_check_is_a_warning() {
    let folder = folder();
    for (ca, certificate, key, expected) in [
        ("root.pem", "chain.pem", "leaf.key", ""),
        ("own.key", "chain.pem", "leaf.key", "ca_file: the file has no certificate, but a private key: every probe with TLS fails"),
        ("expired.pem", "chain.pem", "leaf.key", "ca_file: the file has no certificate that is valid now"),
        ("root.pem", "chain.pem", "encrypted.key", "client_key_file: the file has an encrypted private key"),
        ("root.pem", "chain.pem", "own.key", "client_key_file: the file has the key of another certificate"),
        ("root.pem", "der.pem", "own.key", "client_certificate_file: the file is not PEM but binary"),
        ("root.pem", "leaf.pem", "leaf.key", "client_certificate_file: the file has no certificate of the issuer"),
    ] {
        let path = |name: &str| folder.path().join(name).display().to_string();
        let lines = lines(&format!(
            "[checks.cache]\nkind = \"redis\"\nurl = \"rediss://cache\"\n[checks.cache.tls]\nca_file = \"{}\"\nclient_certificate_file = \"{}\"\n\
             client_key_file = \"{}\"\n",
            path(ca),
            path(certificate),
            path(key)
        ));
        let found = lines.split_once("tls.").map_or("", |(_, message)| message);
        assert!(found.starts_with(expected) && found.is_empty() == expected.is_empty(), "{ca}, {certificate}, {key}: {lines}");
    }
}
