//! The manual: a page for allswell and one for each of its commands. The options come from the command line's definition; exit codes, signals, files
//! and environment variables are listed here.

use allswell::cli::Arguments;
use clap::{Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use std::io;

/// A manual page.
pub(crate) struct Page {
    /// The file name, such as `allswell-check.1`.
    pub(crate) file: String,
    /// The page in roff, for `man`.
    pub(crate) text: String,
}

/// A heading, and terms with their meanings.
type Section = (&'static str, &'static [(&'static str, &'static str)]);

/// The exit codes of each command; `""` stands for `allswell` without a command.
const EXITS: &[(&str, &[(&str, &str)])] = &[
    ("", SERVED),
    ("serve", SERVED),
    (
        "check",
        &[
            ("0", "Every component passes or warns; with --warnings-as-errors, every component passes."),
            ("1", "A component fails; with --warnings-as-errors, a component fails or warns."),
            USAGE,
        ],
    ),
    ("get", &[("0", "The status of the response is 200 to 299."), ("1", "The status is another one, or there was no response."), USAGE]),
    (
        "doctor",
        &[
            ("0", "Every client reports healthy, and no settings contradict each other."),
            ("1", "A client reports unhealthy, or settings contradict each other."),
            USAGE,
        ],
    ),
    (
        "wait",
        &[
            (
                "0",
                "Every component passed or warned in time, and no command was given. If one was given, the exit code is that of the command.",
            ),
            ("1", "A component still failed at the end of the time."),
            USAGE,
        ],
    ),
    ("init", &[("0", "The configuration was printed."), USAGE]),
    ("validate", &[("0", "The configuration is valid."), ("2", "The configuration or the command line is wrong.")]),
    ("kinds", &[("0", "The kinds were printed."), ("2", "There is no such kind, or the command line is wrong.")]),
    ("schema", &[("0", "The schema was printed."), USAGE]),
    ("completions", &[("0", "The script was printed."), USAGE]),
];

const SERVED: &[(&str, &str)] = &[
    ("0", "It ended after a signal."),
    ("1", "It cannot start, for example because the port is in use."),
    ("2", "The command line or the configuration is wrong."),
];

const USAGE: (&str, &str) = ("2", "The command line or the configuration is wrong.");

const SIGNALS: Section = (
    "SIGNALS",
    &[
        (
            "SIGTERM",
            "Drain: fail readiness and the whole report for `server.drain`, keep responding, then end. A second SIGTERM ends the process at once.",
        ),
        ("SIGINT", "End at once."),
        ("SIGHUP", "Reload the configuration. If the new one has a problem, it is rejected as a whole, and the old one stays active."),
    ],
);

const FILES: Section = (
    "FILES",
    &[
        ("allswell.toml", "The configuration, in the working directory, if --config is not given."),
        ("/etc/allswell/allswell.toml", "The configuration of the service that systemd runs, and of the container's image."),
        ("/etc/ssl/certs", "Trusted CA certificates, unless a check has `tls.ca_file`. The paths of other systems are tried, too."),
    ],
);

const ENVIRONMENT: Section = (
    "ENVIRONMENT",
    &[
        ("ALLSWELL_*", "Any key of the configuration, with two underscores between levels: ALLSWELL_SERVER__LISTEN=127.0.0.1:8080."),
        (
            "DATABASE_URL, REDIS_URL, CELERY_BROKER_URL and others",
            "If no check is configured, these variables are checked, and any other *_URL or *_URI of a database, cache or queue.",
        ),
        (
            "AWS_STORAGE_BUCKET_NAME, S3_BUCKET",
            "The bucket that is checked if no check is configured, with the application's own AWS_* variables.",
        ),
        ("RUST_LOG", "The log filter, which takes precedence over `log.level`."),
        ("NO_COLOR", "Disables colours on a terminal."),
        ("TMPDIR", "The folder of temporary files, whose disk is checked if no check is configured [default: /tmp]."),
        ("SSL_CERT_FILE, SSL_CERT_DIR", "Trusted CA certificates, instead of those in /etc/ssl/certs."),
        ("NOTIFY_SOCKET, WATCHDOG_USEC", "Set by systemd: allswell reports readiness and its verdict, and notifies the watchdog."),
    ],
);

/// All manual pages, with a date such as `2026-11-21`.
pub(crate) fn pages(date: &str) -> io::Result<Vec<Page>> {
    let mut whole = Arguments::command().disable_help_subcommand(true);
    // Gives every command its full name and the global options.
    whole.build();
    let mut pages = vec![page("", &whole, &names(&whole), date)?];
    for command in whole.get_subcommands() {
        pages.push(page(command.get_name(), command, "allswell(1)", date)?);
    }
    Ok(pages)
}

/// The names of all pages of commands, for the section SEE ALSO.
fn names(whole: &Command) -> String {
    whole.get_subcommands().map(|command| format!("allswell-{}(1)", command.get_name())).collect::<Vec<_>>().join(", ")
}

fn page(name: &str, command: &Command, related: &str, date: &str) -> io::Result<Page> {
    let man = Man::new(command.clone().version(env!("CARGO_PKG_VERSION")))
        .date(date)
        .source(concat!("allswell ", env!("CARGO_PKG_VERSION")))
        .manual("allswell's manual");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if name.is_empty() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut more = Roff::default();
    let exits = EXITS
        .iter()
        .find(|(command, _)| *command == name)
        .ok_or_else(|| io::Error::other(format!("the exit codes of `{name}` are missing")))?;
    section(&mut more, ("EXIT STATUS", exits.1));
    if matches!(name, "" | "serve") {
        section(&mut more, SIGNALS);
    }
    // These commands read neither a configuration nor the environment.
    if !matches!(name, "kinds" | "schema" | "completions") {
        section(&mut more, FILES);
        section(&mut more, ENVIRONMENT);
    }
    more.control("SH", ["SEE ALSO"]);
    more.text([roman(related)]);
    more.to_writer(&mut text)?;
    // mandoc warns about `br` between paragraphs, so it is replaced by `sp`.
    let text = String::from_utf8_lossy(&text).replace("\n.br\n\n.br\n", "\n.sp\n");
    Ok(Page { file: man.get_filename(), text })
}

fn section(roff: &mut Roff, (heading, entries): Section) {
    roff.control("SH", [heading]);
    for (term, meaning) in entries {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*meaning)]);
    }
}
