//! `allswell doctor`: polls an endpoint as each client does, and reports what each would conclude, why, and what to change.

use super::{
    doctor_output::{Format, Output},
    error::CommandError,
    exit::Exit,
    get::own_health_url,
    terminal::{print_error, print_warning, uses_colour},
};
use crate::{
    config::{Configured, ProxyProtocol, Sources, load},
    doctor::{AllswellSettings, Client, Target, TargetGroup, examine, poll_as, read_target_groups},
    kinds::Registry,
    pollers::PollerKind,
};
use clap::Args;
use std::path::PathBuf;
use tokio::runtime;
use url::Url;

/// The arguments of `doctor`.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Health endpoint to poll [default: /health on the configured port of this machine; none with --alb-json]
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

impl Doctor {
    pub(super) fn run(self, sources: &Sources, registry: &Registry) -> Result<Exit, CommandError> {
        // The diagnosis of another server does not need a configuration without mistakes.
        let configured = match (&self.url, load(sources, registry)) {
            (_, Ok(configured)) => Some(configured),
            (Some(_), Err(error)) => {
                print_error(&error.to_string());
                print_warning("allswell's own configuration is ignored");
                None
            }
            (None, Err(error)) => return Err(error.into()),
        };
        let groups = if self.alb_json.is_empty() { Vec::new() } else { read_target_groups(&self.alb_json).map_err(CommandError::Usage)? };
        let (clients, not_polled) = self.clients(&groups);
        let is_configured = |configured: &&Configured| configured.has_configured_checks || !configured.files.is_empty();
        let allswell = configured.as_ref().filter(is_configured).map(allswell_settings);
        let advice = groups.iter().map(|group| group.advise(allswell.as_ref())).collect();
        let mut output = Output::new(self.format, uses_colour(&sources.environment), advice, not_polled);
        // Target groups alone can be judged without polling anything.
        if groups.is_empty() || self.url.is_some() || !self.clients.is_empty() {
            let own_url = || configured.as_ref().map(|configured| own_health_url(&configured.settings.server)).unwrap_or_default();
            let url = parse_url(&self.url.clone().unwrap_or_else(own_url))?;
            let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Start)?;
            let polled = runtime.block_on(poll_all(url, clients, &mut output));
            runtime.shutdown_background();
            polled?;
        }
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

fn parse_url(text: &str) -> Result<Url, CommandError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| CommandError::Usage("this is not an HTTP URL: write http://127.0.0.1:8000/health".to_owned()))?;
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
