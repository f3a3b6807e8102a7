//! The storage account and its credentials, by the keys, a connection string or the environment.

use super::connection_string::ConnectionString;
use crate::contract::prelude::*;
use object_store::azure::{AzureAccessKey, AzureCredential, split_sas};

/// The keys that name the account and its credentials.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) account: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) connection_string: Option<Secret>,
    pub(super) access_key: Option<Secret>,
    pub(super) sas_token: Option<Secret>,
}

/// An account. Without credentials here, the usual chain finds them.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) endpoint: Option<String>,
    pub(super) credentials: Option<AzureCredential>,
    pub(super) warnings: Vec<ConfigWarning>,
}

impl Account {
    pub(super) fn new(keys: Keys, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, InvalidConfig> {
        let credentials = credentials(
            ("access_key", keys.access_key.as_ref().map(Secret::expose)),
            ("sas_token", keys.sas_token.as_ref().map(Secret::expose)),
        )?;
        if let Some(text) = keys.connection_string {
            if keys.account.is_some() || keys.endpoint.is_some() || credentials.is_some() {
                let message = "cannot be combined with `account`, `endpoint`, `access_key` or `sas_token`: choose one";
                return Err(InvalidConfig::new("connection_string", message));
            }
            return Self::from_connection_string("connection_string", text.expose());
        }
        // That of the environment is for the account that it names.
        let of_environment = variable("AZURE_STORAGE_CONNECTION_STRING");
        if let (Some(text), None) = (&of_environment, &credentials) {
            let names = |account: &str| ConnectionString::parse(text).is_ok_and(|parsed| parsed.account == account);
            match &keys.account {
                None => return Self::from_connection_string("account", text),
                Some(account) if names(account) => {
                    let mut found = Self::from_connection_string("account", text)?;
                    found.endpoint = keys.endpoint.or(found.endpoint);
                    return Ok(found);
                }
                Some(_) => {}
            }
        }
        let name = keys.account.or_else(|| variable("AZURE_STORAGE_ACCOUNT")).or_else(|| variable("AZURE_STORAGE_ACCOUNT_NAME"));
        let missing = || InvalidConfig::new("account", "is missing: write the name of the storage account, or a `connection_string`");
        Ok(Self { name: validated(name.ok_or_else(missing)?)?, endpoint: keys.endpoint, credentials, warnings: Vec::new() })
    }

    fn from_connection_string(key: &'static str, text: &str) -> Result<Self, InvalidConfig> {
        let parsed = ConnectionString::parse(text).map_err(|message| InvalidConfig::new(key, message))?;
        let warning = |part: &String| ConfigWarning::new(key, format!("{part} of the connection string has no effect here"));
        Ok(Self {
            name: validated(parsed.account)?,
            endpoint: parsed.endpoint,
            credentials: credentials((key, parsed.access_key.as_deref()), (key, parsed.sas_token.as_deref()))?,
            warnings: parsed.ignored.iter().map(warning).collect(),
        })
    }
}

fn validated(name: String) -> Result<String, InvalidConfig> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(InvalidConfig::new("account", "is not the name of a storage account: write only the name, such as `orders`"));
    }
    Ok(name)
}

/// The credentials from an access key or a shared access signature, each with the key of the configuration that has it.
fn credentials(
    (key_name, access_key): (&'static str, Option<&str>),
    (sas_name, sas_token): (&'static str, Option<&str>),
) -> Result<Option<AzureCredential>, InvalidConfig> {
    match (access_key, sas_token) {
        (Some(_), Some(_)) => Err(InvalidConfig::new(sas_name, "cannot be combined with an access key: choose one")),
        (Some(key), None) => {
            let key = AzureAccessKey::try_new(key.trim());
            let key = key.map_err(|_| InvalidConfig::new(key_name, "has an access key that is not base64, as keys of Azure are"))?;
            Ok(Some(AzureCredential::AccessKey(key)))
        }
        (None, Some(token)) => {
            let pairs = split_sas(token.trim());
            let pairs = pairs.map_err(|_| InvalidConfig::new(sas_name, "has a signature that is not of the form `sv=…&sig=…`"))?;
            Ok(Some(AzureCredential::SASToken(pairs)))
        }
        (None, None) => Ok(None),
    }
}

/// Variables of Azure's own library that name credentials which are not supported.
pub(super) fn unsupported_credentials(variable: &dyn Fn(&str) -> Option<String>) -> Option<ConfigWarning> {
    let is_set = |name: &str| variable(name).is_some();
    let names = ["AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_USERNAME"];
    let name = names.into_iter().find(|name| is_set(name) && !is_set("AZURE_CLIENT_SECRET") && !is_set("AZURE_FEDERATED_TOKEN_FILE"))?;
    Some(ConfigWarning::new("account", format!("{name} has no effect: set AZURE_CLIENT_SECRET, or use a workload or managed identity")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(keys: Keys, variables: &[(&str, &str)]) -> Result<(String, Option<String>, bool), &'static str> {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let found = Account::new(keys, &variable).map_err(|error| error.key)?;
        Ok((found.name, found.endpoint, found.credentials.is_some()))
    }

    fn named(account: &str) -> Keys {
        Keys { account: Some(account.to_owned()), ..Keys::default() }
    }

    const STRING: &str = "AccountName=orders;AccountKey=c2VjcmV0";

    #[test]
    fn the_account_comes_from_a_key_a_connection_string_or_the_environment() {
        let orders = |has_credentials| Ok(("orders".to_owned(), None, has_credentials));
        let string = || Keys { connection_string: Some(Secret::new(STRING)), ..Keys::default() };
        assert_eq!(account(named("orders"), &[]), orders(false));
        assert_eq!(account(string(), &[]), orders(true));
        assert_eq!(account(Keys::default(), &[("AZURE_STORAGE_CONNECTION_STRING", STRING)]), orders(true));
        assert_eq!(account(Keys::default(), &[("AZURE_STORAGE_ACCOUNT", "orders")]), orders(false));
        assert_eq!(account(Keys::default(), &[]), Err("account"));
        assert_eq!(account(Keys { account: Some("orders".to_owned()), ..string() }, &[]), Err("connection_string"));
    }

    #[test]
    fn the_key_of_a_connection_string_is_used_only_for_its_account() {
        let variables = [("AZURE_STORAGE_CONNECTION_STRING", STRING)];
        assert_eq!(account(named("orders"), &variables).map(|(.., has_credentials)| has_credentials), Ok(true));
        assert_eq!(account(named("other"), &variables).map(|(.., has_credentials)| has_credentials), Ok(false));
    }
}
