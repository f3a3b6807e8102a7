//! What an error response of Google Cloud Storage means, by its code and the action.
//! <https://cloud.google.com/storage/docs/xml-api/reference-status>

use crate::{
    contract::Failure,
    object_storage::{self, Action, Refusal},
};

/// Whether a retention policy, an object retention or a hold protects the object.
pub(super) fn is_retained(refusal: &Refusal) -> bool {
    let is_named = matches!(refusal.code.as_str(), "RetentionPolicyNotMet" | "ObjectUnderActiveHold");
    is_named || (refusal.status.as_u16() == 403 && (refusal.mentions("retention policy") || refusal.mentions(" hold and cannot be")))
}

pub(super) fn explain(refusal: &Refusal, bucket: &str, object: &str) -> Failure {
    if is_retained(refusal) {
        return Failure::unhealthy("a retention policy or a hold protects it: set `mode = \"read\"`");
    }
    if refusal.mentions("billing account") {
        return Failure::rejected("the billing account of the project is disabled");
    }
    let right = match refusal.action {
        Action::Write => "storage.objects.create",
        Action::Read => "storage.objects.get",
        Action::Delete | Action::DeleteVersion => "storage.objects.delete",
    };
    match refusal.code.as_str() {
        // Replacing an object deletes the old one.
        "AccessDenied" if refusal.mentions("storage.objects.delete") => {
            object_storage::explain_s3_code(refusal, bucket, object, "storage.objects.delete")
        }
        "UserProjectMissing" => Failure::rejected(format!("the bucket {bucket} is requester-pays: set `user_project`")),
        "UserProjectInvalid" => Failure::rejected("the project in `user_project` does not exist"),
        "UserProjectAccessDenied" => Failure::rejected("access denied: needs serviceusage.services.use on the project in `user_project`"),
        "AccountDisabled" | "UserProjectAccountProblem" => Failure::rejected("the account of the project is disabled"),
        "InvalidAuthentication" => Failure::rejected("the credentials are not accepted"),
        _ if refusal.status.as_u16() == 401 => Failure::rejected("the credentials are not accepted"),
        _ => object_storage::explain_s3_code(refusal, bucket, object, right),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_class_and_message() {
        let retained = "a retention policy or a hold protects it: set `mode = \"read\"`";
        for (status, code, text, class, message) in [
            (403, "AccessDenied", "", "rejected", "access denied: needs storage.objects.create on media/allswell/*"),
            (
                403,
                "AccessDenied",
                "app@p.iam.gserviceaccount.com does not have storage.objects.delete access to the Google Cloud Storage object.",
                "rejected",
                "access denied: needs storage.objects.delete on media/allswell/*",
            ),
            (403, "AccessDenied", "Object 'a' is subject to bucket's retention policy and cannot be deleted", "unhealthy", retained),
            (403, "RetentionPolicyNotMet", "", "unhealthy", retained),
            (403, "ObjectUnderActiveHold", "", "unhealthy", retained),
            (
                403,
                "UserProjectAccountProblem",
                "The billing account for the owning project is disabled in state absent",
                "rejected",
                "the billing account of the project is disabled",
            ),
            (403, "UserProjectAccountProblem", "", "rejected", "the account of the project is disabled"),
            (400, "UserProjectInvalid", "", "rejected", "the project in `user_project` does not exist"),
            (
                403,
                "UserProjectAccessDenied",
                "",
                "rejected",
                "access denied: needs serviceusage.services.use on the project in `user_project`",
            ),
            (400, "CloudKmsEncryptionKeyNotFound", "", "unhealthy", "the encryption key of the object does not exist"),
            (
                400,
                "CloudKmsBadKey",
                "",
                "unhealthy",
                "the encryption key of the object cannot be used: the storage answered 400 CloudKmsBadKey",
            ),
        ] {
            let failure = explain(&Refusal::with_code(Action::Write, status, code, text), "media", "allswell/*");
            assert_eq!((failure.class().as_str(), failure.message()), (class, message), "{code}");
        }
    }
}
