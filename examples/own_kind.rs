//! allswell with one more kind, `heartbeat`, which checks that a job reports in time: `cargo run --example own_kind -- kinds heartbeat`.

use allswell::{
    Registry,
    cli::{self, Exit},
    config::Environment,
};
use allswell_checks::prelude::*;
use clap::Parser;
use std::{io, path::PathBuf, time::Duration};

/// Looks at the age of a file that a job touches whenever it has done its work: `touch /run/orders/billed`.
///
/// Needs the right to enter the file's folder.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The file.
    path: PathBuf,
    /// Fail when the file is older than this.
    max_age: TimeSpan,
    /// Warn when it is older than this.
    warn_age: Option<TimeSpan>,
}

struct Heartbeat(Config);

impl Backend for Heartbeat {
    const KIND: &'static str = "heartbeat";
    const CATEGORY: Category = Category::Other;
    const EXAMPLE: &'static str = r#"
path = "/run/orders/billed"
max_age = "1h"
"#;
    type Config = Config;

    /// Does no input or output: the service must start even if the file is missing.
    fn build(config: Config) -> Result<Self, InvalidConfig> {
        if config.warn_age.is_some_and(|warn| warn.0 >= config.max_age.0) {
            return Err(InvalidConfig::new("warn_age", "must be less than `max_age`, otherwise it never warns"));
        }
        Ok(Self(config))
    }
}

#[async_trait]
impl Check for Heartbeat {
    /// Has no timeout of its own: the engine drops this future after the check's `timeout`.
    async fn probe(&self) -> Result<Observation, Failure> {
        let file = tokio::fs::metadata(&self.0.path).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::unhealthy("the job has never reported"),
            _ => Failure::internal(error),
        })?;
        // A modification time in the future counts as now: clocks are adjusted, and file servers have their own.
        let age = file.modified().map_err(Failure::internal)?.elapsed().unwrap_or(Duration::ZERO);
        if age > self.0.max_age.0 {
            return Err(Failure::unhealthy(format!("the job has not reported for {}", whole_seconds(age))).with("age_s", age.as_secs()));
        }
        let seen = Observation::pass().with("age_s", age.as_secs());
        Ok(match self.0.warn_age {
            Some(warn) if age > warn.0 => seen.warned(format!("the job has not reported for {}", whole_seconds(age))),
            _ => seen,
        })
    }
}

fn whole_seconds(age: Duration) -> TimeSpan {
    TimeSpan(Duration::from_secs(age.as_secs()))
}

fn main() -> Exit {
    // Installs the TLS provider of the process, for the kinds that need it. This fails only if one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cli::run(cli::Arguments::parse(), Environment::from_process(), Registry::builtin().with::<Heartbeat>())
}
