//! What an error response of S3 means, by its code and the action.

use crate::{
    contract::Failure,
    object_storage::{self, Action, Refusal},
};

/// The region of the bucket, if the response names it.
fn region(refusal: &Refusal) -> Option<String> {
    refusal.header("x-amz-bucket-region").or_else(|| refusal.element("Region"))
}

/// Whether the bucket is at another place.
pub(super) fn is_elsewhere(refusal: &Refusal) -> bool {
    let moved = matches!(refusal.code.as_str(), "PermanentRedirect" | "TemporaryRedirect" | "IllegalLocationConstraintException");
    let is_for_other_region = refusal.code == "AuthorizationHeaderMalformed" && region(refusal).is_some();
    moved || is_for_other_region || (refusal.status.is_redirection() && region(refusal).is_some())
}

/// Whether Object Lock protects a version: by the code of `MinIO`, or by the texts of AWS, Ceph and others.
pub(super) fn is_retained(refusal: &Refusal) -> bool {
    let texts = ["object lock", "Object Lock", "object protected", "WORM"];
    refusal.code == "ObjectLocked" || (refusal.code == "AccessDenied" && texts.iter().any(|text| refusal.mentions(text)))
}

pub(super) fn explain(refusal: &Refusal, bucket: &str, object: &str) -> Failure {
    if is_elsewhere(refusal) {
        return Failure::unhealthy(match region(refusal) {
            Some(region) => format!("the bucket {bucket} is in another region: set `region` to {region}"),
            None => format!("the bucket {bucket} is in another region, or at another endpoint"),
        });
    }
    if refusal.status.is_redirection() {
        return Failure::unhealthy("the endpoint redirects to another address: set `endpoint` to the storage itself");
    }
    if is_retained(refusal) {
        return Failure::unhealthy("Object Lock protects it: set `mode = \"read\"`");
    }
    if refusal.action == Action::DeleteVersion && refusal.code == "AccessDenied" && !refusal.mentions("s3:DeleteObjectVersion") {
        return Failure::rejected(format!("access denied: Object Lock protects it, or needs s3:DeleteObjectVersion on {bucket}/{object}"));
    }
    let right = match refusal.action {
        Action::Write => "s3:PutObject",
        Action::Read => "s3:GetObject",
        Action::Delete => "s3:DeleteObject",
        Action::DeleteVersion => "s3:DeleteObjectVersion",
    };
    object_storage::explain_s3_code(refusal, bucket, object, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_under_object_lock_is_recognised_by_the_texts_of_each_store() {
        let explained = |code: &str, text: &str| {
            let refusal = Refusal::with_code(Action::DeleteVersion, 403, code, text);
            explain(&refusal, "media", "allswell/*").message().to_owned()
        };
        let locked = "Object Lock protects it: set `mode = \"read\"`";
        assert_eq!(explained("AccessDenied", "Access Denied because object protected by object lock."), locked);
        assert_eq!(explained("ObjectLocked", "Object is WORM protected and cannot be overwritten"), locked);
        assert_eq!(
            explained("AccessDenied", "Access Denied"),
            "access denied: Object Lock protects it, or needs s3:DeleteObjectVersion on media/allswell/*"
        );
        let text = "User: arn:aws:iam::1:user/a is not authorized to perform: s3:DeleteObjectVersion on resource";
        assert_eq!(explained("AccessDenied", text), "access denied: needs s3:DeleteObjectVersion on media/allswell/*");
    }
}
