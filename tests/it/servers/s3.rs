//! An S3 server that verifies signatures, stores on disk and obeys policies: the crates `s3s` and `s3s-fs`, within this process.

use crate::helpers::eventually;
use hyper::HeaderMap;
use hyper_util::rt::TokioIo;
use s3s::{
    S3Error, S3ErrorCode, S3Result,
    access::{S3Access, S3AccessContext},
    auth::SimpleAuth,
    path::S3Path,
    service::S3ServiceBuilder,
};
use s3s_fs::FileSystem;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

/// The secret of every user.
pub(crate) const SECRET: &str = "a-secret-of-s3";

/// A user whose objects the server changes before they are read.
pub(crate) const TAMPERED: &str = "tampered";

/// A user whose writes need a checksum, as in a bucket of AWS with Object Lock and a default retention.
pub(crate) const LOCKED: &str = "locked";

/// A user whose writes must not have the newer checksums, as with Backblaze B2.
pub(crate) const WITHOUT_CHECKSUMS: &str = "without_checksums";

/// A user whose writes must name a key in KMS, by a policy.
pub(crate) const ENCRYPTING: &str = "encrypting";

/// Whether a user may do an action, such as `s3:PutObject`, on an object, such as `media/allswell/x`.
type Policy = fn(user: &str, action: &str, object: &str) -> bool;

/// A server with the bucket `media`.
pub(crate) struct S3Server {
    pub(crate) port: u16,
    folder: TempDir,
    seen: Arc<Recorded>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Recorded {
    asked: Mutex<Vec<String>>,
    connections: AtomicUsize,
}

/// Starts a server for these users.
pub(crate) fn s3(users: &[&str], policy: Policy) -> S3Server {
    let folder = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(folder.path().join("media")).expect("a bucket");
    let seen = Arc::<Recorded>::default();
    let mut auth = SimpleAuth::new();
    for user in users {
        auth.register((*user).to_owned(), SECRET.into());
    }
    let mut builder = S3ServiceBuilder::new(FileSystem::new(folder.path()).expect("a file system"));
    builder.set_auth(auth);
    builder.set_access(Access { policy, root: folder.path().to_owned(), seen: Arc::clone(&seen) });
    let service = builder.build();

    let runtime = Runtime::new().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let shared = Arc::clone(&seen);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (service, seen) = (service.clone(), Arc::clone(&shared));
            seen.connections.fetch_add(1, SeqCst);
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                seen.connections.fetch_sub(1, SeqCst);
            });
        }
    });
    S3Server { port, folder, seen, _runtime: runtime }
}

impl S3Server {
    /// All objects of the bucket, by name.
    pub(crate) fn objects(&self) -> Vec<String> {
        let bucket = self.folder.path().join("media");
        let mut found = Vec::new();
        files(&bucket, &mut found);
        found.iter().map(|path| path.strip_prefix(&bucket).expect("it is inside").display().to_string()).collect()
    }

    /// Stores an object, without a request.
    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.folder.path().join("media").join(name), content).expect("an object");
    }

    /// The requests since the last call, such as `PutObject media/allswell/x`.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.asked.lock().expect("a list"))
    }

    /// Waits until this number of connections is open, so that the requests of others have ended.
    pub(crate) fn await_connections(&self, open: usize) {
        eventually(&format!("{open} connections are open"), || (self.seen.connections.load(SeqCst) == open).then_some(()));
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

struct Access {
    policy: Policy,
    root: PathBuf,
    seen: Arc<Recorded>,
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let action = context.s3_op().name().to_owned();
        let (bucket, object) = match context.s3_path() {
            S3Path::Root => (String::new(), String::new()),
            S3Path::Bucket { bucket } => (bucket.to_string(), bucket.to_string()),
            S3Path::Object { bucket, key } => (bucket.to_string(), format!("{bucket}/{key}")),
        };
        self.seen.asked.lock().expect("a list").push(format!("{action} {object}"));
        // AWS reports this to every user.
        if !self.root.join(&bucket).is_dir() {
            return Err(S3Error::new(S3ErrorCode::NoSuchBucket));
        }
        let user = context.credentials().map(|credentials| credentials.access_key.as_str()).unwrap_or_default();
        if action == "PutObject" {
            refuse_headers(user, context.headers())?;
        }
        if user == TAMPERED && action == "GetObject" {
            fs::write(self.root.join(&object), "something else").expect("an object");
        }
        if (self.policy)(user, &format!("s3:{action}"), &object) { Ok(()) } else { Err(S3Error::new(S3ErrorCode::AccessDenied)) }
    }
}

/// Enforces what AWS and others document about the headers of a write.
fn refuse_headers(user: &str, headers: &HeaderMap) -> S3Result<()> {
    let has = |name: &str| headers.keys().any(|key| key.as_str().starts_with(name));
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_signed = |name: &str| authorization.split("SignedHeaders=").nth(1).is_some_and(|signed| signed.contains(name));
    let encryption = ["x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"].map(|name| headers.get(name));
    let refused = match user {
        LOCKED if !(has("content-md5") && is_signed("content-md5") || has("x-amz-checksum-")) => (
            S3ErrorCode::InvalidRequest,
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
        ),
        WITHOUT_CHECKSUMS if has("x-amz-checksum-") || has("x-amz-sdk-checksum-") => {
            (S3ErrorCode::InvalidArgument, "Unsupported header 'x-amz-checksum-sha256' received for this API call.")
        }
        ENCRYPTING if encryption.map(|value| value.is_some_and(|value| value == "aws:kms" || value == "alias/media")) != [true; 2] => (
            S3ErrorCode::AccessDenied,
            "User: arn:aws:iam::123456789012:user/app is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::media/a\" with an explicit deny in a resource-based policy",
        ),
        _ => return Ok(()),
    };
    Err(S3Error::with_message(refused.0, refused.1))
}
