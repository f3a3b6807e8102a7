//! The error codes of S3, of stores that are compatible with it, and of the XML API of Google Cloud Storage.
//!
//! Sources: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>, <https://docs.ceph.com/en/latest/radosgw/s3/>,
//! `cmd/api-errors.go` of `MinIO`, <https://cloud.google.com/storage/docs/xml-api/reference-status>.

use super::refusal::{Action, Refusal};
use crate::contract::Failure;

/// Classifies a code. `bucket` and `object` are for the message, and `right` is what the action requires.
pub(crate) fn explain_s3_code(refusal: &Refusal, bucket: &str, object: &str, right: &str) -> Failure {
    match refusal.code.as_str() {
        "NoSuchBucket" => Failure::unhealthy(format!("there is no bucket {bucket}")),
        "NoSuchAccessPoint" => Failure::unhealthy(format!("there is no access point {bucket}")),
        "InvalidBucketName" => Failure::unhealthy(format!("{bucket} is not a valid bucket name")),
        "NoSuchKey" => Failure::unhealthy(format!("there is no object {object}")),
        "AccessDenied" | "Forbidden" => denied(refusal, bucket, object, right),
        "InvalidObjectState" => Failure::unhealthy(format!("the object {object} is archived and cannot be read")),
        "AllAccessDisabled" | "InvalidPayer" => Failure::rejected(format!("the provider has disabled all access to the bucket {bucket}")),
        "AccountProblem" | "UserSuspended" | "NotEntitled" => {
            Failure::rejected("the account is suspended, or has no access to the storage")
        }
        "AuthenticationRequired" => Failure::rejected("the storage requires credentials, and none were sent"),
        "ExpiredToken" | "TokenRefreshRequired" => Failure::rejected("the credentials have expired"),
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "InvalidTokenId"
        | "InvalidSecurity"
        | "Unauthorized"
        | "NotSignedUp"
        | "AuthorizationHeaderMalformed" => Failure::rejected("the credentials are not accepted"),
        "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => Failure::rejected(skew(refusal)),
        "SlowDown" | "TooManyRequests" | "ThrottlingException" | "KMS.ThrottlingException" | "RequestLimitExceeded" => {
            Failure::exhausted("the storage is throttling our requests")
        }
        // Of MinIO, when too few drives are online.
        "SlowDownWrite" => Failure::unhealthy("the storage cannot write at present: it answered 503 SlowDownWrite"),
        "SlowDownRead" => Failure::unhealthy("the storage cannot read at present: it answered 503 SlowDownRead"),
        "XMinioServerNotInitialized" => Failure::unhealthy("the storage is starting up"),
        "QuotaExceeded" | "XMinioAdminBucketQuotaExceeded" => Failure::exhausted("the quota is used up"),
        "XMinioStorageFull" | "InsufficientStorage" => Failure::exhausted("no space is left"),
        "KMS.DisabledException" | "CloudKmsDisabledKey" => Failure::unhealthy("the encryption key of the object is disabled"),
        "KMS.NotFoundException" | "CloudKmsEncryptionKeyNotFound" | "CloudKmsDecryptionKeyNotFound" => {
            Failure::unhealthy("the encryption key of the object does not exist")
        }
        code if code.starts_with("KMS.") || code.starts_with("CloudKms") => {
            Failure::unhealthy(format!("the encryption key of the object cannot be used: the storage answered {refusal}"))
        }
        "BadDigest" | "XAmzContentSHA256Mismatch" => Failure::unhealthy("the storage received other content than was sent"),
        "InvalidRequest" if refusal.mentions("Content-MD5") => {
            Failure::unhealthy("the bucket requires a checksum that the check does not send")
        }
        // Backblaze B2.
        "InvalidArgument" if refusal.mentions("Unsupported header") => {
            Failure::unhealthy("the storage does not support a header of the request: see `AWS_CHECKSUM_ALGORITHM`")
        }
        "MethodNotAllowed" | "NotImplemented" => {
            Failure::unhealthy(format!("the storage does not support the operation: it answered {refusal}"))
        }
        _ => refusal.explain_status(),
    }
}

/// One code for many reasons: the text of the provider says which.
fn denied(refusal: &Refusal, bucket: &str, object: &str, right: &str) -> Failure {
    let key_right = ["kms:GenerateDataKey", "kms:Decrypt"].into_iter().find(|right| refusal.mentions(right));
    if let Some(right) = key_right {
        return Failure::rejected(format!("access denied: needs {right} on the encryption key"));
    }
    // Backblaze B2.
    if refusal.mentions("cap exceeded") {
        return Failure::exhausted("the quota is used up");
    }
    if refusal.mentions("explicit deny") {
        let hint = if refusal.action == Action::Write { ", perhaps for its encryption" } else { "" };
        return Failure::rejected(format!("access denied: a policy denies {right} on {bucket}/{object}{hint}"));
    }
    Failure::rejected(format!("access denied: needs {right} on {bucket}/{object}"))
}

