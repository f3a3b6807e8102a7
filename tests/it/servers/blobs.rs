//! A server that stores objects in memory and supports the requests of Google Cloud Storage and Azure Blob that a check sends. It accepts every
//! signature, and records requests and credentials for the test.

use crate::helpers::eventually;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::{net::TcpListener, runtime::Runtime};

/// Refuses a request, by its method and path, with a status and a code.
pub(crate) type Refuse = fn(method: &str, path: &str) -> Option<(u16, &'static str)>;

/// A server with the bucket or container `media`.
pub(crate) struct Blobs {
    pub(crate) port: u16,
    stored: Arc<Stored>,
    _runtime: Runtime,
}

struct Stored {
    /// The path before the name of an object: `/media/`.
    root: String,
    /// The error codes of a missing bucket and a missing object.
    missing: [&'static str; 2],
    /// The header of a write with the version of the object, and the version.
    version: Option<(&'static str, &'static str)>,
    refuse: Refuse,
    objects: Mutex<BTreeMap<String, Bytes>>,
    /// Method, path with query, and `Authorization`.
    asked: Mutex<Vec<[String; 3]>>,
    headers: Mutex<Vec<HeaderMap>>,
    connections: AtomicUsize,
}

/// A server like Google Cloud Storage.
pub(crate) fn gcs(refuse: Refuse) -> Blobs {
    start("/media/", ["NoSuchBucket", "NoSuchKey"], Some(("x-goog-generation", "7")), refuse)
}

/// A server like Azurite, whose paths begin with the account `orders`.
pub(crate) fn azure_blob(refuse: Refuse) -> Blobs {
    start("/orders/media/", ["ContainerNotFound", "BlobNotFound"], None, refuse)
}

/// A server like Azure, in an account with versioning.
pub(crate) fn azure_blob_with_versions(refuse: Refuse) -> Blobs {
    start("/orders/media/", ["ContainerNotFound", "BlobNotFound"], Some(("x-ms-version-id", "2026-11-20T10:00:00.0000000Z")), refuse)
}

fn start(root: &str, missing: [&'static str; 2], version: Option<(&'static str, &'static str)>, refuse: Refuse) -> Blobs {
    let stored = Arc::new(Stored {
        root: root.to_owned(),
        missing,
        version,
        refuse,
        objects: Mutex::default(),
        asked: Mutex::default(),
        headers: Mutex::default(),
        connections: AtomicUsize::new(0),
    });
    let runtime = Runtime::new().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let shared = Arc::clone(&stored);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stored = Arc::clone(&shared);
            stored.connections.fetch_add(1, SeqCst);
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let serve = service_fn(|request| stored.serve(request));
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await;
                stored.connections.fetch_sub(1, SeqCst);
            });
        }
    });
    Blobs { port, stored, _runtime: runtime }
}

impl Blobs {
    /// All objects, by name.
    pub(crate) fn objects(&self) -> Vec<String> {
        self.stored.objects.lock().expect("objects").keys().cloned().collect()
    }

    /// Stores an object, without a request.
    pub(crate) fn put(&self, name: &str, content: &'static [u8]) {
        self.stored.objects.lock().expect("objects").insert(name.to_owned(), Bytes::from_static(content));
    }

    /// The requests since the last call: method, path with query, and `Authorization`.
    pub(crate) fn asked(&self) -> Vec<[String; 3]> {
        std::mem::take(&mut self.stored.asked.lock().expect("a list"))
    }

    /// The values of a header in the requests since the last call, empty where there is none.
    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        let asked = std::mem::take(&mut *self.stored.headers.lock().expect("headers"));
        let value = |headers: &HeaderMap| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        asked.iter().map(value).collect()
    }

    /// Waits until this number of connections is open, so that the requests of others have ended.
    pub(crate) fn await_connections(&self, open: usize) {
        eventually(&format!("{open} connections are open"), || (self.stored.connections.load(SeqCst) == open).then_some(()));
    }
}

impl Stored {
    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        // A truncated request stores nothing.
        let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else { return Ok(error(400, "IncompleteBody")) };
        let authorization = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        self.asked.lock().expect("a list").push([head.method.to_string(), target, authorization.to_owned()]);
        self.headers.lock().expect("headers").push(head.headers.clone());
        // The only escaped character in the names that tests use.
        let path = &head.uri.path().replace("%2E", ".");
        if head.uri.query().is_some_and(|query| query.contains("comp=batch")) {
            return Ok(self.batch(&String::from_utf8_lossy(&body)));
        }
        if let Some(version) = head.uri.query().and_then(|query| query.split('&').find(|pair| pair.starts_with("versionid="))) {
            let refused = (self.refuse)("DELETE", &format!("{path}?{version}"));
            return Ok(refused.map_or_else(
                || Response::builder().status(202).body(Full::default()).expect("an answer"),
                |(status, code)| error(status, code),
            ));
        }
        let range = head.headers.contains_key("range") || head.headers.contains_key("x-ms-range");
        Ok(self.answer(&head.method, path, body, range))
    }

    fn answer(&self, method: &Method, path: &str, body: Bytes, first_byte: bool) -> Response<Full<Bytes>> {
        if let Some((status, code)) = (self.refuse)(method.as_str(), path) {
            return error(status, code);
        }
        let [no_bucket, no_object] = self.missing;
        let Some(name) = path.strip_prefix(&self.root) else { return error(404, no_bucket) };
        let mut objects = self.objects.lock().expect("objects");
        let head =
            |status| Response::builder().status(status).header("etag", "\"1\"").header("last-modified", "Fri, 20 Nov 2026 10:00:00 GMT");
        match *method {
            Method::PUT => {
                objects.insert(name.to_owned(), body);
                let head = head(201);
                match self.version {
                    Some((name, version)) => head.header(name, version),
                    None => head,
                }
                .body(Full::default())
            }
            Method::DELETE => match objects.remove(name) {
                Some(_) => head(202).body(Full::default()),
                None => return error(404, no_object),
            },
            _ => match objects.get(name) {
                None => return error(404, no_object),
                Some(found) if !first_byte => head(200).body(Full::new(found.clone())),
                Some(found) if found.is_empty() => return error(416, "InvalidRange"),
                Some(found) => head(206).header("content-range", format!("bytes 0-0/{}", found.len())).body(Full::new(found.slice(..1))),
            },
        }
        .expect("an answer")
    }

    /// A batch request of Azure with one deletion. <https://learn.microsoft.com/en-us/rest/api/storageservices/blob-batch>
    fn batch(&self, body: &str) -> Response<Full<Bytes>> {
        let line = body.lines().find(|line| line.starts_with("DELETE ")).expect("a deletion");
        let path = line.split(' ').nth(1).and_then(|target| target.split('?').next()).expect("a path");
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let path = if path.starts_with("/orders") { path } else { format!("/orders{path}") };
        let answer = self.answer(&Method::DELETE, &path, Bytes::new(), false);
        let code = answer.headers().get("x-ms-error-code").and_then(|code| code.to_str().ok()).unwrap_or_default();
        let part = format!("HTTP/1.1 {} -\r\nx-ms-error-code: {code}\r\n\r\n", answer.status().as_u16());
        let text = format!("--edge\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\n{part}\r\n--edge--\r\n");
        let whole = Response::builder().status(202).header("content-type", "multipart/mixed; boundary=edge");
        whole.body(Full::new(text.into())).expect("an answer")
    }
}

fn error(status: u16, code: &str) -> Response<Full<Bytes>> {
    let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>…</Message></Error>");
    Response::builder().status(status).header("x-ms-error-code", code).body(Full::new(body.into())).expect("an answer")
}
