//! Chromium, driven by the W3C's `WebDriver`: <https://www.w3.org/TR/webdriver2/>.

use super::process::{Server, folder};
use crate::helpers::{PATIENCE, Response, eventually, free_port};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

/// A browser with one window.
pub(crate) struct Browser {
    driver: Server,
    session: String,
}

impl Browser {
    pub(crate) fn open() -> Self {
        Self::preferring(&json!({}))
    }

    /// A browser that runs no script of a page.
    pub(crate) fn without_scripts() -> Self {
        Self::preferring(&json!({ "profile.managed_default_content_settings.javascript": 2 }))
    }

    fn preferring(preferences: &Value) -> Self {
        let driver = Server::launch(
            folder(),
            free_port(),
            |directory, port| {
                let mut command = Command::new("/usr/bin/chromedriver");
                command.arg(format!("--port={port}")).env("HOME", directory);
                command
            },
            |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
        );
        let profile = format!("--user-data-dir={}", driver.directory.path().join("profile").display());
        let arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-proxy-server", &profile];
        let options = json!({ "binary": "/usr/bin/chromium", "args": arguments, "prefs": preferences });
        let capabilities = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let mut browser = Self { driver, session: String::new() };
        let answer = browser.order("POST", "", &json!({ "capabilities": { "alwaysMatch": capabilities } }));
        browser.session = format!("/{}", answer["sessionId"].as_str().expect("a session"));
        browser
    }

    fn order(&self, method: &str, path: &str, body: &Value) -> Value {
        let (session, body) = (&self.session, body.to_string());
        let mut stream = TcpStream::connect(("127.0.0.1", self.driver.port)).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let length = body.len();
        let head = format!("{method} /session{session}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}");
        stream.write_all(format!("{head}\r\nContent-Type: application/json\r\n\r\n{body}").as_bytes()).expect("a request");
        // The driver keeps its connections open.
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).expect("an answer"), 0, "{head}");
        }
        let mut body =
            vec![0; Response::parse(&head, Duration::ZERO).header("content-length").map_or(0, |length| length.parse().expect("a length"))];
        reader.read_exact(&mut body).expect("an answer");
        let response = Response::parse(&(head + &String::from_utf8_lossy(&body)), Duration::ZERO);
        assert_eq!(response.status, 200, "{path}: {}", response.text);
        response.json()["value"].clone()
    }

    pub(crate) fn visit(&self, url: &str) {
        self.order("POST", "/url", &json!({ "url": url }));
    }

    /// Runs a script in the page and returns its result.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.order("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The visible text of an element.
    pub(crate) fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector('{selector}')?.innerText ?? ''");
        self.run(&script).as_str().expect("text").to_owned()
    }

    /// Waits until an element has a text.
    pub(crate) fn await_text(&self, selector: &str, expected: &str) {
        eventually(&format!("`{expected}` at {selector}"), || self.text(selector).contains(expected).then_some(()));
    }

    /// The role and the label of an element for a screen reader.
    pub(crate) fn spoken(&self, selector: &str) -> (String, String) {
        let found = self.order("POST", "/element", &json!({ "using": "css selector", "value": selector }));
        let element = found.as_object().and_then(|object| object.values().next()?.as_str()).expect("an element").to_owned();
        let ask = |what: &str| {
            let computed = self.order("GET", &format!("/element/{element}/{what}"), &json!({}));
            computed.as_str().expect("text").to_owned()
        };
        (ask("computedrole"), ask("computedlabel"))
    }

    /// The messages of the browser's console since the last call.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.order("POST", "/se/log", &json!({ "type": "browser" }));
        let entries = log.as_array().expect("entries").iter();
        entries.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }
}
