//! Passwords that do not come from the configuration are redacted and warned about, too.

use super::{
    lab::{PASSWORD, USER},
    peer::{Encryption, Rogue},
    postgres::echo,
};
use crate::helpers::{command, run};
use std::{fs, os::unix::fs::PermissionsExt};

#[test]
fn a_password_of_the_environment_or_a_password_file_is_redacted_and_warned_about() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Rogue::new(Encryption::None, echo);
    let file = folder.path().join(".pgpass");
    fs::write(&file, format!("localhost:{}:orders:{USER}:{PASSWORD}\n192.0.2.1:4711:orders:{USER}:{PASSWORD}\n", server.port))
        .expect("a file");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("permissions");
    let path = file.display().to_string();
    for (parameter, variable) in [("", ("PGPASSWORD", PASSWORD)), ("", ("PGPASSFILE", &*path)), ("?password=Zw7-rogue-k9Q", ("X", "x"))] {
        let run = |subcommand: &str, address: &str| {
            let url = format!("postgres://{USER}@{address}/orders{parameter}");
            let text = format!("[checks.db]\nkind = \"postgres\"\nurl = \"{url}\"\nallow_cleartext_password = true\n");
            fs::write(folder.path().join("allswell.toml"), text).expect("a configuration");
            let ran = run(command(&folder).arg(subcommand).env(variable.0, variable.1).env("RUST_LOG", "trace"));
            format!("{}{}", ran.stdout, ran.stderr)
        };
        let output = run("check", &format!("localhost:{}", server.port));
        assert!(output.contains("you said ***") && !output.contains(PASSWORD), "{variable:?}: {output}");
        let output = run("validate", "192.0.2.1:4711");
        assert!(output.contains("certificate is not verified") && !output.contains(PASSWORD), "{variable:?}: {output}");
    }
    server.finish();
}
