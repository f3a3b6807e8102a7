//! Installers: the user data and the hook of Beanstalk, executed in a folder instead of a machine, with the expected release and with another one.
//! And the units, verified by `systemd-analyze`.

use super::{accepted, deploy, files, read};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// A folder instead of a machine, with the release to install and a record of the calls of `systemctl`.
struct Machine {
    root: TempDir,
    checksum: String,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let make = |path: &str, text: &str| {
            let file = root.path().join(path);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(&file, text).expect("a file");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("permissions");
        };
        let name = "allswell-0.1.0-x86_64-unknown-linux-musl";
        make(&format!("release/{name}/allswell"), "#!/bin/sh\necho I am a release\n");
        make(&format!("release/{name}/README.md"), "how\n");
        make("bin/systemctl", &format!("#!/bin/sh\necho \"$@\" >> {}/systemctl-calls\n", root.path().display()));
        for folder in ["usr/local/bin", "usr/local/share", "etc/systemd/system"] {
            fs::create_dir_all(root.path().join(folder)).expect("a folder");
        }
        let tarball = root.path().join("release.tar.gz");
        accepted(Command::new("tar").args(["-czf"]).arg(&tarball).arg("-C").arg(root.path().join("release")).arg(name));
        let sum = accepted(Command::new("sha256sum").arg(&tarball));
        Self { checksum: sum.split(' ').next().expect("a sum").to_owned(), root }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn file(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.at(path)).ok()
    }

    /// Runs a script with the paths of the machine replaced by this folder. Returns whether it succeeded, and its output.
    fn run(&self, script: &Path, folder: &Path, checksum: &str) -> (bool, String) {
        let root = self.root.path().display();
        let text = fs::read_to_string(script).expect("a script");
        let here = ["/usr/local/", "/etc/"].iter().fold(text, |text, path| text.replace(path, &format!("{root}{path}")));
        let copy = self.at("script");
        fs::write(&copy, here).expect("a script");
        let output = Command::new("/bin/bash")
            .arg(copy)
            .current_dir(folder)
            .env_clear()
            .env("PATH", format!("{root}/bin:/usr/bin:/bin"))
            .env("ALLSWELL_TARBALL", format!("file://{root}/release.tar.gz"))
            .env("ALLSWELL_SHA256", checksum)
            .envs([("APP_ENVIRONMENT", "/etc/environment"), ("APP_NAME", "orders")])
            .envs([("APP_URL", "http://127.0.0.1:8000/"), ("APP_HOST", "www.example.com")])
            .output()
            .expect("bash");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// A unit with the path of an existing program.
fn assert_unit(unit: &str, more: &[(&str, &str)]) {
    let directory = tempfile::tempdir().expect("a folder");
    for (name, text) in [("allswell.service", unit)].iter().chain(more) {
        let file = directory.path().join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        let start = text.lines().filter(|line| line.starts_with("ExecStart=")).map(|line| line.split(' ').next().unwrap_or_default());
        let text = start.fold((*text).to_owned(), |text, words| text.replace(words, "ExecStart=/bin/true"));
        fs::write(file, text).expect("a file");
    }
    let mut command = Command::new("/usr/bin/systemd-analyze");
    command.args(["verify", "--man=no"]).arg(directory.path().join("allswell.service"));
    let output = accepted(command.env("SYSTEMD_UNIT_PATH", format!("{}:", directory.path().display())));
    assert_eq!(output, "", "systemd reports a problem");
}

#[test]
fn user_data_installs_and_starts_the_expected_release() {
    let machine = Machine::new();
    let (succeeded, output) = machine.run(&deploy("aws/terraform/user-data.sh"), machine.root.path(), &machine.checksum);
    assert!(succeeded, "{output}");
    assert!(machine.file("usr/local/bin/allswell").is_some_and(|text| text.contains("I am a release")));
    assert_eq!(machine.file("systemctl-calls").as_deref(), Some("daemon-reload\nenable --now allswell\n"));
    let unit = machine.file("etc/systemd/system/allswell.service").expect("a unit");
    assert!(unit.contains("ExecReload=/bin/kill -HUP $MAINPID\n") && unit.contains("APP_HOST=www.example.com\n"), "{unit}");
    assert_unit(&unit, &[]);
    let configuration = machine.file("etc/allswell/allswell.toml").expect("a configuration");
    super::assert_valid("what user data wrote", &configuration, super::ENVIRONMENT);
}

#[test]
fn a_release_with_another_checksum_is_not_installed() {
    let hook = deploy("elastic-beanstalk/nginx/.platform/hooks/postdeploy/10_allswell.sh");
    for script in [deploy("aws/terraform/user-data.sh"), hook] {
        let machine = Machine::new();
        let (succeeded, output) = machine.run(&script, &deploy("elastic-beanstalk/nginx"), &"0".repeat(64));
        assert!(!succeeded && output.contains("did NOT match"), "{output}");
        assert_eq!((machine.file("usr/local/bin/allswell"), machine.file("systemctl-calls")), (None, None));
    }
}

#[test]
fn the_beanstalk_hook_installs_once_and_restarts_each_time() {
    for bundle in ["elastic-beanstalk/nginx", "elastic-beanstalk/apache"] {
        let bundle = deploy(bundle);
        let machine = Machine::new();
        let hook = bundle.join(".platform/hooks/postdeploy/10_allswell.sh");
        let deployed = || machine.run(&hook, &bundle, &machine.checksum);
        let (succeeded, output) = deployed();
        assert!(succeeded, "{output}");
        let calls = "daemon-reload\nenable --quiet allswell\nrestart allswell\n";
        assert_eq!(machine.file("systemctl-calls").as_deref(), Some(calls));
        for (installed, from) in
            [("etc/allswell/allswell.toml", "allswell.toml"), ("etc/systemd/system/allswell.service", "allswell.service")]
        {
            let expected = fs::read_to_string(bundle.join(".platform/allswell").join(from)).ok();
            // Only the paths in the script were changed.
            assert_eq!(machine.file(installed), expected);
        }
        assert!(machine.at("usr/local/bin/allswell").exists());
        // The next deployment does not need the release.
        fs::remove_file(machine.at("release.tar.gz")).expect("a file");
        let (succeeded, output) = deployed();
        assert!(succeeded, "{output}");
        assert_eq!(machine.file("systemctl-calls"), Some(calls.repeat(2)));
    }
}

#[test]
fn hooks_are_executable_and_the_configuration_hook_runs_the_other_one() {
    for script in files(|path| path.to_string_lossy().contains("hooks/")) {
        let mode = fs::metadata(&script).expect("a file").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{}", script.display());
    }
    // The script finds the hook in its own folder.
    let directory = tempfile::tempdir().expect("a folder");
    for (name, text) in [
        (
            ".platform/confighooks/postdeploy/10_allswell.sh",
            read("elastic-beanstalk/nginx/.platform/confighooks/postdeploy/10_allswell.sh"),
        ),
        (".platform/hooks/postdeploy/10_allswell.sh", "#!/bin/sh\necho deployed\n".to_owned()),
    ] {
        let file = directory.path().join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    let output = accepted(Command::new("/bin/bash").arg(directory.path().join(".platform/confighooks/postdeploy/10_allswell.sh")));
    assert_eq!(output, "deployed\n");
}

#[test]
fn systemd_accepts_every_unit() {
    for unit in files(|path| path.extension().is_some_and(|extension| extension == "service")) {
        assert_unit(&fs::read_to_string(&unit).expect("a unit"), &[]);
    }
    let dropin = "allswell.service.d/orders.conf";
    assert_unit(&read("allswell.service"), &[(dropin, &read(&format!("haproxy/{dropin}")))]);
}
