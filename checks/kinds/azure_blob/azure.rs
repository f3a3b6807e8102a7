//! The client of a container, with credentials of the account or the usual chain of Azure's libraries.

use super::reasons;
use crate::{
    contract::prelude::*,
    object_storage::{
        self, Action, Provider, Refusal, Signer, StorageTransport, Versions,
        environment::{self, variable},
    },
};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use object_store::{
    StaticCredentialProvider,
    azure::{AzureAuthorizer, AzureConfigKey as Key, AzureCredential, AzureCredentialProvider, MicrosoftAzure, MicrosoftAzureBuilder},
};
use std::sync::Arc;

/// The headers of a write that name the encryption scope.
pub(super) fn headers(encryption_scope: Option<&str>) -> Result<HeaderMap, InvalidConfig> {
    let mut headers = HeaderMap::new();
    if let Some(scope) = encryption_scope {
        let is_name = !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let value = Some(scope).filter(|_| is_name).and_then(|scope| HeaderValue::from_str(scope).ok());
        let value = value.ok_or_else(|| InvalidConfig::new("encryption_scope", "is not the name of an encryption scope"))?;
        headers.insert(HeaderName::from_static("x-ms-encryption-scope"), value);
    }
    Ok(headers)
}

/// A container.
pub(super) struct Azure {
    account: String,
    container: String,
    endpoint: Option<String>,
    credentials: Option<AzureCredentialProvider>,
    anonymous: bool,
    /// Headers of a write.
    headers: HeaderMap,
    /// Whether requests contain a token, which anyone could reuse; a signature is not reusable.
    sends_reusable_credentials: bool,
}

impl Azure {
    pub(super) fn new(
        account: String,
        container: String,
        endpoint: Option<String>,
        credentials: Option<AzureCredential>,
        anonymous: bool,
        headers: HeaderMap,
    ) -> Self {
        // A signature by the access key is valid for one request only.
        let sends_reusable_credentials = !anonymous && !matches!(credentials, Some(AzureCredential::AccessKey(_)));
        let credentials = credentials.map(|credential| Arc::new(StaticCredentialProvider::new(credential)) as AzureCredentialProvider);
        Self { account, container, endpoint, credentials, anonymous, headers, sends_reusable_credentials }
    }

    /// The usual chain, by the variables of Azure's libraries and command line.
    fn usual_chain(&self) -> MicrosoftAzureBuilder {
        let other = |account: String| account != self.account;
        // A key or a signature in the environment is for the account that the environment names.
        let is_for_other =
            variable("AZURE_STORAGE_ACCOUNT").is_some_and(other) || variable("AZURE_STORAGE_ACCOUNT_NAME").is_some_and(other);
        let mut builder =
            environment::with_prefix("AZURE_").fold(MicrosoftAzureBuilder::new(), |builder, (name, value)| match name.parse() {
                Ok(Key::AccessKey | Key::SasKey) if is_for_other => builder,
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            });
        if let Some(key) = variable("AZURE_STORAGE_KEY").filter(|_| !is_for_other) {
            builder = builder.with_access_key(key);
        }
        if let Some(endpoint) = variable("IDENTITY_ENDPOINT") {
            builder = builder.with_msi_endpoint(endpoint);
        }
        builder
    }
}

#[async_trait]
impl Provider for Azure {
    type Client = MicrosoftAzure;

    const VERSIONS: Versions = Versions { parameter: "versionid", current_by_name: false };

    fn sends_reusable_credentials(&self) -> bool {
        self.sends_reusable_credentials
    }

    fn client(&self, transport: StorageTransport) -> Result<MicrosoftAzure, Failure> {
        let mut builder = self.usual_chain();
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        if let Some(credentials) = &self.credentials {
            builder = builder.with_credentials(Arc::clone(credentials));
        }
        let builder = builder
            .with_account(&self.account)
            .with_container_name(&self.container)
            .with_use_emulator(false)
            .with_skip_signature(self.anonymous)
            .with_retry(object_storage::no_retries())
            .with_http_connector(transport);
        builder.build().map_err(object_storage::unusable_credentials)
    }

    async fn log_in(&self, client: &MicrosoftAzure) -> object_store::Result<()> {
        if self.anonymous { Ok(()) } else { client.credentials().get_credential().await.map(drop) }
    }

    async fn signer(&self, client: &MicrosoftAzure) -> object_store::Result<Signer> {
        if self.anonymous {
            return Ok(Arc::new(|_| Ok(())));
        }
        let (credential, account) = (client.credentials().get_credential().await?, self.account.clone());
        Ok(Arc::new(move |request| {
            // The driver has already added a shared access signature to the URL.
            let is_signed = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("sig=")));
            if is_signed { Ok(()) } else { AzureAuthorizer::new(&credential, &account).try_authorize(request) }
        }))
    }

    fn headers(&self, action: Action, _: &[u8]) -> HeaderMap {
        if action == Action::Write { self.headers.clone() } else { HeaderMap::new() }
    }

    fn is_retained(&self, refusal: &Refusal) -> bool {
        reasons::is_retained(refusal)
    }

    fn explain(&self, refusal: &Refusal, object: &str) -> Failure {
        reasons::explain(refusal, &self.account, &self.container, object)
    }
}
