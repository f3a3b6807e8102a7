//! What a response must be like: its status, headers and body.

use crate::contract::{from_text, prelude::*};
use hyper::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, HeaderName},
};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap, ops::RangeInclusive, str::FromStr};

/// The message for an invalid header name. The name is not quoted: often it contains the value, too.
pub(super) const NOT_A_NAME: &str = "a key is not a header name: write `{ X-Api-Key = \"value\" }`";

/// Maximum number of bytes of a body that are examined.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;

/// A status code or a range of them: `"204"`, `"200-299"`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", inline)]
pub struct Statuses(RangeInclusive<u16>);

impl Statuses {
    /// The default.
    pub(super) fn successes() -> Vec<Self> {
        vec![Self(200..=299)]
    }
}

impl FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let status = |text: &str| text.trim().parse::<u16>().ok().filter(|status| (100..=599).contains(status));
        match (status(first), status(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self(first..=last)),
            _ => Err("not a status: write \"204\" or \"200-299\"".to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

/// Defaults in the documentation have the form in which users write them.
impl Serialize for Statuses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}-{}", self.0.start(), self.0.end()))
    }
}

/// A JSON value without other values in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Scalar(Value);

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean", "null"], "title": "text, number or truth value" })
    }
}

impl Scalar {
    /// Whether a value is equal. Numbers are compared as numbers, so that `1` is `1.0`.
    fn is(&self, found: &Value) -> bool {
        self.0 == *found || (self.0.is_number() && self.0.as_f64() == found.as_f64())
    }
}

/// Everything that is expected of a response.
pub(super) struct Expectation {
    status: Vec<Statuses>,
    headers: Vec<(HeaderName, String)>,
    body: Option<String>,
    json: BTreeMap<String, Scalar>,
}

impl Expectation {
    pub(super) fn new(
        status: Vec<Statuses>,
        headers: BTreeMap<String, String>,
        body: Option<String>,
        json: BTreeMap<String, Scalar>,
    ) -> Result<Self, InvalidConfig> {
        if status.is_empty() {
            return Err(InvalidConfig::new("expect_status", "is empty: no response would ever pass"));
        }
        if body.as_ref().is_some_and(|text| text.is_empty() || text.len() > MAX_BODY_BYTES) {
            return Err(InvalidConfig::new("expect_body", "must have between 1 byte and 64 KiB"));
        }
        for (pointer, value) in &json {
            if !pointer.is_empty() && !pointer.starts_with('/') {
                return Err(InvalidConfig::new("expect_json", "a key is not a JSON pointer: write `\"/status\" = \"ok\"`"));
            }
            if value.0.is_array() || value.0.is_object() {
                return Err(InvalidConfig::new("expect_json", "each value must be text, a number, true or false"));
            }
        }
        let name = |(name, part): (String, String)| match name.parse() {
            Ok(parsed) => Ok((parsed, part)),
            Err(_) => Err(InvalidConfig::new("expect_headers", NOT_A_NAME)),
        };
        let headers = headers.into_iter().map(name).collect::<Result<_, _>>()?;
        Ok(Self { status, headers, body, json })
    }

    /// The first key that needs the body.
    pub(super) fn body_key(&self) -> Option<&'static str> {
        if self.body.is_some() { Some("expect_body") } else { self.expects_json().then_some("expect_json") }
    }

    pub(super) fn expects_json(&self) -> bool {
        !self.json.is_empty()
    }

    pub(super) fn accepts(&self, status: StatusCode) -> bool {
        self.status.iter().any(|expected| expected.0.contains(&status.as_u16()))
    }

    pub(super) fn check_headers(&self, headers: &HeaderMap) -> Result<(), Failure> {
        for (name, part) in &self.headers {
            let mut values = headers.get_all(name).iter().peekable();
            if values.peek().is_none() {
                return Err(Failure::unhealthy(format!("the response has no header {name}")));
            }
            if !values.any(|value| contains(value.as_bytes(), part.as_bytes())) {
                return Err(Failure::unhealthy(format!("the header {name} does not have the expected value")));
            }
        }
        Ok(())
    }

    /// `beginning` is the beginning of the body; `json` is the complete body, if it is JSON.
    pub(super) fn check_body(&self, beginning: &[u8], json: Option<&Value>) -> Result<(), Failure> {
        if self.body.as_ref().is_some_and(|text| !contains(beginning, text.as_bytes())) {
            return Err(Failure::unhealthy("the expected text is not in the body"));
        }
        if !self.expects_json() {
            return Ok(());
        }
        let json = json.ok_or_else(|| Failure::unhealthy("the body is not JSON of at most 64 KiB"))?;
        for (pointer, expected) in &self.json {
            match json.pointer(pointer) {
                Some(found) if expected.is(found) => {}
                Some(_) => return Err(Failure::unhealthy(format!("the body's {pointer} is not the expected value"))),
                None => return Err(Failure::unhealthy(format!("the body has no {pointer}"))),
            }
        }
        Ok(())
    }
}

/// Whether a body is compressed, although the request asks for no encoding, unless `headers` do.
pub(super) fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity")
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn statuses_are_numbers_or_ranges() {
        assert_eq!("204".parse(), Ok(Statuses(204..=204)));
        assert_eq!("200 - 399".parse(), Ok(Statuses(200..=399)));
        for wrong in ["", "2xx", "299-200", "99", "200-999"] {
            assert!(wrong.parse::<Statuses>().is_err(), "{wrong}");
        }
    }

    fn expecting(json: &Value) -> Result<Expectation, InvalidConfig> {
        let json = serde_json::from_value(json.clone()).expect("a table");
        Expectation::new(Statuses::successes(), BTreeMap::new(), None, json)
    }

    #[test]
    fn values_are_compared_as_json() {
        let body = json!({ "status": "ok", "workers": 3.0, "ready": true, "error": null, "list": [{ "a/b": 1 }] });
        let said = |expected: Value| {
            let examined = expecting(&expected).expect("it is valid").check_body(b"", Some(&body));
            examined.err().map(|failure| failure.message().to_owned())
        };
        for well in [json!({ "/status": "ok", "/workers": 3 }), json!({ "/ready": true }), json!({ "/error": null, "/list/0/a~1b": 1 })] {
            assert_eq!(said(well.clone()), None, "{well}");
        }
        assert_eq!(said(json!({ "/workers": "3" })).as_deref(), Some("the body's /workers is not the expected value"));
        assert_eq!(said(json!({ "/error": 0 })).as_deref(), Some("the body's /error is not the expected value"));
        assert_eq!(said(json!({ "/none": true })).as_deref(), Some("the body has no /none"));
    }

    #[test]
    fn invalid_expectations_are_rejected() {
        for (wrong, message) in [
            (json!({ "status": "ok" }), "expect_json: a key is not a JSON pointer: write `\"/status\" = \"ok\"`"),
            (json!({ "/list": [] }), "expect_json: each value must be text, a number, true or false"),
        ] {
            assert_eq!(expecting(&wrong).err().map(|error| error.to_string()).as_deref(), Some(message));
        }
    }
}
