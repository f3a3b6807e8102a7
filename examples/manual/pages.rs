//! The manual: a page for allswell and one for each of its commands, made from the help of the command line and from the lists below.

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
    ("get", &[("0", "The response has a status of 200 to 299."), ("1", "The response has another status, or there is none."), USAGE]),
    (
        "doctor",
        &[
            ("0", "Every client reports healthy, and the settings of target groups are consistent."),
            ("1", "A client reports unhealthy, settings contradict each other, or the server cannot be found."),
            USAGE,
        ],
    ),
    (
        "wait",
        &[
            ("0", "The components pass, and no command was given. Otherwise the exit code is that of the command."),
            ("1", "The components do not pass in time."),
            USAGE,
            ("126, 127", "The command cannot be executed, or does not exist."),
        ],
    ),
    ("init", &[("0", "The configuration was printed."), USAGE]),
    ("validate", &[("0", "The configuration is valid."), ("2", "The configuration or the command line is wrong.")]),
    ("kinds", &[("0", "The kinds were printed."), ("2", "There is no such kind, or the command line is wrong.")]),
    ("schema", &[("0", "The schema was printed."), USAGE]),
    ("completions", &[("0", "The script was printed."), USAGE]),
];

const SERVED: &[(&str, &str)] = &[
    ("0", "The service ended after a signal."),
    ("1", "The service cannot listen on an address, or cannot start."),
    ("2", "The command line or the configuration is wrong."),
];

const USAGE: (&str, &str) = ("2", "The command line or the configuration is wrong.");

const SIGNALS: Section = (
    "SIGNALS",
    &[
        (
            "SIGTERM",
            "Fail readiness and the whole report for `server.drain` while requests are still answered, then end. A second SIGTERM ends the service at once.",
        ),
        ("SIGINT", "End at once."),
        ("SIGHUP", "Reload the configuration. If it has a problem, the whole of it is refused, and the old one stays in force."),
    ],
);

const FILES: Section = (
    "FILES",
    &[
        ("allswell.toml", "The configuration if --config is not given, in the working directory."),
        ("/etc/allswell/allswell.toml", "The configuration of the service that systemd runs, and of the container image."),
        (
            "/etc/ssl/certs",
            "The trusted certificate authorities for TLS, unless a check sets `tls.ca_file`. The usual places of other systems are searched, too.",
        ),
    ],
);

const ENVIRONMENT: Section = (
    "ENVIRONMENT",
    &[
        ("ALLSWELL_*", "Any key of the configuration, with two underscores between levels: ALLSWELL_SERVER__LISTEN=127.0.0.1:8080."),
        (
            "DATABASE_URL, REDIS_URL, CELERY_BROKER_URL and others",
            "Backends to check if no check is configured: these, and any other *_URL or *_URI of a database, cache or queue.",
        ),
        (
            "AWS_STORAGE_BUCKET_NAME, S3_BUCKET",
            "The bucket to check if no check is configured, with the application's own AWS_* variables.",
        ),
        ("RUST_LOG", "The level of the log, by target; it wins over `log.level`."),
        ("NO_COLOR", "If set, no colours are printed on a terminal."),
        ("TMPDIR", "The folder for temporary files whose disk is checked [default: /tmp]."),
        ("SSL_CERT_FILE, SSL_CERT_DIR", "The trusted certificate authorities for TLS, instead of those in /etc/ssl/certs."),
        (
            "NOTIFY_SOCKET, WATCHDOG_USEC",
            "Set by systemd. The service then notifies it of readiness, status and shutdown, and feeds its watchdog.",
        ),
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

/// References to the pages of all commands.
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
