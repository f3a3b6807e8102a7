//! The login, the database, and the settings of a session.

use super::{
    parameters::{Origin, Parameters},
    servers::DatabaseServer,
    vocabulary,
};
use crate::contract::prelude::*;
use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions;
use sqlx_postgres::{PasswordFileIgnored, PgConnectOptions, libpq_password};
use std::path::PathBuf;

/// The login and the database.
pub(super) struct User {
    name: Option<String>,
    password: Option<String>,
    database: Option<String>,
}

impl User {
    pub(super) fn new(
        url: &::url::Url,
        parameters: &Parameters,
        username: Option<String>,
        password: Option<Secret>,
    ) -> Result<Self, InvalidConfig> {
        let decoded = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8();
            decoded.map(|text| Some(text.into_owned()).filter(|text| !text.is_empty()))
        };
        let not_utf8 = |_| InvalidConfig::new("url", "a percent-encoded part of the URL is not UTF-8");
        // A parameter of the URL counts more than its other parts, and these count more than a service or the environment.
        let chosen = |name: &str, of_url: Option<String>| match parameters.get(name) {
            Some(found) if found.origin == Origin::Url => Some(found.value.clone()),
            found => of_url.or_else(|| found.map(|found| found.value.clone())),
        };
        let name = decoded(url.username()).map_err(not_utf8)?;
        let of_url = decoded(url.password().unwrap_or_default()).map_err(not_utf8)?;
        let database = decoded(url.path().trim_start_matches('/')).map_err(not_utf8)?;
        // An empty value is usually that of a variable that has none.
        let password = password.map(|password| password.expose().to_owned()).filter(|password| !password.is_empty());
        Ok(Self {
            name: username.filter(|username| !username.is_empty()).or_else(|| chosen("user", name)),
            password: password.or_else(|| chosen("password", of_url)),
            database: chosen("dbname", database),
        })
    }

    /// The settings of a session with a server. Without a password, that of the password file is used.
    pub(super) fn options(&self, server: &DatabaseServer, parameters: &Parameters, warnings: &mut Vec<ConfigWarning>) -> PgConnectOptions {
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&server.host)
            .port(server.port)
            .raw_options(vocabulary::session_options(parameters))
            .application_name("allswell")
            // PgBouncer rejects this parameter.
            .extra_float_digits(None)
            .disable_statement_logging();
        if let Some(name) = &self.name {
            options = options.username(name);
        }
        if let Some(database) = &self.database {
            options = options.database(database);
        }
        let password = self.password.clone().or_else(|| {
            let file = parameters.value("passfile").map(PathBuf::from);
            let database = options.get_database().unwrap_or(options.get_username());
            libpq_password(file.as_deref(), &server.host, server.port, options.get_username(), database).unwrap_or_else(|ignored| {
                let warning = ConfigWarning::new("url", ignored_file(ignored));
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
                None
            })
        });
        match password {
            Some(password) => options.password(&password),
            None => options,
        }
    }
}

fn ignored_file(ignored: PasswordFileIgnored) -> &'static str {
    match ignored {
        PasswordFileIgnored::Exposed => "the password file is ignored, as by libpq, because others may read it: run `chmod 600` on it",
        PasswordFileIgnored::NotReadable => "the password file is ignored: it is not a regular file of at most 64 KiB",
    }
}
