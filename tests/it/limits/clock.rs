//! A clock that was never set, or is set far ahead, and no time zones.

use super::{HOST, ran};
use crate::{
    helpers::Allswell,
    servers::{Certificates, hostile::Hostile, tls_front},
};

/// Sets the wall clock of the program at its start.
fn at(time: &str) -> Vec<String> {
    let preload = ["x86_64", "aarch64"].map(|machine| format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketime.so.1"));
    let library =
        preload.into_iter().find(|library| std::path::Path::new(library).exists()).expect("libfaketime; run `cargo xtask servers`");
    let variables = [format!("LD_PRELOAD={library}"), format!("FAKETIME=@{time} 00:00:00"), "TZ=Europe/Nowhere".to_owned()];
    ["/usr/bin/env".to_owned()].into_iter().chain(variables).chain(["FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned()]).collect()
}

#[test]
fn a_wrong_clock_changes_only_displayed_times_and_is_named_for_certificates() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificates = Certificates::new(folder.path());
    let server = Hostile::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let port = tls_front(server.port(), &certificates);
    let authority = certificates.authority.display();
    let web = format!("[checks.web]\nkind = \"http\"\nurl = \"https://localhost:{port}/\"\ntls.ca_file = \"{authority}\"\n");
    for (year, expected) in [
        ("1999", "tls: the certificate is not valid yet: is the clock of this machine right?"),
        ("2026", "pass  web"),
        ("2100", "tls: the certificate has expired"),
    ] {
        let checked = ran(&at(&format!("{year}-06-01")), &web, &["check"]);
        assert!(checked.stdout.contains(expected), "{year}: {}{}", checked.stdout, checked.stderr);
    }
    for year in ["1970", "2100"] {
        let service = Allswell::start_by(&at(&format!("{year}-06-01")), HOST, &[]);
        let report = service.await_report("/health", "a report", |response| response.status == 200).json();
        for time in [&report["generated_at"], &report["components"]["disk"]["since"], &report["config"]["loaded_at"]] {
            assert!(time.as_str().is_some_and(|time| time.starts_with(&format!("{year}-06-01T00:0"))), "{report}");
        }
        assert_eq!(service.get("/livez").status, 200);
    }
}
