//! `allswell get` reports the state of the running service, whatever its configuration files say by now.

use crate::{
    helpers::{Allswell, PATIENCE, Ran, command, eventually, free_port, run, write_private},
    servers::{Certificates, as_nobody},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::PermissionsExt,
            net::{SocketAddr, UnixListener, UnixStream},
        },
    },
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};
use tempfile::TempDir;

const MEMORY: &str = "[checks.memory]\nkind = \"memory\"\n";

/// Runs `allswell get` in the directory of a service.
fn get(directory: &TempDir, arguments: &[&str]) -> Ran {
    run(command(directory).args(["get", "--timeout", "20s"]).args(arguments))
}

fn assert_passes(ran: &Ran, what: &str) {
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{what}");
    assert!(ran.stdout.contains("\"status\": \"pass\""), "{what}: {}", ran.stdout);
}

/// A service whose checks have results.
fn ready(configuration: &str) -> Allswell {
    let service = Allswell::start(configuration);
    service.await_report("/readyz", "the service is ready", |response| response.status == 200);
    service
}

/// The abstract name of the socket on which a service announces itself.
fn socket_name(service: &Allswell) -> String {
    let sockets = fs::read_to_string("/proc/net/unix").expect("sockets");
    let of_service = format!("/{}-", service.pid());
    let mut names = sockets.split_whitespace().filter_map(|word| word.strip_prefix('@'));
    names.find(|name| name.starts_with("allswell/") && name.contains(&of_service)).expect("the socket of the service").to_owned()
}

/// A path in a directory as text.
fn at(directory: &TempDir, name: &str) -> String {
    directory.path().join(name).to_str().expect("a path").to_owned()
}

#[test]
fn get_finds_the_service_whatever_happens_to_its_configuration() {
    // The service listens on a port by a flag, which no file says.
    let service = ready(MEMORY);
    let file = service.directory.path().join("allswell.toml");
    assert_passes(&get(&service.directory, &[]), "the file is unchanged");
    for (what, text) in [
        ("a mistake", "[checks.memory]\nkind = \"memry\"\n"),
        ("another port", "[server]\nlisten = \"127.0.0.1:1\"\n[checks.memory]\nkind = \"memory\"\n"),
        ("no TOML", "checks:\n  memory: {}\n"),
        ("a secret that is missing", "[server]\ntoken_file = \"/none\"\n"),
        ("a reference that is missing", "[server]\nlisten = \"${NONE}\"\n"),
        ("a certificate that is missing", "[server.tls]\ncertificate_file = \"/none\"\nkey_file = \"/none\"\n"),
    ] {
        fs::write(&file, text).expect("a file");
        assert_passes(&get(&service.directory, &[]), what);
    }
    let file_name = file.to_str().expect("a path");
    assert_passes(&get(&service.directory, &["--config", file_name]), "the file is named");
    service.signal(Signal::HUP);
    eventually("the reload is refused", || service.log().contains("the old one stays in force").then_some(()));
    assert_passes(&get(&service.directory, &["/readyz"]), "after a refused reload");
    fs::remove_file(&file).expect("a file");
    assert_passes(&get(&service.directory, &[]), "there is no file");
    assert_passes(&get(&service.directory, &["--config", file_name]), "the named file is missing");
    fs::create_dir(&file).expect("a folder");
    assert_passes(&get(&service.directory, &[]), "a directory");
    assert_passes(&get(&service.directory, &["--env-file", "none.env"]).without_warnings(), "an env file that is missing");
}

impl Ran {
    /// Without the warnings on standard error, of which there is at least one.
    fn without_warnings(mut self) -> Self {
        assert!(self.stderr.starts_with("warning: "), "{}", self.stderr);
        self.stderr = self.stderr.lines().filter(|line| !line.starts_with("warning: ")).collect();
        self
    }
}