/// How much the clocks differ, if the response has both times.
fn skew(refusal: &Refusal) -> String {
    let (Some(ours), Some(theirs)) = (refusal.time("RequestTime"), refusal.time("ServerTime")) else {
        return "the clocks of this machine and the storage differ too much".to_owned();
    };
    let (difference, direction) = match theirs.duration_since(ours) {
        Ok(difference) => (difference, "behind"),
        Err(error) => (error.duration(), "ahead of"),
    };
    let difference = humantime::format_duration(difference);
    format!("the clock of this machine is {difference} {direction} that of the storage")
}

#[cfg(test)]
mod tests {
    use super::{super::connection::StorageResponse, *};
    use hyper::{HeaderMap, StatusCode, Uri};

    fn explained(status: u16, code: &str, more: &str) -> (&'static str, String) {
        let body = format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code>{more}</Error>");
        let status = StatusCode::from_u16(status).expect("a status");
        let response = StorageResponse { uri: Uri::default(), status, headers: HeaderMap::new(), body: body.into() };
        let failure = explain_s3_code(&Refusal::new(Action::Write, &response), "media", "allswell/*", "s3:PutObject");
        (failure.class().as_str(), failure.message().to_owned())
    }

    #[test]
    fn each_code_has_its_class_and_message() {
        for (status, code, class, message) in [
            (404, "NoSuchBucket", "unhealthy", "there is no bucket media"),
            (404, "NoSuchAccessPoint", "unhealthy", "there is no access point media"),
            (400, "InvalidBucketName", "unhealthy", "media is not a valid bucket name"),
            (403, "InvalidObjectState", "unhealthy", "the object allswell/* is archived and cannot be read"),
            (403, "AllAccessDisabled", "rejected", "the provider has disabled all access to the bucket media"),
            (403, "AccountProblem", "rejected", "the account is suspended, or has no access to the storage"),
            (403, "UserSuspended", "rejected", "the account is suspended, or has no access to the storage"),
            (400, "ExpiredToken", "rejected", "the credentials have expired"),
            (400, "TokenRefreshRequired", "rejected", "the credentials have expired"),
            (400, "InvalidToken", "rejected", "the credentials are not accepted"),
            (401, "Unauthorized", "rejected", "the credentials are not accepted"),
            (503, "SlowDown", "exhausted", "the storage is throttling our requests"),
            (503, "SlowDownWrite", "unhealthy", "the storage cannot write at present: it answered 503 SlowDownWrite"),
            (503, "XMinioServerNotInitialized", "unhealthy", "the storage is starting up"),
            (503, "ServiceUnavailable", "unhealthy", "the storage answered 503 ServiceUnavailable"),
            (403, "QuotaExceeded", "exhausted", "the quota is used up"),
            (400, "KMS.DisabledException", "unhealthy", "the encryption key of the object is disabled"),
            (400, "KMS.NotFoundException", "unhealthy", "the encryption key of the object does not exist"),
            (
                400,
                "KMS.KMSInvalidStateException",
                "unhealthy",
                "the encryption key of the object cannot be used: the storage answered 400 KMS.KMSInvalidStateException",
            ),
            (400, "BadDigest", "unhealthy", "the storage received other content than was sent"),
            (501, "NotImplemented", "unhealthy", "the storage does not support the operation: it answered 501 NotImplemented"),
        ] {
            assert_eq!(explained(status, code, ""), (class, message.to_owned()), "{code}");
        }
    }

    #[test]
    fn the_text_of_the_provider_says_why_access_is_denied() {
        for (text, class, message) in [
            ("Access Denied", "rejected", "access denied: needs s3:PutObject on media/allswell/*"),
            (
                "User: arn:aws:sts::1:assumed-role/a/b is not authorized to perform: kms:GenerateDataKey on the resource associated with this ciphertext",
                "rejected",
                "access denied: needs kms:GenerateDataKey on the encryption key",
            ),
            (
                "User: arn:aws:iam::1:user/a is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::media/a\" with an explicit deny in a resource-based policy",
                "rejected",
                "access denied: a policy denies s3:PutObject on media/allswell/*, perhaps for its encryption",
            ),
            (
                "Cannot upload files, storage cap exceeded. See the Caps & Alerts page to increase your cap.",
                "exhausted",
                "the quota is used up",
            ),
        ] {
            assert_eq!(explained(403, "AccessDenied", &format!("<Message>{text}</Message>")), (class, message.to_owned()));
        }
    }

    #[test]
    fn a_clock_that_differs_is_named_with_its_difference() {
        let times = |ours: &str, theirs: &str| {
            let times = format!("<RequestTime>{ours}</RequestTime><ServerTime>{theirs}</ServerTime>");
            explained(403, "RequestTimeTooSkewed", &times).1
        };
        assert_eq!(times("20261120T100000Z", "2026-11-20T11:00:05Z"), "the clock of this machine is 1h 5s behind that of the storage");
        assert_eq!(times("20280301T000000Z", "2028-02-28T23:00:00Z"), "the clock of this machine is 1day 1h ahead of that of the storage");
        assert_eq!(times("", ""), "the clocks of this machine and the storage differ too much");
    }
}
