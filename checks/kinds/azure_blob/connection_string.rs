//! Connection strings of Azure Storage: <https://learn.microsoft.com/en-us/azure/storage/common/storage-configure-connection-string>.

use std::collections::BTreeMap;

/// The account and the key of every emulator, which are public.
/// <https://learn.microsoft.com/en-us/azure/storage/common/storage-connect-azurite>
const EMULATOR: (&str, &str) =
    ("devstoreaccount1", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==");

/// Parts that have an effect here.
const KNOWN: [&str; 8] = [
    "accountname",
    "accountkey",
    "sharedaccesssignature",
    "blobendpoint",
    "endpointsuffix",
    "defaultendpointsprotocol",
    "usedevelopmentstorage",
    "developmentstorageproxyuri",
];

/// Parts for other services of the account.
const OF_OTHER_SERVICES: [&str; 8] = [
    "queueendpoint",
    "tableendpoint",
    "fileendpoint",
    "dfsendpoint",
    "blobsecondaryendpoint",
    "queuesecondaryendpoint",
    "tablesecondaryendpoint",
    "filesecondaryendpoint",
];

/// What a connection string says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ConnectionString {
    pub(super) account: String,
    pub(super) endpoint: Option<String>,
    pub(super) access_key: Option<String>,
    pub(super) sas_token: Option<String>,
    /// Parts that have no effect.
    pub(super) ignored: Vec<String>,
}

impl ConnectionString {
    /// Parses a connection string. Errors do not quote it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = BTreeMap::new();
        let mut ignored = Vec::new();
        for part in text.trim().trim_matches(['"', '\'']).split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or("is not of the form `AccountName=…;AccountKey=…`")?;
            let known = name.trim().to_ascii_lowercase();
            if KNOWN.contains(&&*known) {
                parts.insert(known, value.trim().to_owned());
            } else if !OF_OTHER_SERVICES.contains(&&*known) {
                let is_word = known.len() <= 40 && known.bytes().all(|byte| byte.is_ascii_alphanumeric());
                ignored.push(if is_word { format!("the part `{}`", name.trim()) } else { "a part".to_owned() });
            }
        }
        let mut take = |name: &str| parts.remove(name).filter(|value| !value.is_empty());
        if take("usedevelopmentstorage").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            let host = take("developmentstorageproxyuri").unwrap_or_else(|| "http://127.0.0.1".to_owned());
            let (account, key) = EMULATOR;
            let endpoint = Some(format!("{}:10000/{account}", host.trim_end_matches('/')));
            return Ok(Self { account: account.to_owned(), endpoint, access_key: Some(key.to_owned()), sas_token: None, ignored });
        }
        let (access_key, sas_token) = (take("accountkey"), take("sharedaccesssignature"));
        let endpoint = take("blobendpoint").map(|endpoint| endpoint.trim_end_matches('/').to_owned());
        let account = take("accountname").or_else(|| endpoint.as_deref().and_then(account_of));
        let account = account.ok_or("names no account: it has no `AccountName`, and none in `BlobEndpoint`")?;
        let (protocol, suffix) = (take("defaultendpointsprotocol"), take("endpointsuffix"));
        let endpoint = match (endpoint, protocol.as_deref(), suffix.as_deref()) {
            (Some(endpoint), ..) => Some(endpoint),
            (None, None | Some("https"), None | Some("core.windows.net")) => None,
            (None, protocol, suffix) => {
                let (protocol, suffix) = (protocol.unwrap_or("https"), suffix.unwrap_or("core.windows.net"));
                Some(format!("{protocol}://{account}.blob.{suffix}"))
            }
        };
        Ok(Self { account, endpoint, access_key, sas_token, ignored })
    }
}

/// The account in an endpoint: in its path, as with an emulator, or the first part of the host.
fn account_of(endpoint: &str) -> Option<String> {
    let (_, rest) = endpoint.split_once("://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let account = if path.is_empty() { host.split('.').next()? } else { path.split('/').next()? };
    let is_name = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_name.then(|| account.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Option<String>, Option<String>, Option<String>) {
        let parsed = ConnectionString::parse(text).expect(text);
        (parsed.account, parsed.endpoint, parsed.access_key, parsed.sas_token)
    }

    #[test]
    fn every_form_of_the_vendor_is_understood() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            parsed("DefaultEndpointsProtocol=https;AccountName=orders;AccountKey=a2V5==;EndpointSuffix=core.windows.net"),
            ("orders".to_owned(), None, some("a2V5=="), None)
        );
        assert_eq!(
            parsed("AccountName=orders;AccountKey=k;EndpointSuffix=core.chinacloudapi.cn;"),
            ("orders".to_owned(), some("https://orders.blob.core.chinacloudapi.cn"), some("k"), None)
        );
        assert_eq!(
            parsed("BlobEndpoint=https://orders.blob.core.windows.net/;SharedAccessSignature=sv=2024-11-04&sig=x%3D"),
            ("orders".to_owned(), some("https://orders.blob.core.windows.net"), None, some("sv=2024-11-04&sig=x%3D"))
        );
        assert_eq!(
            parsed("defaultendpointsprotocol=http;accountname=orders;accountkey=k"),
            ("orders".to_owned(), some("http://orders.blob.core.windows.net"), some("k"), None)
        );
        assert_eq!(
            parsed("BlobEndpoint=http://azurite:10000/devstoreaccount1;QueueEndpoint=http://azurite:10001/devstoreaccount1;AccountKey=k"),
            ("devstoreaccount1".to_owned(), some("http://azurite:10000/devstoreaccount1"), some("k"), None)
        );
        assert_eq!(
            parsed("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite"),
            (EMULATOR.0.to_owned(), some("http://azurite:10000/devstoreaccount1"), some(EMULATOR.1), None)
        );
    }

    #[test]
    fn errors_and_ignored_parts_show_no_value() {
        for text in ["hunter2", "AccountKey=hunter2", "BlobEndpoint=hunter2"] {
            let error = ConnectionString::parse(text).expect_err(text);
            assert!(!error.contains("hunter2"), "{error}");
        }
        let ignored = ConnectionString::parse("AccountName=a;Retry=hunter2;hunter 2=x").expect("a connection string").ignored;
        assert_eq!(ignored, ["the part `Retry`", "a part"]);
    }
}