#[test]
fn a_port_that_changes_at_a_reload_needs_a_restart_and_does_not_mislead_get() {
    let directory = tempfile::tempdir().expect("a folder");
    let write = |port| {
        let text = format!("[server]\nlisten = \"127.0.0.1:{port}\"\n{MEMORY}");
        write_private(directory.path().join("allswell.toml"), &text);
    };
    write(free_port());
    let service = Running::start(&directory, &[]);
    eventually("the service is ready", || (get(&directory, &["/readyz"]).code == Some(0)).then_some(()));
    write(free_port());
    assert_passes(&get(&directory, &[]), "before the reload");
    service.signal(Signal::HUP);
    eventually("the reload is applied", || service_log(&directory).contains("restart to apply it").then_some(()));
    assert_passes(&get(&directory, &[]), "the service listens on its old port");
}

#[test]
fn get_reports_a_failing_service_and_exits_with_1() {
    let service = Allswell::start(&format!("[server]\ndrain = \"1h\"\n{MEMORY}"));
    service.signal(Signal::TERM);
    service.await_report("/readyz", "the service drains", |response| response.status == 500);
    let ran = get(&service.directory, &[]);
    assert_eq!((ran.code, ran.stdout.contains("draining")), (Some(1), true), "{}", ran.stderr);
    let alive = get(&service.directory, &["/livez"]);
    assert_eq!(alive.code, Some(0), "{}", alive.stderr);
}

#[test]
fn get_asks_the_service_of_its_own_configuration_only() {
    let (passing, failing) = (ready(MEMORY), Allswell::start("[checks.port]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n"));
    failing.await_report("/health", "the check has failed", |response| response.status == 500);
    let elsewhere = tempfile::tempdir().expect("a folder");
    let (a, b) = (at(&passing.directory, "allswell.toml"), at(&failing.directory, "allswell.toml"));
    assert_eq!(get(&elsewhere, &["--config", &a]).code, Some(0));
    assert_eq!(get(&elsewhere, &["--config", &b]).code, Some(1));
    let by_variable = run(command(&elsewhere).arg("get").env("ALLSWELL_CONFIG", &a));
    assert_eq!(by_variable.code, Some(0), "{}", by_variable.stderr);
    // The service of a named file does not run: no other one stands in for it.
    let port = free_port();
    write_private(elsewhere.path().join("c.toml"), &format!("[server]\nlisten = \"127.0.0.1:{port}\"\n"));
    let none = get(&elsewhere, &["--config", "c.toml"]);
    let expected = format!("error: no response from http://127.0.0.1:{port}/health: unreachable: connection refused\n");
    assert_eq!((none.code, none.stderr), (Some(1), expected));
    let missing = get(&elsewhere, &["--config", "none.toml"]);
    let expected = "error: no running service uses this configuration: none.toml: there is no such file\n";
    assert_eq!((missing.code, missing.stderr.as_str()), (Some(1), expected));
    // Nothing says which of the two is meant.
    let several = get(&elsewhere, &[]);
    assert_eq!(several.code, Some(2), "{}", several.stderr);
    for part in ["error: several services run here: ", &a, &b, &passing.address.to_string(), ": pass --config or the URL of one"] {
        assert!(several.stderr.contains(part), "{part}: {}", several.stderr);
    }
}

