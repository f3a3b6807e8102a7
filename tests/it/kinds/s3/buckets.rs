//! `s3`, with buckets as they are really set up: versioning, Object Lock, archives, and policies and servers that demand or refuse headers.

use crate::{
    probing::{Case, Probed, assert_failures},
    servers::{
        Server,
        object_stores::{STORE_SECRET, boto, moto, seaweedfs, versions},
        s3::{ENCRYPTING, LOCKED, SECRET, WITHOUT_CHECKSUMS, s3},
    },
};
use serde_json::json;

fn table(port: u16, user: &str, secret: &str, bucket: &str, more: &str) -> String {
    format!(
        "kind = \"s3\"\nbucket = \"{bucket}\"\nendpoint = \"http://127.0.0.1:{port}\"\naccess_key_id = \"{user}\"\n\
         secret_access_key = \"{secret}\"\n{more}"
    )
}

fn in_bucket(server: &Server, bucket: &str, more: &str) -> String {
    table(server.port, "app", STORE_SECRET, bucket, more)
}

const LOCK: &str = "s3.create_bucket(Bucket='locked', ObjectLockEnabledForBucket=True)\n\
    s3.put_object_lock_configuration(Bucket='locked', ObjectLockConfiguration={'ObjectLockEnabled': 'Enabled', \
    'Rule': {'DefaultRetention': {'Mode': 'GOVERNANCE', 'Days': 1}}})\n";

const VERSIONED: &str = "s3.create_bucket(Bucket='media')\n\
    s3.put_bucket_versioning(Bucket='media', VersioningConfiguration={'Status': 'Enabled'})\n";

#[test]
fn a_versioned_bucket_keeps_neither_versions_nor_delete_markers() {
    for server in [moto(), seaweedfs(40)] {
        boto(server.port, &format!("{VERSIONED}print(1)"));
        let probed = Probed::new(&in_bucket(&server, "media", ""));
        for _ in 0..3 {
            assert_eq!(probed.pass().warning(), None);
        }
        assert_eq!(versions(server.port, "media"), json!([0, 0]));
        boto(server.port, "s3.put_bucket_versioning(Bucket='media', VersioningConfiguration={'Status': 'Suspended'})\nprint(1)");
        for _ in 0..3 {
            assert_eq!(probed.pass().warning(), None);
        }
        let left = versions(server.port, "media");
        assert!(
            left == json!([0, 0]) || left == json!([0, 1]),
            "without names of versions, each delete marker replaces the last one: {left}"
        );
    }
}

#[test]
fn a_bucket_with_a_default_retention_is_written_to_and_warns_that_versions_stay() {
    for server in [moto(), seaweedfs(40)] {
        boto(server.port, &format!("{LOCK}print(1)"));
        let probed = Probed::new(&in_bucket(&server, "locked", ""));
        let stays = "each probe leaves a version of its object: ";
        for _ in 0..2 {
            let warned = probed.pass();
            assert!(warned.warning().is_some_and(|warning| warning.starts_with(stays) && warning.contains("Object Lock")), "{warned:?}");
        }
        assert_eq!(versions(server.port, "locked"), json!([2, 2]), "no version is visible to the application");
        Probed::new(&in_bucket(&server, "locked", "mode = \"bucket\"")).pass();
    }
}

#[test]
fn a_write_has_the_checksum_that_every_store_accepts() {
    let server = s3(&[LOCKED, WITHOUT_CHECKSUMS], |_, _, _| true);
    for user in [LOCKED, WITHOUT_CHECKSUMS] {
        assert_eq!(Probed::new(&table(server.port, user, SECRET, "media", "")).pass().warning(), None, "{user}");
    }
}

#[test]
fn a_policy_that_requires_encryption_is_met_by_the_keys_or_named() {
    let server = s3(&[ENCRYPTING], |_, _, _| true);
    let bucket = |more: &str| table(server.port, ENCRYPTING, SECRET, "media", more);
    let denied = "access denied: a policy denies s3:PutObject on media/allswell/*, perhaps for its encryption";
    assert_failures(&[
        Case::new("no header", bucket(""), "rejected", denied),
        Case::new("other header", bucket("server_side_encryption = \"AES256\""), "rejected", denied),
        Case::new("no key", bucket("server_side_encryption = \"aws:kms\""), "rejected", denied),
    ]);
    Probed::new(&bucket("server_side_encryption = \"aws:kms\"\nkms_key_id = \"alias/media\"")).pass();
}

#[test]
fn an_archived_object_cannot_be_read() {
    let server = moto();
    boto(
        server.port,
        "s3.create_bucket(Bucket='media')\ns3.put_object(Bucket='media', Key='old', Body=b'1', StorageClass='GLACIER')\nprint(1)",
    );
    let read = in_bucket(&server, "media", "mode = \"read\"\nkey = \"old\"");
    assert_failures(&[Case::new("archived", read, "unhealthy", "the object old is archived and cannot be read")]);
}

#[test]
fn a_store_without_a_free_volume_fails() {
    let server = seaweedfs(1);
    boto(
        server.port,
        "s3.create_bucket(Bucket='one')\ns3.put_object(Bucket='one', Key='a', Body=b'1')\ns3.create_bucket(Bucket='media')\nprint(1)",
    );
    let full = "the storage answered 500 InternalError";
    assert_failures(&[Case::new("no volume", in_bucket(&server, "media", ""), "unhealthy", full)]);
}
