//! The manual: a page for allswell and one for each of its commands, of the command line's own words, and of what that does not know.

use allswell::cli::Arguments;
use clap::{Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use std::io;

/// A page of the manual.
pub(crate) struct Page {
    /// `allswell-check.1`
    pub(crate) file: String,
    /// In roff, for `man`.
    pub(crate) text: String,
}

/// A heading, and below it terms with what they mean.
type Section = (&'static str, &'static [(&'static str, &'static str)]);

/// The exit codes of each command; `""` is allswell itself.
const EXITS: &[(&str, &[(&str, &str)])] = &[
    ("", SERVED),
    ("serve", SERVED),
    (
        "check",
        &[
            ("0", "Every component passes, or no worse than a warning; with --warnings-as-errors, every one passes."),
            ("1", "One fails."),
            USAGE,
        ],
    ),
    ("get", &[("0", "It answered with a status of 200 to 299."), ("1", "It answered with another one, or not at all."), USAGE]),
    ("doctor", &[("0", "Every client is content, and no setting contradicts another."), ("1", "One is not, or one does."), USAGE]),
    (
        "wait",
        &[("0", "All is well, where no command was given; else the exit code is the command's."), ("1", "It was not in time."), USAGE],
    ),
    ("init", &[("0", "The configuration was printed."), USAGE]),
    ("validate", &[("0", "The configuration is valid."), ("2", "It is not, or the command line.")]),
    ("kinds", &[("0", "The kinds were printed."), ("2", "There is no such kind, or the command line is wrong.")]),
    ("schema", &[("0", "The schema was printed."), USAGE]),
    ("completions", &[("0", "The script was printed."), USAGE]),
];

const SERVED: &[(&str, &str)] = &[
    ("0", "It was told to end, and did."),
    ("1", "It cannot listen, or not start."),
    ("2", "The command line or the configuration is wrong."),
];

const USAGE: (&str, &str) = ("2", "The command line or the configuration is wrong.");

const SIGNALS: Section = (
    "SIGNALS",
    &[
        ("SIGTERM", "Fail readiness and the whole report for `server.drain`, go on answering, then end. A second one ends it at once."),
        ("SIGINT", "End at once."),
        ("SIGHUP", "Read the configuration again. One that has a problem is refused whole, and the old one goes on."),
    ],
);

const FILES: Section = (
    "FILES",
    &[
        ("allswell.toml", "The configuration, in the working directory, where no --config is given."),
        ("/etc/allswell/allswell.toml", "The configuration of the service that systemd runs, and of the container's image."),
        ("/etc/ssl/certs", "Who is trusted by TLS, unless a check has `tls.ca_file`; it is looked for where other systems keep it, too."),
    ],
);

const ENVIRONMENT: Section = (
    "ENVIRONMENT",
    &[
        ("ALLSWELL_*", "Any key of the configuration, with two underscores between levels: ALLSWELL_SERVER__LISTEN=127.0.0.1:8080."),
        (
            "DATABASE_URL, REDIS_URL, CELERY_BROKER_URL and others",
            "What is checked where no check is configured: these, and any other *_URL or *_URI of a database, cache or queue.",
        ),
        ("AWS_STORAGE_BUCKET_NAME, S3_BUCKET", "The bucket that is checked then, with the application's own AWS_* variables."),
        ("RUST_LOG", "What is logged; it wins over `log.level`."),
        ("NO_COLOR", "No colours on a terminal."),
        ("TMPDIR", "Where the disk is checked that an application writes temporary files to [default: /tmp]."),
        ("SSL_CERT_FILE, SSL_CERT_DIR", "Who is trusted by TLS, instead of those in /etc/ssl/certs."),
        ("NOTIFY_SOCKET, WATCHDOG_USEC", "Set by systemd, which is told when the service is ready, how all is, and that it moves."),
    ],
);

/// The whole manual, as of a date: `2026-11-21`.
pub(crate) fn pages(date: &str) -> io::Result<Vec<Page>> {
    let mut whole = Arguments::command().disable_help_subcommand(true);
    // Gives every command its full name, and the options that all of them take.
    whole.build();
    let mut pages = vec![page("", &whole, &names(&whole), date)?];
    for command in whole.get_subcommands() {
        pages.push(page(command.get_name(), command, "allswell(1)", date)?);
    }
    Ok(pages)
}

/// The pages of all commands, as one refers to them.
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
    let exits =
        EXITS.iter().find(|(of, _)| *of == name).ok_or_else(|| io::Error::other(format!("the exit codes of `{name}` are missing")))?;
    section(&mut more, ("EXIT STATUS", exits.1));
    if matches!(name, "" | "serve") {
        section(&mut more, SIGNALS);
    }
    // These read neither a configuration nor the environment.
    if !matches!(name, "kinds" | "schema" | "completions") {
        section(&mut more, FILES);
        section(&mut more, ENVIRONMENT);
    }
    more.control("SH", ["SEE ALSO"]);
    more.text([roman(related)]);
    more.to_writer(&mut text)?;
    // Lines between paragraphs are `sp` to mandoc, which ends a line by itself.
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
