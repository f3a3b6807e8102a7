//! What an error response of Azure Blob Storage means, by its code and the action.
//! <https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-error-codes>

use crate::{
    contract::Failure,
    object_storage::{Action, Refusal},
};

/// Whether an immutability policy or a legal hold protects the blob.
pub(super) fn is_retained(refusal: &Refusal) -> bool {
    refusal.code.starts_with("BlobImmutable")
}

pub(super) fn explain(refusal: &Refusal, account: &str, container: &str, object: &str) -> Failure {
    let right = match refusal.action {
        Action::Write => "blobs/write",
        Action::Read => "blobs/read",
        Action::Delete => "blobs/delete",
        Action::DeleteVersion => "blobs/deleteBlobVersion/action",
    };
    match refusal.code.as_str() {
        "ContainerNotFound" => Failure::unhealthy(format!("there is no container {container}")),
        "ContainerBeingDeleted" => Failure::unhealthy(format!("the container {container} is being deleted")),
        "ContainerDisabled" => Failure::unhealthy(format!("the container {container} is disabled")),
        "BlobNotFound" => Failure::unhealthy(format!("there is no blob {object}")),
        "BlobArchived" => Failure::unhealthy(format!("the blob {object} is archived and cannot be read")),
        "BlobBeingRehydrated" => Failure::unhealthy(format!("the blob {object} is being restored from the archive")),
        _ if is_retained(refusal) => Failure::unhealthy("an immutability policy or a legal hold protects it: set `mode = \"read\"`"),
        "LeaseIdMissing" | "LeaseAlreadyPresent" => Failure::unhealthy(format!("the blob or the container {container} is leased")),
        "AccountIsDisabled" => Failure::rejected(format!("the account {account} is disabled")),
        "AccountBeingCreated" => Failure::unhealthy(format!("the account {account} is being created")),
        "InsufficientAccountPermissions" if refusal.mentions("rite operations") => {
            Failure::unhealthy(format!("the account {account} is read-only"))
        }
        "AuthorizationSourceIPMismatch" | "AuthorizationProtocolMismatch" | "IpAuthorizationError" | "PublicAccessNotPermitted" => {
            Failure::rejected(format!("the account {account} does not allow access from this machine"))
        }
        "KeyBasedAuthenticationNotPermitted" => Failure::rejected(format!("the account {account} does not accept access keys")),
        // Azurite reports a wrong key in this way.
        "AuthorizationFailure" if refusal.mentions("failed to authenticate") => Failure::rejected("the credentials are not accepted"),
        "AuthorizationFailure" => Failure::rejected(format!(
            "access denied: a network rule of the account {account} does not allow it, or it needs {right} on {container}/{object}"
        )),
        "AuthorizationPermissionMismatch"
        | "AuthorizationResourceTypeMismatch"
        | "AuthorizationServiceMismatch"
        | "InsufficientAccountPermissions" => Failure::rejected(format!("access denied: needs {right} on {container}/{object}")),
        "AuthenticationFailed" if refusal.mentions("date header") => {
            Failure::rejected("the clocks of this machine and the storage differ too much")
        }
        "AuthenticationFailed" if refusal.mentions("time frame") => {
            Failure::rejected("the shared access signature has expired, or is not valid yet")
        }
        "AuthenticationFailed" | "InvalidAuthenticationInfo" if refusal.mentions("expired") => {
            Failure::rejected("the credentials have expired")
        }
        "NoAuthenticationInformation" => Failure::rejected("the storage requires credentials, and none were sent"),
        "AuthenticationFailed" | "InvalidAuthenticationInfo" => Failure::rejected("the credentials are not accepted"),
        "ServerBusy" | "TooManyRequests" => Failure::exhausted("the storage is throttling our requests"),
        "OperationTimedOut" => Failure::unhealthy("the storage took too long: it answered 500 OperationTimedOut"),
        "InsufficientStorage" | "AccountLimitExceeded" => Failure::exhausted("the quota is used up"),
        code if code.starts_with("KeyVault") => {
            Failure::unhealthy(format!("the encryption key of the account cannot be used: the storage answered {refusal}"))
        }
        "Md5Mismatch" | "Crc64Mismatch" => Failure::unhealthy("the storage received other content than was sent"),
        _ => refusal.explain_status(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_class_and_message() {
        for (status, code, text, class, message) in [
            (403, "ContainerDisabled", "", "unhealthy", "the container media is disabled"),
            (409, "BlobArchived", "", "unhealthy", "the blob allswell/* is archived and cannot be read"),
            (409, "BlobBeingRehydrated", "", "unhealthy", "the blob allswell/* is being restored from the archive"),
            (403, "InsufficientAccountPermissions", "Write operations are not allowed.", "unhealthy", "the account orders is read-only"),
            (403, "KeyBasedAuthenticationNotPermitted", "", "rejected", "the account orders does not accept access keys"),
            (409, "PublicAccessNotPermitted", "", "rejected", "the account orders does not allow access from this machine"),
            (
                403,
                "AuthenticationFailed",
                "Signature not valid in the specified time frame: Start [x] - Expiry [y] - Current [z]",
                "rejected",
                "the shared access signature has expired, or is not valid yet",
            ),
            (
                403,
                "AuthenticationFailed",
                "Request date header too old: 'x'",
                "rejected",
                "the clocks of this machine and the storage differ too much",
            ),
            (
                401,
                "InvalidAuthenticationInfo",
                "Lifetime validation failed. The token is expired.",
                "rejected",
                "the credentials have expired",
            ),
            (401, "NoAuthenticationInformation", "", "rejected", "the storage requires credentials, and none were sent"),
            (500, "OperationTimedOut", "", "unhealthy", "the storage took too long: it answered 500 OperationTimedOut"),
            (400, "Md5Mismatch", "", "unhealthy", "the storage received other content than was sent"),
        ] {
            let failure = explain(&Refusal::with_code(Action::Write, status, code, text), "orders", "media", "allswell/*");
            assert_eq!((failure.class().as_str(), failure.message()), (class, message), "{code}");
        }
    }
}
