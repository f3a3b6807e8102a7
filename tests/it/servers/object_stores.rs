//! Real stores that are compatible with S3: SeaweedFS, which stores on disk, and moto, which has Object Lock and archives in memory.

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

/// Starts SeaweedFS with room for a number of volumes, each bucket of which takes several.
pub(crate) fn seaweedfs(volumes: u32) -> Server {
    let directory = folder();
    let user = format!(
        r#"{{"identities": [{{"name": "app", "credentials": [{{"accessKey": "app", "secretKey": "{STORE_SECRET}"}}], "actions": ["Admin"]}}]}}"#
    );
    fs::write(directory.path().join("s3.json"), user).expect("a file");
    let others: [u16; 3] = std::array::from_fn(|_| free_port_of_seaweedfs());
    Server::launch(
        directory,
        free_port_of_seaweedfs(),
        move |directory, port| {
            let mut command = Command::new(in_venv("objects", "weed"));
            let [master, volume, filer] = others;
            command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-master.volumeSizeLimitMB=64"]);
            command.args([format!("-dir={}", directory.display()), format!("-s3.config={}/s3.json", directory.display())]);
            command.args([format!("-master.port={master}"), format!("-volume.port={volume}"), format!("-filer.port={filer}")]);
            command.args([
                format!("-s3.port={port}"),
                format!("-volume.max={volumes}"),
                "-s3.port.iceberg=0".to_owned(),
                "-s3.port.lance=0".to_owned(),
            ]);
            command
        },
        |_, port| answers(port),
    )
}

/// A free port that is low enough: SeaweedFS adds 10000 for its second protocol.
fn free_port_of_seaweedfs() -> u16 {
    std::iter::repeat_with(free_port)
        .take(1000)
        .find(|port| TcpStream::connect(("127.0.0.1", port + 10_000)).is_err())
        .expect("a free pair of ports")
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
