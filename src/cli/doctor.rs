//! `allswell doctor`: polls an endpoint as each client does, and says what each would conclude, why, and what to change.

use super::{DONE, NOT_WELL, USAGE, begun, complain, get::own_health, print};
use crate::{
    config::{Configured, Sources, load},
    doctor::{Advice, Client, Finding, Own, Seen, Target, TargetGroup, find, read_target_groups},
    kinds::Registry,
    pollers::PollerKind,
};
use allswell_checks::contract::TimeSpan;
use clap::{
    Args, ValueEnum,
    builder::styling::{AnsiColor, Style},
};
use serde::Serialize;
use std::{
    fmt::Write as _,
    io::{self, IsTerminal},
    path::PathBuf,
    time::Duration,
};
use tokio::runtime;
use url::Url;

/// The arguments of `doctor`.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// What to poll: any health endpoint [default: /health of the configured port on this machine; with --alb-json nobody]
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// Poll as these clients alone: alb, nlb, classic-elb, route53, kubelet, haproxy, envoy, consul
    #[arg(long = "as", value_name = "CLIENT", value_delimiter = ',')]
    clients: Vec<PollerKind>,
    /// Use and judge the settings that `aws elbv2 describe-target-groups` prints; repeat it for `describe-target-group-attributes`
    #[arg(long, value_name = "FILE")]
    alb_json: Vec<PathBuf>,
    /// How to tell it
    #[arg(long, value_name = "F", value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Doctor {
    pub(super) fn run(self, sources: &Sources, registry: &Registry) -> u8 {
        match self.examine(sources, registry) {
            Ok(true) => DONE,
            Ok(false) => NOT_WELL,
            Err(code) => code,
        }
    }

    /// Whether all are content, and nothing contradicts itself.
    fn examine(&self, sources: &Sources, registry: &Registry) -> Result<bool, u8> {
        let usage = |error: String| {
            complain(&format!("error: {error}"));
            USAGE
        };
        // Whoever asks about somebody else need not have a configuration that can be run.
        let configured = match (&self.url, load(sources, registry)) {
            (_, Ok(configured)) => Some(configured),
            (Some(_), Err(error)) => {
                complain(&format!("{error}\nwarning: allswell's own configuration is left out"));
                None
            }
            (None, Err(error)) => return Err(usage(error.to_string())),
        };
        let groups = if self.alb_json.is_empty() { Vec::new() } else { read_target_groups(&self.alb_json).map_err(usage)? };
        let (clients, not_polled) = self.clients(&groups);
        let own = configured.as_ref().filter(|configured| configured.asked || !configured.files.is_empty()).map(own);
        let mut told = Told {
            style: style(sources),
            format: self.format,
            url: None,
            address: None,
            content: true,
            clients: Vec::new(),
            findings: Vec::new(),
            target_groups: groups.iter().map(|group| group.advise(own.as_ref())).collect(),
            not_polled,
        };
        // Settings alone can be judged without anybody to poll.
        if groups.is_empty() || self.url.is_some() || !self.clients.is_empty() {
            let own = || configured.as_ref().map(|configured| own_health(&configured.settings.server)).unwrap_or_default();
            let url = readable(&self.url.clone().unwrap_or_else(own)).map_err(usage)?;
            let runtime = begun(runtime::Builder::new_current_thread().enable_all().build())?;
            let polled = runtime.block_on(told.poll(url, clients));
            runtime.shutdown_background();
            polled?;
        }
        told.content = told.clients.iter().all(|client| client.content) && told.contradictions() == 0;
        told.end();
        Ok(told.content)
    }

    /// Who polls: those who are named; else the target groups; else everybody. And which target groups cannot be tried, and why.
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
                Err(why) => not_polled.push(format!("{}: {why}", group.name)),
            }
        }
        (clients, not_polled)
    }
}

fn readable(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or("this is not a URL: write http://127.0.0.1:8000/health")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("no client sends credentials: leave user and password out of the URL".to_owned());
    }
    Ok(url)
}

fn own(configured: &Configured) -> Own {
    let server = &configured.settings.server;
    Own {
        port: server.listen.rsplit_once(':').and_then(|(_, port)| port.parse().ok()),
        deadline: server.deadline.0,
        drain: server.drain.0,
        fail_status: server.fail_status,
        warn_status: server.warn_status,
        components: configured.components.iter().map(|component| (component.name.clone(), component.policy.clone())).collect(),
        groups: configured
            .groups
            .iter()
            .map(|(name, group)| (name.clone(), (group.checks.iter().cloned().collect(), group.fail_status)))
            .collect(),
    }
}

/// Whether to tell it in colour.
fn style(sources: &Sources) -> bool {
    io::stdout().is_terminal() && sources.environment.get("NO_COLOR").is_none()
}

/// What was found out; for programs all at once, for people as it comes.
#[derive(Serialize)]
struct Told {
    #[serde(skip)]
    style: bool,
    #[serde(skip)]
    format: Format,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    content: bool,
    clients: Vec<Polled>,
    findings: Vec<Finding>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    target_groups: Vec<Advice>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_polled: Vec<String>,
}

/// What one client asked, got and says.
#[derive(Serialize)]
struct Polled {
    client: String,
    content: bool,
    method: &'static str,
    path: String,
    host: Option<String>,
    status: Option<u16>,
    took_ms: f64,
    redirects: Vec<Redirect>,
    got: String,
    says: String,
}

