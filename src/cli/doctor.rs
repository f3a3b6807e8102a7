//! `allswell doctor`: polls an endpoint as each client does, and reports what each would conclude, why, and what to change.

use super::{
    doctor_output::{Format, Output},
    error::CommandError,
    exit::Exit,
    own_service::OwnService,
    terminal::{print_error, print_warning, uses_colour},
};
use crate::{
    config::{Configured, ProxyProtocol, Sources, load},
    doctor::{AllswellSettings, Client, Target, TargetGroup, examine, poll_as, read_target_groups},
    kinds::Registry,
    pollers::PollerKind,
};
use allswell_checks::wire::address::Dialer;
use clap::Args;
use std::{path::PathBuf, time::Duration};
use tokio::{runtime, time::timeout};
use url::Url;

/// The arguments of `doctor`.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Health endpoint to poll [default: /health of the service that runs here with the same configuration; none with --alb-json]
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// Clients to imitate, separated by commas: alb, nlb, classic-elb, route53, kubelet, haproxy, envoy, consul [default: all]
    #[arg(long = "as", value_name = "CLIENT", value_delimiter = ',')]
    clients: Vec<PollerKind>,
    /// File with the output of `aws elbv2 describe-target-groups`: check these settings, and with a URL also poll with them; can be repeated for the output of `describe-target-group-attributes`
    #[arg(long, value_name = "FILE")]
    alb_json: Vec<PathBuf>,
    /// Format of the result
    #[arg(long, value_name = "F", value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How long the own service may take to be found and to accept a connection.
const SEARCH: Duration = Duration::from_secs(2);

impl Doctor {
    pub(super) fn run(self, sources: &Sources, registry: &Registry) -> Result<Exit, CommandError> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Start)?;
        // Target groups alone can be judged without polling anything.
        let polls = self.alb_json.is_empty() || self.url.is_some() || !self.clients.is_empty();
        let own = (polls && self.url.is_none()).then(|| runtime.block_on(OwnService::find(sources, SEARCH)));
        let is_running = own.as_ref().is_some_and(|own| own.as_ref().is_ok_and(|own| own.is_running));
        // The diagnosis of a server that was found without the configuration does not need one without mistakes.
        let configured = match load(sources, registry) {
            Ok(configured) => Some(configured),
            Err(error) if self.url.is_some() || is_running => {
                print_error(&error.to_string());
                print_warning("allswell's own configuration is ignored");
                None
            }
            Err(error) => return Err(error.into()),
        };
        let groups = if self.alb_json.is_empty() { Vec::new() } else { read_target_groups(&self.alb_json).map_err(CommandError::Usage)? };
        let (clients, not_polled) = self.clients(&groups);
        let is_configured = |configured: &&Configured| configured.has_configured_checks || !configured.files.is_empty();
        let allswell = configured.as_ref().filter(is_configured).map(allswell_settings);
        let advice = groups.iter().map(|group| group.advise(allswell.as_ref())).collect();
        let mut output = Output::new(self.format, uses_colour(&sources.environment), advice, not_polled);
        if polls {
            let url = match (&self.url, own) {
                (Some(url), _) => parse_url(url)?,
                (None, Some(own)) => runtime.block_on(own_health_url(own?))?,
                (None, None) => return Err(not_a_url()),
            };
            runtime.block_on(poll_all(url, clients, &mut output))?;
        }
        runtime.shutdown_background();
        Ok(if output.finish() { Exit::Done } else { Exit::NotWell })
    }

    /// The clients to poll as: the named ones, or those of the target groups, or all. And the target groups that cannot be tried, with the reason.
    fn clients(&self, groups: &[TargetGroup]) -> (Vec<Client>, Vec<String>) {
        if !self.clients.is_empty() {
            return (self.clients.iter().copied().map(Client::from).collect(), Vec::new());
        }
        if groups.is_empty() {
            return (PollerKind::ALL.map(Client::from).into(), Vec::new());
        }
        let (mut clients, mut not_polled) = (Vec::new(), Vec::new());
        for group in groups {
            match group.client() {
                Ok(client) => clients.push(client),
                Err(reason) => not_polled.push(format!("{}: {reason}", group.name)),
            }
        }
        (clients, not_polled)
    }
}

/// The URL of the whole report of the own service, at the first of its addresses that accepts a connection.
async fn own_health_url(service: OwnService) -> Result<Url, CommandError> {
    let mut reached = service.addresses.first();
    for address in &service.addresses {
        if timeout(SEARCH, Dialer::default().connect(address)).await.is_ok_and(|connected| connected.is_ok()) {
            reached = Some(address);
            break;
        }
    }
    let url = reached.and_then(|address| Url::parse(&format!("{}://{address}/health", service.scheme())).ok());
    url.ok_or_else(not_a_url)
}

/// Polls the URL as each client, and looks for the causes of what they conclude.
async fn poll_all(url: Url, clients: Vec<Client>, output: &mut Output) -> Result<(), CommandError> {
    let target = Target::resolve(url).await.map_err(|failure| CommandError::NotWell(failure.message().to_owned()))?;
    let width = clients.iter().map(|client| client.label.chars().count()).max().unwrap_or_default();
    output.begin(&target, width);
    let mut results = Vec::new();
    for client in clients {
        let result = poll_as(client, &target).await;
        output.client(&result);
        results.push(result);
    }
    output.findings(examine(&target, &results).await);
    Ok(())
}

fn not_a_url() -> CommandError {
    CommandError::Usage("this is not an HTTP URL: write http://127.0.0.1:8000/health".to_owned())
}

fn parse_url(text: &str) -> Result<Url, CommandError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(not_a_url)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(CommandError::Usage("no client sends credentials: remove user and password from the URL".to_owned()));
    }
    Ok(url)
}

/// What the doctor needs to know about this allswell to compare it with target groups.
fn allswell_settings(configured: &Configured) -> AllswellSettings {
    let server = &configured.settings.server;
    AllswellSettings {
        port: server.listen.rsplit_once(':').and_then(|(_, port)| port.parse().ok()),
        deadline: server.deadline.0,
        drain: server.drain.0,
        fail_status: server.fail_status,
        warn_status: server.warn_status,
        accepts_proxy_header: server.proxy_protocol == ProxyProtocol::Accept,
        components: configured.components.iter().map(|component| (component.name.clone(), component.policy.clone())).collect(),
        groups: configured
            .groups
            .iter()
            .map(|(name, group)| (name.clone(), (group.checks.iter().cloned().collect(), group.fail_status)))
            .collect(),
    }
}
