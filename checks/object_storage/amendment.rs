//! Headers that the driver does not send, and requests that it does not offer.

use crate::contract::Failure;
use hyper::{HeaderMap, Method, Uri, header::AUTHORIZATION};
use object_store::client::{HttpRequest, HttpRequestBody};
use std::sync::Arc;
use url::Url;

/// Signs a request as the driver signs its own. Without credentials it does nothing.
pub(crate) type Signer = Arc<dyn Fn(&mut HttpRequest) -> object_store::Result<()> + Send + Sync>;

/// More headers for a request of the driver. The transport finds it in the extensions of the request, and signs the request again.
#[derive(Clone)]
pub(super) struct Amendment {
    pub(super) headers: HeaderMap,
    pub(super) signer: Signer,
}

impl Amendment {
    /// Adds the headers to a request, and signs it.
    pub(super) fn apply(self, request: &mut HttpRequest) -> Result<(), Failure> {
        request.headers_mut().remove(AUTHORIZATION);
        request.headers_mut().extend(self.headers);
        (self.signer)(request).map_err(Failure::internal)
    }

    /// A request that deletes one version of an object. `object` is the URL of the request that wrote it.
    pub(super) fn deletion(self, object: &Uri, parameter: &str, version: &str) -> Result<HttpRequest, Failure> {
        let mut url = Url::parse(&object.to_string()).map_err(Failure::internal)?;
        url.query_pairs_mut().clear().append_pair(parameter, version);
        let request = hyper::Request::builder().method(Method::DELETE).uri(url.as_str());
        let mut request = request.body(HttpRequestBody::empty()).map_err(Failure::internal)?;
        self.apply(&mut request)?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn amendment() -> Amendment {
        let signer: Signer = Arc::new(|request| {
            request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("new"));
            Ok(())
        });
        Amendment { headers: HeaderMap::from_iter([(hyper::header::ETAG, HeaderValue::from_static("more"))]), signer }
    }

    #[test]
    fn the_headers_are_added_before_the_request_is_signed_again() {
        let request = hyper::Request::put("https://host/media/a").header(AUTHORIZATION, "old").body(HttpRequestBody::empty());
        let mut request = request.expect("a request");
        amendment().apply(&mut request).expect("it is signed");
        assert_eq!((&request.headers()["etag"], &request.headers()[AUTHORIZATION]), (&"more".parse().unwrap(), &"new".parse().unwrap()));
        assert_eq!(request.headers().get_all(AUTHORIZATION).iter().count(), 1);
    }

    #[test]
    fn a_version_is_deleted_at_the_url_of_the_object_without_its_query() {
        let written = "https://host/media/a%2Bb?sig=x".parse().expect("a URI");
        let request = amendment().deletion(&written, "versionId", "a+/=b").expect("a request");
        assert_eq!(
            (request.method(), request.uri().to_string().as_str()),
            (&Method::DELETE, "https://host/media/a%2Bb?versionId=a%2B%2F%3Db")
        );
    }
}