#[derive(Serialize)]
struct Redirect {
    status: u16,
    to: String,
}

impl From<&Seen> for Polled {
    fn from(seen: &Seen) -> Self {
        Self {
            client: seen.client.label.clone(),
            content: seen.content,
            method: seen.client.profile.method,
            path: seen.path().to_owned(),
            host: seen.host().map(str::to_owned),
            status: seen.status(),
            took_ms: seen.took_ms(),
            redirects: seen.followed().map(|(status, to)| Redirect { status, to }).collect(),
            got: seen.got(),
            says: seen.says.clone(),
        }
    }
}

impl Told {
    async fn poll(&mut self, url: Url, clients: Vec<Client>) -> Result<(), u8> {
        self.url = Some(url.to_string());
        let target = Target::find(url).await.map_err(|failure| {
            complain(&format!("error: {}", failure.message()));
            NOT_WELL
        })?;
        self.address = Some(target.address.to_string());
        self.say(&format!("{} at {}\n\n", target.url, target.address));
        let width = clients.iter().map(|client| client.label.chars().count()).max().unwrap_or_default();
        let mut seen = Vec::new();
        for client in clients {
            let one = client.poll(&target).await;
            let told = Polled::from(&one);
            self.say(&format!(
                "{}  {:<width$}  {}: {} in {:.1} ms\n      {:<width$}  {}\n",
                self.word(if one.content { "pass" } else { "fail" }),
                told.client,
                one.asked(),
                told.got,
                told.took_ms,
                "",
                told.says
            ));
            self.clients.push(told);
            seen.push(one);
        }
        self.findings = find(&target, &seen).await;
        Ok(())
    }

    /// A line for people.
    fn say(&self, text: &str) {
        if self.format == Format::Text {
            print(text);
        }
    }

    fn word(&self, word: &str) -> String {
        let colour = match word {
            "pass" => AnsiColor::Green,
            "warn" => AnsiColor::Yellow,
            _ => AnsiColor::Red,
        };
        let style = if self.style { Style::new().fg_color(Some(colour.into())).bold() } else { Style::new() };
        format!("{style}{word}{style:#}")
    }

    fn end(&self) {
        if self.format == Format::Json {
            // Texts and numbers always serialise.
            print(&format!("{}\n", serde_json::to_string_pretty(self).unwrap_or_default()));
            return;
        }
        for finding in &self.findings {
            self.say(&self.finding(finding));
        }
        for advice in &self.target_groups {
            self.say(&format!("{}{}", if self.url.is_some() { "\n" } else { "" }, advised(advice)));
            for finding in &advice.findings {
                self.say(&self.finding(finding));
            }
        }
        for group in &self.not_polled {
            self.say(&format!("\nnot polled as {group}\n"));
        }
        self.say(&format!("\n{}\n", self.sum()));
    }

    /// In how many places the settings contradict each other.
    fn contradictions(&self) -> usize {
        self.target_groups.iter().flat_map(|group| &group.findings).filter(|finding| finding.failing).count()
    }

    /// The whole in a sentence.
    fn sum(&self) -> String {
        let (all, wrong) = (self.clients.len(), self.clients.iter().filter(|client| !client.content).count());
        let clients = match wrong {
            _ if all == 0 => None,
            0 if all == 1 => Some(format!("{} is content", self.clients[0].client)),
            0 => Some(format!("all {all} clients are content")),
            _ if all == 1 => Some(format!("{} is not content", self.clients[0].client)),
            _ if wrong == all => Some(format!("none of the {all} clients is content")),
            1 => Some(format!("1 of {all} clients is not content")),
            wrong => Some(format!("{wrong} of {all} clients are not content")),
        };
        let settings = match self.contradictions() {
            _ if self.target_groups.is_empty() => None,
            0 => Some("the settings go together".to_owned()),
            1 => Some("the settings contradict each other in one place".to_owned()),
            more => Some(format!("the settings contradict each other in {more} places")),
        };
        clients.into_iter().chain(settings).collect::<Vec<_>>().join("; ")
    }

    fn finding(&self, finding: &Finding) -> String {
        let mut text = format!(
            "\n{}  {}\n      {}{}{}\n",
            self.word(if finding.failing { "fail" } else { "warn" }),
            finding.title,
            finding.clients.join(", "),
            if finding.clients.is_empty() { "" } else { ": " },
            finding.evidence
        );
        for mend in &finding.mend {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "      - {mend}");
        }
        text
    }
}

fn advised(advice: &Advice) -> String {
    let time = |milliseconds| TimeSpan(Duration::from_millis(milliseconds)).to_string();
    let mut text = format!("target group {}, {}\n", advice.target_group, advice.settings);
    let mut line = |what: &str, milliseconds: u64| {
        let _ = writeln!(text, "      {what:<62}{}", time(milliseconds));
    };
    line("a machine that hangs or is gone is unhealthy within", advice.detection_ms);
    if let Some(component) = advice.component_detection_ms {
        line("a machine of which a critical component fails, within", component);
    }
    line("a machine that is well again gets traffic within", advice.recovery_ms);
    line("to end without losing requests, go on serving for", advice.drain_ms);
    if let Some(delay) = advice.deregistration_delay_ms {
        line("requests in progress are cut off, once deregistered, after", delay);
    }
    text
}
