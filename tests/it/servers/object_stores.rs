//! Real stores that are compatible with S3: `SeaweedFS`, which stores on disk, and moto, which has Object Lock and archives in memory.

use super::{
    process::{Server, folder, in_venv},
    python::reading,
};
use crate::helpers::free_port;
use serde_json::Value;
use std::{fs, net::TcpStream, process::Command};

/// A secret of the user `app`.
pub(crate) const STORE_SECRET: &str = "a-secret-of-a-store";

/// Starts moto. It verifies no signature.
pub(crate) fn moto() -> Server {
    Server::launch(
        folder(),
        free_port(),
        |_, port| {
            let mut command = Command::new(in_venv("objects", "moto_server"));
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        },
        |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
    )
}

/// Starts `SeaweedFS` with room for a number of volumes, each bucket of which takes several.
pub(crate) fn seaweedfs(volumes: u32) -> Server {
    let directory = folder();
    let user = format!(
        r#"{{"identities": [{{"name": "app", "credentials": [{{"accessKey": "app", "secretKey": "{STORE_SECRET}"}}], "actions": ["Admin"]}}]}}"#
    );
    fs::write(directory.path().join("s3.json"), user).expect("a file");
    // Without the last four, it would listen at its other ports plus 10000.
    let names = ["master.port", "volume.port", "filer.port", "master.port.grpc", "volume.port.grpc", "filer.port.grpc", "s3.port.grpc"];
    let ports = names.map(|name| format!("-{name}={}", free_port()));
    Server::launch(
        directory,
        free_port(),
        move |directory, port| {
            let mut command = Command::new(in_venv("objects", "weed"));
            command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-master.volumeSizeLimitMB=64"]);
            command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]).args(&ports);
            command.args([format!("-dir={}", directory.display()), format!("-s3.config={}/s3.json", directory.display())]);
            command.args([format!("-s3.port={port}"), format!("-volume.max={volumes}")]);
            command
        },
        |_, port| answers(port),
    )
}

fn answers(port: u16) -> bool {
    if TcpStream::connect(("127.0.0.1", port)).is_err() {
        return false;
    }
    boto(port, "try:\n    s3.list_buckets()\n    print(1)\nexcept Exception:\n    print(0)") == 1
}

/// Runs Python in which `s3` is a client of boto3, and returns the JSON that it prints.
pub(crate) fn boto(port: u16, script: &str) -> Value {
    let client = format!(
        "import boto3, json\nfrom botocore.config import Config\n\
         s3 = boto3.client('s3', endpoint_url='http://127.0.0.1:{port}', region_name='us-east-1', aws_access_key_id='app', \
         aws_secret_access_key='{STORE_SECRET}', config=Config(s3={{'addressing_style': 'path'}}, retries={{'max_attempts': 0}}))\n"
    );
    reading("objects", &(client + script), "")
}

/// The number of versions and of delete markers in a bucket.
pub(crate) fn versions(port: u16, bucket: &str) -> Value {
    let script = format!(
        "found = s3.list_object_versions(Bucket='{bucket}')\n\
         print(json.dumps([len(found.get('Versions', [])), len(found.get('DeleteMarkers', []))]))"
    );
    boto(port, &script)
}
