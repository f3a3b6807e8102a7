use std::env::{var, var_os};
use std::fs;
use std::path::{Path, PathBuf};

/// The variables that libpq reads, and the parameters that they set.
/// <https://www.postgresql.org/docs/current/libpq-envars.html>
const VARIABLES: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGSERVICE", "service"),
    ("PGSERVICEFILE", "servicefile"),
    ("PGOPTIONS", "options"),
    ("PGSSLMODE", "sslmode"),
    ("PGREQUIRESSL", "requiressl"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLCERTMODE", "sslcertmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
    ("PGREQUIREPEER", "requirepeer"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
    ("PGGSSENCMODE", "gssencmode"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGLOADBALANCEHOSTS", "load_balance_hosts"),
];

/// A parameter of libpq that the environment sets.
pub struct EnvironmentParameter {
    pub variable: &'static str,
    pub parameter: &'static str,
    pub value: String,
}

/// The parameters that libpq takes from the environment if neither the connection string nor a service has them. Those that
/// change neither the server nor the safety of the connection are left out. An empty variable counts as unset.
pub fn libpq_environment() -> Vec<EnvironmentParameter> {
    let given = |&(variable, parameter): &(&'static str, &'static str)| {
        let value = var(variable).ok().filter(|value| !value.is_empty())?;
        Some(EnvironmentParameter { variable, parameter, value })
    };
    VARIABLES.iter().filter_map(given).collect()
}

/// The largest file that is read.
const MAX_FILE_LEN: u64 = 64 * 1024;

/// The parameters of a service, from `file`, or else from the user's and the system's service file. `None` if no file has it.
/// <https://www.postgresql.org/docs/current/libpq-pgservice.html>
pub fn libpq_service(service: &str, file: Option<&Path>) -> Option<Vec<(String, String)>> {
    let in_folder = |folder: PathBuf| folder.join("pg_service.conf");
    let users = file.map(Path::to_path_buf).or_else(|| super::home().map(|home| home.join(".pg_service.conf")));
    let systems = var_os("PGSYSCONFDIR").map(PathBuf::from).unwrap_or_else(|| "/etc/postgresql-common".into());
    users.into_iter().chain([in_folder(systems)]).find_map(|path| {
        // Anything else could block the caller forever, or fill its memory.
        let found = fs::metadata(&path).ok()?;
        if !found.is_file() || found.len() > MAX_FILE_LEN {
            return None;
        }
        section(&fs::read_to_string(path).ok()?, service)
    })
}

fn section(text: &str, service: &str) -> Option<Vec<(String, String)>> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.find(|line| line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) == Some(service))?;
    let parameters = lines.take_while(|line| !line.starts_with('['));
    Some(parameters.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect())
}

#[test]
fn a_service_is_a_section() {
    let text = "# comment\n[a]\nhost=x\n\n[b]\nhost = /run/db\nport=6432\n[c]\n";
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(section(text, "b"), Some(vec![pair("host", "/run/db"), pair("port", "6432")]));
    assert_eq!(section(text, "c"), Some(Vec::new()));
    assert_eq!(section(text, "d"), None);
}
