//! `allswell get`: requests a report from a running allswell, for images that have no curl.

use super::{
    check::dialects,
    duration::duration,
    error::CommandError,
    exit::Exit,
    get_request::GetRequest,
    get_target::GetTarget,
    own_service::OwnService,
    terminal::{print, printable_lines, stdout_is_terminal},
};
use crate::{
    config::{Sources, read_secret},
    dialect::Dialect,
};
use allswell_checks::contract::{Secret, TimeSpan};
use bytes::Bytes;
use clap::Args;
use hyper::{StatusCode, header::HeaderValue};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::{runtime, time::timeout};

/// The arguments of `get`.
#[derive(Debug, Args)]
pub(super) struct Get {
    /// URL, or path of the service that runs here with the same configuration [default: /health]
    #[arg(value_name = "URL|PATH")]
    target: Option<String>,
    /// Timeout of the request, such as 500ms or 5s
    #[arg(long, value_name = "D", default_value = "5s", value_parser = duration)]
    timeout: Duration,
    /// Format of the report [default: json]
    #[arg(long, value_name = "F", value_parser = dialects())]
    format: Option<Dialect>,
    /// File with the token of the service: the report then has causes
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Why a token is not sent to the address of the configuration: anybody may listen there while the service does not run.
const NOT_SENT: &str =
    "no running service uses this configuration, and another program may listen on its port: pass the URL to send the token to";

/// The status and the body of a response.
type Response = (StatusCode, Bytes);

impl Get {
    pub(super) fn run(self, sources: &Sources) -> Result<Exit, CommandError> {
        let mut target = GetTarget::parse(self.target.as_deref())?;
        if let Some(format) = self.format {
            target = target.with_format(format.name())?;
        }
        let authorization = self.authorization(&target)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Start)?;
        let response = runtime.block_on(self.request(target, authorization.as_ref(), sources));
        runtime.shutdown_background();
        let (status, body) = response?;
        let body = String::from_utf8_lossy(&body);
        // A program gets every byte; a terminal would interpret control characters.
        if stdout_is_terminal() {
            print(&printable_lines(&body));
        } else {
            print(&body);
        }
        if status.is_success() { Ok(Exit::Done) } else { Err(CommandError::NotWell(format!("the server answered {status}"))) }
    }

    /// The value of the header `Authorization`: the token, or the credentials of the URL.
    fn authorization(&self, target: &GetTarget) -> Result<Option<HeaderValue>, CommandError> {
        let token = self.token_file.as_ref().map(|file| {
            let unusable = |message| CommandError::Usage(format!("--token-file: {message}"));
            read_secret(file).map(|token| Secret::new(format!("Bearer {}", token.expose()))).map_err(unusable)
        });
        let value = match (token.transpose()?, target.basic_credentials()) {
            (Some(_), Some(_)) => {
                return Err(CommandError::Usage(
                    "--token-file and credentials in the URL exclude each other: remove one of them".to_owned(),
                ));
            }
            (token, credentials) => token.or(credentials),
        };
        let header = |secret: Secret| {
            let mut value = HeaderValue::from_str(secret.expose())
                .map_err(|_| CommandError::Usage("--token-file: the token has characters that an HTTP header cannot carry".to_owned()))?;
            value.set_sensitive(true);
            Ok(value)
        };
        value.map(header).transpose()
    }

    async fn request(&self, target: GetTarget, authorization: Option<&HeaderValue>, sources: &Sources) -> Result<Response, CommandError> {
        let start = Instant::now();
        let mut request = match target {
            GetTarget::Own(path) => {
                let service = OwnService::find(sources, self.timeout).await?;
                if authorization.is_some() && !service.is_running && service.tls.is_none() {
                    return Err(CommandError::NotWell(NOT_SENT.to_owned()));
                }
                GetRequest::own(service, path)
            }
            GetTarget::Url(url) => GetRequest::url(&url),
        };
        let response = timeout(self.timeout.saturating_sub(start.elapsed()), request.send(authorization)).await;
        let server = request.server_and_path();
        response
            .map_err(|_| CommandError::NotWell(format!("no response from {server} within {}", TimeSpan(self.timeout))))?
            .map_err(|error| CommandError::NotWell(format!("no response from {server}: {error}")))
    }
}
