//! Endpoints: which host has the bucket, and where AWS has them.

use super::Addressing;
use crate::{contract::InvalidConfig, wire::http1::Origin};
use url::Url;

/// Whether the host already has the bucket before its name, as `media.s3.eu-central-1.amazonaws.com`.
pub(super) fn carries_bucket(bucket: &str, url: &Url, addressing: Addressing) -> bool {
    let rest = url.host_str().and_then(|host| host.strip_prefix(bucket)?.strip_prefix('.'));
    rest.is_some_and(|rest| {
        let is_aws = (rest.starts_with("s3.") || rest.starts_with("s3-")) && rest.contains(".amazonaws.com");
        addressing == Addressing::Virtual || is_aws
    })
}

/// Puts the bucket before the host name, and returns the origin of the result. An IP address cannot have a bucket.
pub(super) fn put_in_front(bucket: &str, url: &mut Url) -> Result<Origin, InvalidConfig> {
    let refused = || InvalidConfig::new("endpoint", "cannot have a bucket before its host: set `addressing` to `path`");
    let host = url.domain().map(|domain| format!("{bucket}.{domain}")).ok_or_else(refused)?;
    url.set_host(Some(&host)).map_err(|_| refused())?;
    Ok(Origin::new(url.scheme() == "https", &host, url.port()))
}

/// The endpoint of AWS in a region, if it is not the usual one: `s3.REGION.amazonaws.com`.
/// <https://docs.aws.amazon.com/general/latest/gr/s3.html>
pub(super) fn of_aws(region: &str, fips: bool, dualstack: bool) -> Option<String> {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let is_usual = !fips && !dualstack && !region.starts_with("cn-");
    let (fips, dualstack) = (if fips { "-fips" } else { "" }, if dualstack { ".dualstack" } else { "" });
    (!is_usual).then(|| format!("https://s3{fips}{dualstack}.{region}.{domain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn a_bucket_is_put_before_a_name_but_not_before_an_address() {
        let mut named = url("https://s3.internal:9000/");
        put_in_front("media", &mut named).expect("a name");
        assert_eq!(named.as_str(), "https://media.s3.internal:9000/");
        assert!(put_in_front("media", &mut url("http://127.0.0.1:9000")).is_err());
    }

    #[test]
    fn a_host_that_has_the_bucket_is_recognised() {
        for (endpoint, path, virtual_hosted) in [
            ("https://media.s3.eu-central-1.amazonaws.com", true, true),
            ("https://media.s3-accelerate.amazonaws.com", true, true),
            ("https://media.s3.cn-north-1.amazonaws.com.cn", true, true),
            // With a path, this may be a store at a host of that name.
            ("https://media.example.com", false, true),
            ("https://s3.eu-central-1.amazonaws.com", false, false),
            ("https://mediaserver.example.com", false, false),
        ] {
            let carried = |addressing| carries_bucket("media", &url(endpoint), addressing);
            assert_eq!((carried(Addressing::Path), carried(Addressing::Virtual)), (path, virtual_hosted), "{endpoint}");
        }
    }

    #[test]
    fn aws_has_other_endpoints_for_fips_dual_stack_and_china() {
        for (region, fips, dualstack, expected) in [
            ("eu-central-1", false, false, None),
            ("us-east-1", true, false, Some("https://s3-fips.us-east-1.amazonaws.com")),
            ("eu-central-1", false, true, Some("https://s3.dualstack.eu-central-1.amazonaws.com")),
            ("us-gov-west-1", true, true, Some("https://s3-fips.dualstack.us-gov-west-1.amazonaws.com")),
            ("cn-north-1", false, false, Some("https://s3.cn-north-1.amazonaws.com.cn")),
        ] {
            assert_eq!(of_aws(region, fips, dualstack).as_deref(), expected, "{region}");
        }
    }
}
