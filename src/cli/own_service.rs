//! Finds the service that belongs to the configuration of a command, and how it is reached.

use super::error::CommandError;
use crate::{
    config::{ConfigIdentity, Listener, Lookup, Sources, listener},
    service::{RunningService, of_bound, of_configured, running_services},
};
use allswell_checks::wire::address::Address;
use std::{path::PathBuf, time::Duration};

/// The longest time in which running services announce themselves.
const MAX_SEARCH: Duration = Duration::from_secs(1);

/// How the own service is reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OwnService {
    /// Its addresses, in the order of the attempts; at least one.
    pub(super) addresses: Vec<Address>,
    /// The certificate that it has, if it speaks TLS.
    pub(super) tls: Option<OwnCertificate>,
    /// Whether a running service announced all this; otherwise it is what the configuration says.
    pub(super) is_running: bool,
}

/// The certificate of the own service.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OwnCertificate {
    /// With this SHA-256.
    Sha256(String),
    /// The first one in this file.
    File(PathBuf),
    /// The configuration does not say which.
    Unknown,
}

impl OwnService {
    pub(super) const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Finds the service within half of `limit`: the running one with the same configuration, or else the address in the configuration.
    ///
    /// # Errors
    ///
    /// Several services qualify, or none runs and the configuration does not say the address.
    pub(super) async fn find(sources: &Sources, limit: Duration) -> Result<Self, CommandError> {
        let lookup = sources.lookup();
        let configured = listener(sources);
        let running = running_services((limit / 2).min(MAX_SEARCH)).await;
        match choose(&lookup, configured.as_ref().ok(), running) {
            Choice::One(service) => Ok(Self {
                addresses: of_bound(service.announcement.address),
                tls: service.announcement.certificate_sha256.map(OwnCertificate::Sha256),
                is_running: true,
            }),
            Choice::Several(services) => Err(CommandError::Usage(several(&services))),
            Choice::None => {
                let unknown = |reason: &str| CommandError::NotWell(format!("no running service uses this configuration: {reason}"));
                let Listener { listen, has_tls, certificate_file, .. } = configured.map_err(|reason| unknown(&reason))?;
                let addresses = of_configured(&listen)
                    .ok_or_else(|| unknown("server.listen has no port to connect to: pass the URL of the service"))?;
                let tls = has_tls.then(|| certificate_file.map_or(OwnCertificate::Unknown, OwnCertificate::File));
                Ok(Self { addresses, tls, is_running: false })
            }
        }
    }
}

/// The running services that qualify.
#[derive(Debug)]
enum Choice {
    None,
    One(RunningService),
    Several(Vec<RunningService>),
}

/// Chooses by the configuration. For root, the services of root come first: another user must not stand in for them.
fn choose(lookup: &Lookup, configured: Option<&Listener>, running: Vec<RunningService>) -> Choice {
    let identity = ConfigIdentity::from(lookup);
    // Without any configuration there is nothing that a service could contradict.
    let takes_any = lookup.files.is_empty() && configured.is_some_and(|listener| !listener.is_set);
    let own = rustix::process::geteuid().as_raw();
    let (own, others): (Vec<_>, Vec<_>) = running.into_iter().partition(|service| service.uid == own);
    for services in [own, others] {
        let best = services.iter().filter_map(|service| match_of(&identity, &service.announcement.configuration)).max();
        let matching = |service: &RunningService| match best {
            Some(best) => match_of(&identity, &service.announcement.configuration) == Some(best),
            None => takes_any,
        };
        let mut found: Vec<_> = services.into_iter().filter(matching).collect();
        // The same files and another port, such as from another variable.
        if let (Some(_), 2.., Some(listener)) = (best, found.len(), configured) {
            let is_configured = |service: &RunningService| listens_on(service, &listener.listen);
            if found.iter().any(is_configured) {
                found.retain(is_configured);
            }
        }
        match (found.pop(), found.is_empty()) {
            (None, _) => {}
            (Some(service), true) => return Choice::One(service),
            (Some(service), false) => {
                found.push(service);
                return Choice::Several(found);
            }
        }
    }
    Choice::None
}

/// How well the configuration of a service fits that of the command: the better, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    /// Both looked for the default files in the same directory.
    SameSearch,
    /// The service uses every file of the command, and others.
    MoreFiles,
    /// Both use the same files.
    SameFiles,
}

fn match_of(command: &ConfigIdentity, service: &ConfigIdentity) -> Option<Match> {
    if !command.files.is_empty() {
        if command.files == service.files {
            return Some(Match::SameFiles);
        }
        if command.files.iter().all(|file| service.files.contains(file)) {
            return Some(Match::MoreFiles);
        }
    }
    (command.searched.is_some() && command.searched == service.searched).then_some(Match::SameSearch)
}

/// Whether a service has the port of a configured address.
fn listens_on(service: &RunningService, listen: &str) -> bool {
    of_configured(listen).is_some_and(|addresses| addresses.iter().any(|address| address.port == service.announcement.address.port()))
}

fn several(services: &[RunningService]) -> String {
    let line = |service: &RunningService| {
        let files = service.announcement.configuration.files.join(", ");
        let files = if files.is_empty() { "without a configuration file".to_owned() } else { files };
        format!("{} ({files})", service.announcement.address)
    };
    let mut lines: Vec<String> = services.iter().map(line).collect();
    lines.sort();
    format!("several services run here: {}: pass --config or the URL of one", lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(files: &[&str], searched: Option<&str>) -> ConfigIdentity {
        ConfigIdentity { files: files.iter().map(|file| (*file).to_owned()).collect(), searched: searched.map(str::to_owned) }
    }

    #[test]
    fn a_service_matches_by_its_files_or_by_where_it_looked_for_them() {
        let here = Some("/a/allswell.toml");
        for (command, service, expected) in [
            (identity(&["/x"], None), identity(&["/x"], None), Some(Match::SameFiles)),
            (identity(&["/a/allswell.toml"], here), identity(&["/a/allswell.toml"], None), Some(Match::SameFiles)),
            (identity(&["/x"], None), identity(&["/x", "/y"], None), Some(Match::MoreFiles)),
            (identity(&["/x", "/y"], None), identity(&["/x"], None), None),
            (identity(&["/x"], None), identity(&["/y"], None), None),
            (identity(&["/x"], None), identity(&[], here), None),
            (identity(&["/a/allswell.toml"], here), identity(&[], here), Some(Match::SameSearch)),
            (identity(&[], here), identity(&[], here), Some(Match::SameSearch)),
            (identity(&[], here), identity(&[], Some("/b/allswell.toml")), None),
            (identity(&[], here), identity(&["/x"], None), None),
        ] {
            assert_eq!(match_of(&command, &service), expected, "{command:?} {service:?}");
        }
    }
}