#[test]
fn of_two_services_with_the_same_files_the_configured_port_decides() {
    let port = free_port();
    let service = ready(&format!("[server]\nlisten = \"127.0.0.1:{port}\"\n{MEMORY}"));
    let start = |listen: &str| Running::start(&service.directory, &["--listen", listen]);
    let second = start("127.0.0.1:0");
    let several = get(&service.directory, &[]);
    assert_eq!(several.code, Some(2), "{}", several.stderr);
    drop(second);
    let _third = start(&format!("127.0.0.1:{port}"));
    let ran = get(&service.directory, &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

/// The log of a [`Running`] service.
fn service_log(directory: &TempDir) -> String {
    fs::read_to_string(directory.path().join("log2")).expect("a log")
}

/// A second service in the directory of another one.
struct Running(Child);

impl Running {
    fn start(directory: &TempDir, arguments: &[&str]) -> Self {
        let log = File::create(directory.path().join("log2")).expect("a file");
        let mut command = command(directory);
        let child = command.arg("serve").args(arguments).stdout(Stdio::null()).stderr(log).spawn().expect("the program starts");
        eventually("the service listens", || service_log(directory).contains("listening").then_some(()));
        Self(child)
    }

    fn signal(&self, signal: Signal) {
        let pid = self.0.id().try_into().ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("a running process");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_served_certificate_is_accepted_after_its_files_have_changed() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let files = Certificates::new(folder.path());
    let service = Allswell::start(&format!(
        "[server.tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n{MEMORY}",
        files.certificate.display(),
        files.key.display()
    ));
    let passes = |what: &str| {
        for arguments in [&[][..], &["/readyz"]] {
            assert_passes(&get(&service.directory, arguments), what);
        }
    };
    eventually("the service is ready", || (get(&service.directory, &["/readyz"]).code == Some(0)).then_some(()));
    passes("the certificate is that of the file");
    let new = Certificates::new(other.path());
    // Half of a rotation: the service stays with the old certificate.
    fs::copy(&new.certificate, &files.certificate).expect("a file");
    passes("the file is new, and the certificate old");
    fs::copy(&new.key, &files.key).expect("a file");
    eventually("the new certificate is in force", || service.log().contains("the new certificate is in force").then_some(()));
    passes("the new certificate");
    fs::remove_file(&files.certificate).expect("a file");
    passes("there is no file");
}

#[test]
fn a_service_of_another_user_does_not_stand_in_for_ours() {
    if !rustix::process::getuid().is_root() {
        let _ = std::io::stderr().write_all(b"skipped: only root can run a service as another user\n");
        return;
    }
    // A program of `nobody` takes a name of root, and answers with a server that is all well.
    let fake = TcpListener::bind("127.0.0.1:0").expect("a port");
    let directory = tempfile::tempdir().expect("a folder");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    let port = free_port();
    write_private(directory.path().join("allswell.toml"), &format!("[server]\nlisten = \"127.0.0.1:{port}\"\n"));
    let announcement = format!(
        "{{\"version\":1,\"address\":\"{}\",\"certificate_sha256\":null,\"configuration\":{{\"files\":[\"{}\"],\"searched\":\"{}\"}}}}",
        fake.local_addr().expect("an address"),
        at(&directory, "allswell.toml"),
        at(&directory, "allswell.toml"),
    );
    let script = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.bind('\\0' + sys.argv[1])\ns.listen()\nprint('ready', flush=True)\n\
                  while True:\n    peer, _ = s.accept()\n    print('asked', flush=True)\n    \
                  try: peer.sendall(sys.argv[2].encode())\n    except BrokenPipeError: pass\n    peer.close()\n";
    let name = format!("allswell/0/{}-squatter", std::process::id());
    let squatter = as_nobody(Path::new("/usr/bin/python3"))
        .args(["-c", script, &name, &announcement])
        .stdout(Stdio::piped())
        .current_dir("/")
        .spawn()
        .expect("python3");
    let mut squatter = Running(squatter);
    let mut lines = BufReader::new(squatter.0.stdout.take().expect("its output")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    thread::spawn(move || {
        for stream in fake.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        }
    });
    let ran = get(&directory, &[]);
    let expected = format!("error: no response from http://127.0.0.1:{port}/health: unreachable: connection refused\n");
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr), (Some(1), "", expected));
    assert_eq!(lines.next().expect("a line").expect("text"), "asked", "the squatter was there");
    // The same by root itself is believed: this shows that nothing but the user was wrong.
    let own = UnixListener::bind_addr(&SocketAddr::from_abstract_name(format!("allswell/0/{}-own", std::process::id())).expect("a name"));
    let own = own.expect("a free name");
    thread::spawn(move || own.accept().expect("a peer").0.write_all(announcement.as_bytes()));
    let ran = get(&directory, &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "ok"), "{}", ran.stderr);
}

