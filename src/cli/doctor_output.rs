//! The output of `allswell doctor`: for programs all at once, for people as it comes.

use super::terminal::print;
use crate::{
    doctor::{Advice, ClientResult, Finding, Target},
    report::Status,
};
use allswell_checks::contract::TimeSpan;
use clap::{
    ValueEnum,
    builder::styling::{AnsiColor, Style},
};
use serde::Serialize;
use std::{fmt::Write as _, time::Duration};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

/// Everything that was found. The fields are the keys of the JSON.
#[derive(Serialize)]
pub(super) struct Output {
    #[serde(skip)]
    uses_colour: bool,
    #[serde(skip)]
    format: Format,
    /// The width of the longest client's name.
    #[serde(skip)]
    width: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(rename = "content")]
    all_healthy: bool,
    clients: Vec<ClientOutput>,
    findings: Vec<Finding>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    target_groups: Vec<Advice>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_polled: Vec<String>,
}

/// The request of one client, the response to it, and what the client concludes.
#[derive(Serialize)]
struct ClientOutput {
    client: String,
    #[serde(rename = "content")]
    is_healthy: bool,
    method: &'static str,
    path: String,
    host: Option<String>,
    #[serde(rename = "status")]
    http_status: Option<u16>,
    took_ms: f64,
    redirects: Vec<RedirectOutput>,
    #[serde(rename = "got")]
    received: String,
    #[serde(rename = "says")]
    client_status: String,
}

#[derive(Serialize)]
struct RedirectOutput {
    status: u16,
    to: String,
}

impl From<&ClientResult> for ClientOutput {
    fn from(result: &ClientResult) -> Self {
        Self {
            client: result.client.label.clone(),
            is_healthy: result.is_healthy,
            method: result.client.profile.method,
            path: result.path().to_owned(),
            host: result.host().map(str::to_owned),
            http_status: result.http_status(),
            took_ms: result.took_ms(),
            redirects: result.redirects().map(|(status, to)| RedirectOutput { status, to }).collect(),
            received: result.received(),
            client_status: result.status.clone(),
        }
    }
}

impl Output {
    pub(super) fn new(format: Format, uses_colour: bool, target_groups: Vec<Advice>, not_polled: Vec<String>) -> Self {
        Self {
            uses_colour,
            format,
            width: 0,
            url: None,
            address: None,
            all_healthy: true,
            clients: Vec::new(),
            findings: Vec::new(),
            target_groups,
            not_polled,
        }
    }

    /// Prints what is polled. `width` is that of the longest client's name.
    pub(super) fn begin(&mut self, target: &Target, width: usize) {
        self.width = width;
        self.url = Some(target.url.to_string());
        self.address = Some(target.address.to_string());
        self.say(&format!("{} at {}\n\n", target.url, target.address));
    }

    /// Prints the result of one client.
    pub(super) fn client(&mut self, result: &ClientResult) {
        let (output, width) = (ClientOutput::from(result), self.width);
        self.say(&format!(
            "{}  {:<width$}  {}: {} in {:.1} ms\n      {:<width$}  {}\n",
            self.word(if result.is_healthy { Status::Pass } else { Status::Fail }),
            output.client,
            result.sent(),
            output.received,
            output.took_ms,
            "",
            output.client_status
        ));
        self.clients.push(output);
    }

    /// Keeps the findings for the end.
    pub(super) fn findings(&mut self, findings: Vec<Finding>) {
        self.findings = findings;
    }

    /// Prints text for people.
    fn say(&self, text: &str) {
        if self.format == Format::Text {
            print(text);
        }
    }

    /// The word for a status, in its colour.
    fn word(&self, status: Status) -> String {
        let colour = match status {
            Status::Pass => AnsiColor::Green,
            Status::Warn => AnsiColor::Yellow,
            Status::Fail => AnsiColor::Red,
        };
        let style = if self.uses_colour { Style::new().fg_color(Some(colour.into())).bold() } else { Style::new() };
        format!("{style}{status}{style:#}")
    }

    /// Prints what is not printed yet. Returns whether all clients report healthy, and the settings are consistent.
    pub(super) fn finish(&mut self) -> bool {
        self.all_healthy = self.clients.iter().all(|client| client.is_healthy) && self.contradictions() == 0;
        self.print_rest();
        self.all_healthy
    }

    fn print_rest(&self) {
        if self.format == Format::Json {
            // Strings and numbers always serialise.
            print(&format!("{}\n", serde_json::to_string_pretty(self).unwrap_or_default()));
            return;
        }
        for finding in &self.findings {
            self.say(&self.finding_text(finding));
        }
        for advice in &self.target_groups {
            self.say(&format!("{}{}", if self.url.is_some() { "\n" } else { "" }, advice_text(advice)));
            for finding in &advice.findings {
                self.say(&self.finding_text(finding));
            }
        }
        for group in &self.not_polled {
            self.say(&format!("\nnot polled as {group}\n"));
        }
        self.say(&format!("\n{}\n", self.conclusion()));
    }

    /// The number of contradictions between settings.
    fn contradictions(&self) -> usize {
        self.target_groups.iter().flat_map(|group| &group.findings).filter(|finding| finding.failing).count()
    }

    /// The result in a sentence.
    fn conclusion(&self) -> String {
        let (all, unhealthy) = (self.clients.len(), self.clients.iter().filter(|client| !client.is_healthy).count());
        let clients = match unhealthy {
            _ if all == 0 => None,
            0 if all == 1 => Some(format!("{} reports healthy", self.clients[0].client)),
            0 => Some(format!("all {all} clients report healthy")),
            _ if all == 1 => Some(format!("{} reports unhealthy", self.clients[0].client)),
            _ if unhealthy == all => Some(format!("all {all} clients report unhealthy")),
            1 => Some(format!("1 of {all} clients reports unhealthy")),
            more => Some(format!("{more} of {all} clients report unhealthy")),
        };
        let settings = match self.contradictions() {
            _ if self.target_groups.is_empty() => None,
            0 => Some("the settings are consistent".to_owned()),
            1 => Some("the settings contradict each other in one place".to_owned()),
            more => Some(format!("the settings contradict each other in {more} places")),
        };
        clients.into_iter().chain(settings).collect::<Vec<_>>().join("; ")
    }

    fn finding_text(&self, finding: &Finding) -> String {
        let mut text = format!(
            "\n{}  {}\n      {}{}{}\n",
            self.word(if finding.failing { Status::Fail } else { Status::Warn }),
            finding.title,
            finding.clients.join(", "),
            if finding.clients.is_empty() { "" } else { ": " },
            finding.evidence
        );
        for fix in &finding.fix {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "      - {fix}");
        }
        text
    }
}

fn advice_text(advice: &Advice) -> String {
    let time = |milliseconds| TimeSpan(Duration::from_millis(milliseconds)).to_string();
    let mut text = format!("target group {}, {}\n", advice.target_group, advice.settings);
    let mut line = |label: &str, milliseconds: u64| {
        let _ = writeln!(text, "      {label:<62}{}", time(milliseconds));
    };
    line("a target that hangs or is gone is unhealthy within", advice.detection_ms);
    if let Some(component) = advice.component_detection_ms {
        line("a target whose critical component fails is unhealthy within", component);
    }
    line("a target that has recovered receives traffic within", advice.recovery_ms);
    line("to lose no requests, keep serving before shutdown for", advice.drain_ms);
    if let Some(delay) = advice.deregistration_delay_ms {
        line("after deregistration, requests in progress are cut off after", delay);
    }
    text
}
