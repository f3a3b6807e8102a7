//! The services that are attacked: their configuration, and the limits of the kernel around them.

use super::memory::{MemoryGroup, bytes};
use crate::{
    helpers::Allswell,
    servers::{Certificates, hostile::Hostile},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{env, fs, sync::Arc};
use tempfile::TempDir;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Default,
    FewSeats,
    ManyComponents,
    /// The memory limit of `deploy/kubernetes/sidecar.yaml`.
    Sidecar,
    /// The memory limit of `deploy/allswell.service`.
    Unit,
    TlsEcdsa,
    TlsRsa,
    Descriptors1024,
    Descriptors64,
}

/// Settings in which every attack makes sense.
pub(super) const GENERAL: &[Setting] = &[Setting::Default, Setting::FewSeats, Setting::ManyComponents, Setting::Sidecar, Setting::Unit];
pub(super) const TLS: &[Setting] = &[Setting::TlsEcdsa, Setting::TlsRsa];

pub(super) const TOKEN: &str = "open-sesame";

/// A service in its setting. Fields are dropped in this order: the process has to leave the group first.
pub(super) struct AttackedService {
    pub(super) service: Allswell,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) group: Option<MemoryGroup>,
    _backend: Option<Hostile>,
    _folder: TempDir,
}

impl Setting {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::FewSeats => "max_connections = 64",
            Self::ManyComponents => "1,000 components",
            Self::Sidecar => "sidecar's memory limit",
            Self::Unit => "unit's memory limit",
            Self::TlsEcdsa => "TLS, P-256",
            Self::TlsRsa => "TLS, RSA-4096",
            Self::Descriptors1024 => "1,024 descriptors",
            Self::Descriptors64 => "64 descriptors",
        }
    }

    /// As it is written in `ALLSWELL_ATTACK`.
    pub(super) fn from_key(key: &str) -> Option<Self> {
        [GENERAL, TLS, &[Self::Descriptors1024, Self::Descriptors64]].concat().into_iter().find(|setting| setting.key() == key)
    }

    fn key(self) -> String {
        format!("{self:?}").to_ascii_lowercase()
    }

    /// `max_connections`.
    pub(super) const fn seats(self) -> usize {
        match self {
            Self::FewSeats => 64,
            Self::Sidecar => 128,
            _ => 1024,
        }
    }

    /// How many MiB more than before an attack may occupy. Where a control group limits the memory, its limit decides.
    pub(super) fn allowance_mib(self) -> u64 {
        match self {
            // As `docs/operating.md` has it: 1,024 connections, 2,048 streams and 16 MiB for answers.
            Self::Default | Self::TlsEcdsa | Self::TlsRsa | Self::Descriptors1024 => 72,
            Self::FewSeats | Self::Descriptors64 => 24,
            Self::ManyComponents => 96,
            Self::Sidecar | Self::Unit => bytes(&self.memory_limit().expect("a limit")).expect("a size") >> 20,
        }
    }

    /// What the deployment that we ship sets.
    fn memory_limit(self) -> Option<String> {
        let read = |path: &str| fs::read_to_string(format!("{}/deploy/{path}", env!("CARGO_MANIFEST_DIR"))).expect("a file");
        let found = match self {
            Self::Sidecar => read("kubernetes/sidecar.yaml").split_once("limits: { memory: ")?.1.split_once(' ')?.0.to_owned(),
            Self::Unit => match read("allswell.service").split_once("\nMemoryMax=") {
                Some((_, value)) => value.lines().next()?.trim().to_owned(),
                None => "128M".to_owned(),
            },
            _ => return None,
        };
        Some(found)
    }

    /// Starts a service. Fails with a reason if this machine cannot provide the setting.
    pub(super) fn prepare(self) -> Result<AttackedService, String> {
        let folder = TempDir::new().expect("a folder");
        let group = self.memory_limit().map(|limit| MemoryGroup::with_limit(&limit)).transpose()?;
        let backend = matches!(self, Self::Descriptors1024 | Self::Descriptors64).then(Hostile::silent);
        let certificates = match self {
            Self::TlsEcdsa => Some(Certificates::new(folder.path())),
            Self::TlsRsa => Some(Certificates::of_rsa(folder.path())),
            _ => None,
        };
        let mut configuration = self.configuration(backend.as_ref());
        if let Some(files) = &certificates {
            configuration = format!(
                "[server.tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n{configuration}",
                files.certificate.display(),
                files.key.display()
            );
        }
        let limited = |count: &str| vec!["/usr/bin/prlimit".to_owned(), format!("--nofile={count}:{count}")];
        let mut wrapper = match (self, &group) {
            (_, Some(group)) => group.wrapper(),
            (Self::Descriptors1024, _) => limited("1024"),
            (Self::Descriptors64, _) => limited("64"),
            _ => Vec::new(),
        };
        if let Some(program) = env::var_os("ALLSWELL_ATTACK_PROGRAM") {
            let script = format!("exec '{}' \"$@\"", program.display());
            wrapper.extend(["/bin/sh".to_owned(), "-c".to_owned(), script]);
        }
        let service = Allswell::start_by(&wrapper, &configuration, &[]);
        service_is_ready(&service, certificates.is_some());
        Ok(AttackedService { service, tls: certificates.as_ref().map(client), group, _backend: backend, _folder: folder })
    }

    fn configuration(self, backend: Option<&Hostile>) -> String {
        let mut text = match self {
            // Here some requests need the token. The other settings have none.
            Self::FewSeats => format!("[server]\nmax_connections = 64\ntoken = \"{TOKEN}\"\n"),
            Self::Sidecar => "[server]\nmax_connections = 128\n".to_owned(),
            _ => String::new(),
        };
        text += match self {
            Self::ManyComponents => "[defaults]\ninterval = \"10s\"\n",
            _ => "[defaults]\ninterval = \"1h\"\n",
        };
        let count = if self == Self::ManyComponents { 1000 } else { 12 };
        for number in 0..count {
            text += &format!("[checks.memory{number}]\nkind = \"memory\"\n");
            if number < 2 {
                text += "interval = \"1s\"\n";
            }
        }
        for number in 0..4 {
            text += &format!("[groups.group{number}]\nchecks = [\"memory{number}\", \"memory{}\"]\n", number + 4);
        }
        for number in 0..if backend.is_some() { 5 } else { 0 } {
            let address = backend.expect("a backend").address;
            text += &format!("[checks.backend{number}]\nkind = \"tcp\"\naddress = \"{address}\"\ninterval = \"1s\"\n");
        }
        text
    }
}

/// Waits until all components pass.
fn service_is_ready(service: &Allswell, is_encrypted: bool) {
    if is_encrypted {
        let passes = |component: &str| service.events().iter().any(|event| event["component"] == component && event["to"] == "pass");
        crate::helpers::eventually("all components pass", || (0..12).all(|number| passes(&format!("memory{number}"))).then_some(()));
    } else {
        service.await_report("/health", "all components pass", |report| {
            report.status == 200 && report.header("x-health-status") == Some("pass") && !report.body.contains("\"pending\"")
        });
    }
}

/// A client that trusts the authority.
fn client(files: &Certificates) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.authority).expect("a certificate")).expect("an authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}