#[test]
fn root_finds_the_service_of_another_user_and_other_users_do_not_read_announcements() {
    if !rustix::process::getuid().is_root() {
        let _ = std::io::stderr().write_all(b"skipped: only root can run a service as another user\n");
        return;
    }
    let script =
        "chmod 755 . && chmod 644 allswell.toml && exec /usr/bin/setpriv --reuid=nobody --regid=nogroup --clear-groups \"$0\" \"$@\"";
    let wrapper = ["/bin/sh", "-c", script].map(str::to_owned);
    let service = Allswell::start_by(&wrapper, MEMORY, &[]);
    service.await_report("/readyz", "the service is ready", |response| response.status == 200);
    assert_passes(&get(&service.directory, &[]), "as root, such as by docker exec");
    let nobody = as_nobody(Path::new(env!("CARGO_BIN_EXE_allswell")))
        .arg("get")
        .env_clear()
        .current_dir(service.directory.path())
        .output()
        .expect("the program starts");
    assert_eq!(nobody.status.code(), Some(0), "{}", String::from_utf8_lossy(&nobody.stderr));

    // A service of root says nothing to `nobody`.
    let of_root = ready(MEMORY);
    let name = socket_name(&of_root);
    let mut own = UnixStream::connect_addr(&SocketAddr::from_abstract_name(&name).expect("a name")).expect("it listens");
    let mut text = String::new();
    own.read_to_string(&mut text).expect("an announcement");
    assert!(text.contains(&of_root.address.to_string()), "{text}");
    let script = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect('\\0' + sys.argv[1])\nprint(s.recv(65536))";
    let read = as_nobody(Path::new("/usr/bin/python3")).args(["-c", script, &name]).current_dir("/").output().expect("python3");
    assert_eq!(String::from_utf8_lossy(&read.stdout).trim(), "b''", "{}", String::from_utf8_lossy(&read.stderr));
}

#[test]
fn peers_that_do_not_read_delay_nobody() {
    let service = ready(MEMORY);
    let address = SocketAddr::from_abstract_name(socket_name(&service)).expect("a name");
    let _idle: Vec<_> = (0..100).map(|_| UnixStream::connect_addr(&address).expect("it listens")).collect();
    assert_passes(&get(&service.directory, &[]), "with a hundred idle peers");
}

#[test]
fn a_service_on_both_families_is_found_where_there_is_no_ipv6_loopback() {
    let script = "/usr/sbin/ip link set lo up && echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 && \
                  ! grep -q lo /proc/net/if_inet6 && exec \"$0\" \"$@\"";
    let inside = |arguments: &[&str], directory: &TempDir| {
        let mut command = Command::new("/usr/bin/unshare");
        command
            .args(["--net", "--mount", "/bin/sh", "-c"])
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir(directory.path());
        command
    };
    let directory = tempfile::tempdir().expect("a folder");
    if !inside(&[script, "/bin/true"], &directory).status().is_ok_and(|status| status.success()) {
        let _ = std::io::stderr().write_all(b"skipped: no network namespace without IPv6 here\n");
        return;
    }
    // The second `get` has no /proc, so that only the file says the address.
    let both = "\"$0\" serve >/dev/null 2>log & service=$!; for i in $(seq 2000); do grep -q listening log && break; sleep 0.05; done; \
                \"$0\" get --timeout 20s >/dev/null && \"$0\" doctor --as alb >/dev/null && mount -t tmpfs none /proc && \
                \"$0\" get --timeout 20s; code=$?; kill -9 $service; exit $code";
    for listen in ["[::]:8080", "[::0]:8080", "0.0.0.0:8080"] {
        write_private(directory.path().join("allswell.toml"), &format!("[server]\nlisten = \"{listen}\"\n{MEMORY}"));
        let ran = run(&mut inside(&[script, "/bin/sh", "-c", both, env!("CARGO_BIN_EXE_allswell")], &directory));
        assert_passes(&ran, listen);
    }
}

