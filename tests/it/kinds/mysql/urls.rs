//! URLs as applications have them for their own client library.

use super::{PASSWORD, SERVER};
use crate::{
    probing::{Case, Probed, assert_failures},
    servers::{Certificates, Server, mariadb_with_tls},
};

fn url(url: &str) -> String {
    format!("kind = \"mysql\"\nurl = '{url}'\n")
}

#[test]
fn a_socket_is_named_as_in_each_library() {
    let socket = SERVER.mariadb_socket().display().to_string();
    let encoded = socket.replace('/', "%2F");
    for text in [
        format!("mysql://root@localhost/orders?socket={socket}"),
        format!("mysql+pymysql://root@localhost/orders?unix_socket={socket}&charset=utf8mb4"),
        format!("mysql://root@/orders?socketPath={socket}"),
        format!("mysql:///orders?unix_socket={socket}&user=root"),
        format!("mysql2://root@{encoded}/orders"),
        format!("mysql://root@unix({socket})/orders?parseTime=true"),
    ] {
        Probed::new(&url(&text)).pass();
    }
    let gone = format!("mysql://root@localhost/orders?unix_socket={socket}-gone");
    assert_failures(&[Case::new("no socket", url(&gone), "unreachable", "the socket does not exist")]);
}

#[test]
fn forms_of_java_and_go_are_read() {
    let port = SERVER.port;
    for text in [
        format!("jdbc:mysql://127.0.0.1:{port}/orders?user=probe&password=probe-password&useSSL=false&serverTimezone=UTC"),
        format!("jdbc:mariadb://127.0.0.1:{port}/orders?user=probe&password=probe-password"),
        format!("mysql://probe:probe-password@tcp(127.0.0.1:{port})/orders?tls=preferred"),
        format!("trilogy://probe:probe-password@127.0.0.1:{port}/orders?ssl_mode=preferred&pool=5"),
        format!("mysql-connector://probe:probe-password@127.0.0.1:{port}/orders"),
    ] {
        Probed::new(&url(&text)).pass();
    }
}

#[test]
fn tls_is_verified_as_the_words_of_each_library_demand() {
    let (server, certificates) = mariadb_with_tls(PASSWORD, Certificates::new);
    let ca = certificates.authority.display();
    let at =
        |host: &str, server: &Server, parameters: &str| url(&format!("mysql://app:{PASSWORD}@{host}:{}/orders?{parameters}", server.port));
    for parameters in [
        format!("ssl_ca={ca}&ssl_verify_identity=true"),
        format!("sslca={ca}&sslverify=true"),
        format!("sslaccept=strict&sslcert={ca}"),
        format!("sslMode=verify-full&serverSslCert={ca}"),
        format!("ssl={{\"rejectUnauthorized\":true,\"verifyIdentity\":true}}&ssl-ca={ca}"),
        format!("tls=true&ssl-ca={ca}"),
        format!("require_ssl=true&ssl-ca={ca}"),
    ] {
        let probed = Probed::new(&at("localhost", &server, &parameters)).pass();
        assert!(probed.values().contains_key("tls_ms") && !probed.values().contains_key("tls_verify"), "{parameters}: {probed:?}");
        let table = at("127.0.0.1", &server, &parameters);
        assert_failures(&[Case::new("another name", table, "tls", "the certificate is for another name")]);
    }
    for parameters in [
        format!("ssl={{\"rejectUnauthorized\":true}}&ssl-ca={ca}"),
        format!("ssl_ca={ca}&ssl_check_hostname=false"),
        format!("useSSL=true&verifyServerCertificate=true&ssl-ca={ca}"),
        format!("require_ssl=true&verify_identity=false&ssl-ca={ca}"),
    ] {
        let probed = Probed::new(&at("127.0.0.1", &server, &parameters)).pass();
        assert!(!probed.values().contains_key("tls_verify"), "{parameters}: {probed:?}");
    }
    for parameters in
        ["tls=skip-verify", "sslaccept=accept_invalid_certs", "ssl=true", "ssl={\"rejectUnauthorized\":false}", "sslMode=trust"]
    {
        let probed = Probed::new(&at("127.0.0.1", &server, parameters)).pass();
        assert_eq!(probed.values()["tls_verify"], "none", "{parameters}");
    }
    for parameters in ["ssl={\"rejectUnauthorized\":true}", "sslaccept=strict", "tls=true"] {
        let table = at("localhost", &server, parameters);
        assert_failures(&[Case::new("unknown CA", table, "tls", "the certificate's issuer is not trusted")]);
    }
}