#[test]
fn a_path_a_format_and_a_token_are_sent() {
    let service = ready(&format!(
        "[server]\ntoken = \"a-token-of-some-length\"\ndetails = \"status\"\n{MEMORY}[checks.port]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\ncritical = false\n"
    ));
    write_private(service.directory.path().join("token"), "a-token-of-some-length\n");
    let plain = get(&service.directory, &["/health", "--format", "text"]);
    assert_eq!((plain.code, plain.stdout.contains("unreachable")), (Some(0), false), "{}", plain.stdout);
    let with_token = get(&service.directory, &["/health", "--format", "text", "--token-file", "token"]);
    assert_eq!((with_token.code, with_token.stdout.contains("unreachable")), (Some(0), true), "{}", with_token.stdout);
    for url in [format!("{}/health/memory", service.address), format!("http://{}/health/memory", service.address)] {
        assert_passes(&get(&service.directory, &[&url]), &url);
    }
    let json = get(&service.directory, &["--format", "health+json"]);
    assert!(json.stdout.contains("\"releaseId\"") || json.stdout.contains("\"checks\""), "{}", json.stdout);
}

#[test]
fn credentials_are_sent_to_the_server_that_the_url_names() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let requests = thread::spawn(move || {
        let answer = |stream: std::net::TcpStream| {
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let mut reader = BufReader::new(&stream);
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a line");
                if line == "\r\n" {
                    break;
                }
                head.push(line.trim().to_owned());
            }
            (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").expect("a response");
            head
        };
        (0..2).map(|_| answer(listener.accept().expect("a client").0)).collect::<Vec<_>>()
    });
    let directory = tempfile::tempdir().expect("a folder");
    fs::write(directory.path().join("token"), "sesame\n").expect("a file");
    let ran = get(&directory, &[&format!("http://app:p%40ss@{address}/x?only=fail")]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let ran = get(&directory, &[&format!("{address}/y"), "--token-file", "token"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let requests = requests.join().expect("two requests");
    let header = |index: usize, name: &str| requests[index].iter().find(|line| line.starts_with(name)).cloned().unwrap_or_default();
    assert_eq!((requests[0][0].as_str(), requests[1][0].as_str()), ("GET /x?only=fail HTTP/1.1", "GET /y HTTP/1.1"));
    assert_eq!(header(0, "authorization"), "authorization: Basic YXBwOnBAc3M=");
    assert_eq!(header(0, "host"), format!("host: {address}"));
    assert_eq!(header(1, "authorization"), "authorization: Bearer sesame");
}

#[test]
fn a_token_is_not_sent_to_a_port_that_nothing_proves_to_be_ours() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let directory = tempfile::tempdir().expect("a folder");
    fs::write(directory.path().join("token"), "sesame\n").expect("a file");
    let listen = listener.local_addr().expect("an address").to_string();
    let mut command = command(&directory);
    let ran = run(command.args(["get", "--token-file", "token"]).env("ALLSWELL_SERVER__LISTEN", listen));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("another program may listen on its port: pass the URL to send the token to"), "{}", ran.stderr);
    listener.set_nonblocking(true).expect("an option");
    assert!(listener.accept().is_err(), "nothing was sent");
}

#[test]
fn wrong_arguments_exit_with_2() {
    let directory = tempfile::tempdir().expect("a folder");
    fs::write(directory.path().join("token"), "sesame\n").expect("a file");
    for (arguments, expected) in [
        (&["--timeout", "0s"][..], "must be greater than zero"),
        (&["readyz"], "write /NAME for the path"),
        (&["not a url"], "this is not an HTTP URL"),
        (&["http://127.0.0.1:99999/health"], "this is not an HTTP URL"),
        (&["/health", "--format", "none"], "invalid value 'none'"),
        (&["/health?format=text", "--format", "json"], "the URL has a format already"),
        (&["--token-file", "none"], "--token-file: there is no such file"),
        (&["http://a:b@127.0.0.1:1/", "--token-file", "token"], "exclude each other"),
    ] {
        let ran = run(command(&directory).arg("get").args(arguments));
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{arguments:?}: {}", ran.stderr);
    }
}
