//! The server's reasons: SQLSTATE codes and, for poolers that have one code for everything, their texts. `docs/kinds/postgres.md` has the
//! table with the sources.

use crate::{
    contract::prelude::{
        Failure,
        FailureClass::{self, Exhausted, Rejected, Unhealthy, Unreachable},
    },
    sql::server,
};
use sqlx::Error;
use sqlx_postgres::{LoginRefused, PgLoginMethod};

/// The code of an error that the server reports.
pub(super) fn code(error: &Error) -> Option<String> {
    error.as_database_error().and_then(|said| said.code().map(std::borrow::Cow::into_owned))
}

/// Whether the server demands another transport: TLS, or a connection without it. Nothing but the user's name was sent then.
pub(super) fn demands_other_transport(error: &Error) -> bool {
    let Some(said) = error.as_database_error() else { return false };
    said.code().as_deref() == Some("28000") || reason_of_text(said.message()).is_some_and(|(_, message)| message == REQUIRES_TLS)
}

/// Classifies an error of the driver.
pub(super) fn failure(error: Error) -> Failure {
    match error {
        Error::Configuration(said) => match said.downcast::<LoginRefused>() {
            Ok(refused) => Failure::rejected(refusal(*refused)).because(refused.to_string()),
            Err(said) => server::failure(Error::Configuration(said), classify),
        },
        Error::Database(said) => {
            let (class, message) = reason(said.code().as_deref().unwrap_or_default(), said.message());
            Failure::new(class, message).because(said.message().to_owned())
        }
        error => server::failure(error, classify),
    }
}

/// Classifies an error of a login. A setting of the session is unknown to the server, or has a value that it does not accept.
pub(super) fn login_failure(error: Error) -> Failure {
    match error.as_database_error() {
        Some(said) if matches!(said.code().as_deref(), Some("22023" | "42704")) => {
            Failure::rejected(REJECTED_SETTING).because(said.message().to_owned())
        }
        _ => failure(error),
    }
}

/// Classifies an error that the server reports instead of its reply to the request for TLS: the rest of an `ErrorResponse`. The text is not
/// kept, because anyone on the network path may have sent it.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-ERRORRESPONSE>
pub(super) fn early_failure(message: &[u8]) -> Failure {
    let fields = || message.get(4..).unwrap_or_default().split(|byte| *byte == 0);
    let field = |kind| fields().find_map(|field| field.strip_prefix(&[kind])).map(String::from_utf8_lossy).unwrap_or_default();
    match (field(b'C'), field(b'M')) {
        (code, text) if code.is_empty() && text.is_empty() => Failure::unhealthy("the server could not start a session"),
        (code, text) => {
            let (class, message) = reason(&code, &text);
            Failure::new(class, message)
        }
    }
}

/// Why the driver ended a login, and what to do.
fn refusal(refused: LoginRefused) -> &'static str {
    match refused {
        LoginRefused::Cleartext => {
            "the server asks for the cleartext password, which is sent over verified TLS only: write `sslmode=verify-full`, or set \
             `allow_cleartext_password = true`"
        }
        LoginRefused::NotPermitted(PgLoginMethod::None) => "the server asks for no login, which `require_auth` does not permit",
        LoginRefused::NotPermitted(PgLoginMethod::Cleartext) => {
            "the server asks for the cleartext password, which `require_auth` does not permit"
        }
        LoginRefused::NotPermitted(PgLoginMethod::Md5) => "the server asks for an MD5 login, which `require_auth` does not permit",
        LoginRefused::NotPermitted(PgLoginMethod::ScramSha256) => {
            "the server asks for a SCRAM-SHA-256 login, which `require_auth` does not permit"
        }
        LoginRefused::ChannelBinding => {
            "`channel_binding=require` requires TLS and a server that offers SCRAM-SHA-256-PLUS, which poolers do not: write \
             `sslmode=verify-full` instead"
        }
        LoginRefused::ChannelBindingRequired => {
            "the server requires channel binding (SCRAM-SHA-256-PLUS), which requires TLS: write `sslmode=verify-full`"
        }
        LoginRefused::Unsupported(2) => {
            "the server requires a Kerberos V5 login, which is not supported: give the check a user with a password"
        }
        LoginRefused::Unsupported(7 | 8) => {
            "the server requires a GSSAPI (Kerberos) login, which is not supported: give the check a user with a password"
        }
        LoginRefused::Unsupported(9) => "the server requires an SSPI login, which is not supported: give the check a user with a password",
        LoginRefused::Unsupported(_) => "the server requires a login method that is not supported: give the check a user with a password",
        LoginRefused::UnsupportedSasl => {
            "the server offers only login methods that are not supported, such as OAUTHBEARER: give the check a user with a password"
        }
    }
}

type Reason = (FailureClass, &'static str);

const REJECTED: Reason = (Rejected, "the credentials are not accepted");
const NO_DATABASE: Reason = (Rejected, "there is no such database");
const REQUIRES_TLS: &str = "the server requires TLS: write `sslmode=verify-full`";

/// Codes with several meanings, so that the text decides: those of poolers, which have one code for everything, and some of `PostgreSQL`.
const AMBIGUOUS: [&str; 8] = ["08", "28000", "53300", "54", "55", "57P03", "58", "XX"];

fn reason(code: &str, text: &str) -> Reason {
    let is_ambiguous = code.is_empty() || AMBIGUOUS.iter().any(|ambiguous| code.starts_with(ambiguous));
    let by_text = if is_ambiguous { reason_of_text(text) } else { None };
    by_text.unwrap_or_else(|| classify(code))
}

/// By a part of the text. The first one counts. The texts of `PostgreSQL` are those in English; in other languages the code decides.
fn reason_of_text(text: &str) -> Option<Reason> {
    let is_missing = |kind: &str| text.starts_with(kind) && text.ends_with("does not exist");
    match TEXTS.iter().find(|(part, _)| text.contains(part)) {
        Some((_, reason)) => Some(*reason),
        None if is_missing("database") => Some(NO_DATABASE),
        None if is_missing("role") => Some((Rejected, "there is no such user")),
        // All that the console says about a command that does not fit into its buffer.
        None if text == "failure" => Some((Rejected, ADMIN_CONSOLE)),
        // To anyone but an administrator, PgBouncer's admin console says no more.
        None if text == "not allowed" => Some((Rejected, "the pooler does not allow this user to connect to this database")),
        None => None,
    }
}

/// Parts of texts, in order: more specific ones are first.
const TEXTS: &[(&str, Reason)] = &[
    // PostgreSQL: 28000.
    ("is not permitted to log in", (Rejected, "the role may not log in (NOLOGIN)")),
    ("requires a valid client certificate", (Rejected, "the server requires a client certificate: set `tls.client_certificate_file`")),
    ("TLS client certificate required", (Rejected, "the server requires a client certificate: set `tls.client_certificate_file`")),
    ("certificate authentication failed", (Rejected, "the server does not accept the client certificate for this user")),
    ("Peer authentication failed", (Rejected, "the server accepts this user only from the operating system user of the same name (peer)")),
    // PostgreSQL: 53300.
    ("too many connections for role", (Exhausted, "the role's connection limit is reached")),
    ("too many connections for database", (Exhausted, "the database's connection limit is reached")),
    // PostgreSQL: 54000 and 55000.
    ("wraparound", (Unhealthy, "the server accepts no writes, to avoid transaction ID wraparound: vacuum the database")),
    ("is not currently accepting connections", (Rejected, "the database does not accept connections (ALLOW_CONNECTIONS false)")),
    ("invalid database", (Unhealthy, "the database was left invalid by an interrupted DROP DATABASE")),
    // PostgreSQL: 57P03.
    ("system is starting up", (Unhealthy, "the server is starting up or in recovery")),
    ("system is not accepting connections", (Unhealthy, "the server is starting up or in recovery")),
    ("system is not yet accepting connections", (Unhealthy, "the server is starting up or in recovery")),
    ("is shutting down", (Unhealthy, "the server is shutting down")),
    ("in recovery mode", (Unhealthy, "the server is recovering from a crash")),
    // PgBouncer.
    ("invalid command '", (Rejected, ADMIN_CONSOLE)),
    ("unsupported startup parameter", (Rejected, REJECTED_PARAMETER)),
    ("unsupported options startup parameter", (Rejected, REJECTED_PARAMETER)),
    ("no more connections allowed", (Exhausted, "the server's connection limit is reached")),
    ("client connections exceeded", (Exhausted, "the server's connection limit is reached")),
    ("query_wait_timeout", (Exhausted, "the pooler had no free connection to the server in time")),
    ("server_login_retry", (Unhealthy, "the pooler cannot connect to the server behind it")),
    ("cannot connect to server", (Unhealthy, "the pooler cannot connect to the server behind it")),
    ("client_login_timeout", (Unhealthy, "the pooler cannot connect to the server behind it")),
    ("wrong password type", (Unhealthy, POOLER_LOGIN)),
    ("bouncer config error", (Unhealthy, POOLER_LOGIN)),
    ("SSL required", (Rejected, REQUIRES_TLS)),
    ("TLS connection required", (Rejected, REQUIRES_TLS)),
    ("statement pooling mode", (Unhealthy, "the pooler is in statement mode, which does not allow transactions")),
    ("no such database", NO_DATABASE),
    ("no such user", REJECTED),
    ("login rejected", REJECTED),
    // What PgBouncer passes on from the server: "server login failed: FATAL ...".
    ("server login failed", (Unhealthy, POOLER_LOGIN)),
    ("server conn crashed", (Unhealthy, "the connection of the pooler to the server was closed")),
    ("server_idle_timeout", (Unhealthy, "the connection of the pooler to the server was closed")),
    // Amazon RDS Proxy.
    ("requires TLS connections", (Rejected, REQUIRES_TLS)),
    ("allowed only with SSL connections", (Rejected, REQUIRES_TLS)),
    ("Timed-out waiting to acquire database connection", (Exhausted, "the pooler had no free connection to the server in time")),
    ("has no credentials for the role", (Rejected, "the pooler has no credentials for this user")),
    ("No suitable authentication type found", (Rejected, POOLER_LOGIN)),
    // Supabase's Supavisor.
    ("Tenant or user not found", (Rejected, "the pooler knows no such user: with Supabase, write `user.project` as the user")),
    ("tenant/user", (Rejected, "the pooler knows no such user: with Supabase, write `user.project` as the user")),
    ("SSL connection is required", (Rejected, REQUIRES_TLS)),
    ("ax client connections reached", (Exhausted, "the server's connection limit is reached")),
    ("MaxClientsInSessionMode", (Exhausted, "the server's connection limit is reached")),
    ("Connection closed when state was authentication", (Unhealthy, POOLER_LOGIN)),
    // Neon.
    ("ndpoint ID is not specified", (Rejected, "the endpoint is not named: add `options=endpoint%3DNAME` to the URL")),
    ("onnection is insecure", (Rejected, REQUIRES_TLS)),
    ("ouldn't connect to compute node", (Unhealthy, "the proxy cannot connect to the server behind it")),
    ("exceeded the limit of concurrently active endpoints", (Exhausted, "the project's limit of active servers is reached")),
    // Pgpool-II.
    ("failed to create a backend connection", (Unhealthy, "the pooler cannot connect to the server behind it")),
    ("all backend nodes are down", (Unhealthy, "the pooler cannot connect to the server behind it")),
    ("all backends are down", (Unhealthy, "the pooler cannot connect to the server behind it")),
    // PostgreSQL again, for poolers that pass its texts on with a code of their own.
    ("remaining connection slots are reserved", (Exhausted, "the server's connection limit is reached")),
    ("too many clients already", (Exhausted, "the server's connection limit is reached")),
    // Of all of them, and of poolers that have no code of their own for it.
    ("no pg_hba.conf entry", (Rejected, NOT_ALLOWED)),
    ("authentication failed", REJECTED),
];

const ADMIN_CONSOLE: &str = "this is PgBouncer's admin console, not a database: name a database in `url`";
const NOT_ALLOWED: &str = "the server does not allow this user to connect from this host, or requires TLS";
const REJECTED_SETTING: &str =
    "the server rejects a setting of the session: correct `options`, `search_path` and the like in the URL or the environment";
const REJECTED_PARAMETER: &str = "the pooler rejects a setting of the session: remove `options`, `search_path` and the like from the URL, or let the \
                                  pooler ignore it (PgBouncer's `ignore_startup_parameters`)";
const POOLER_LOGIN: &str = "the pooler cannot log in to the server behind it";

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn classify(code: &str) -> Reason {
    match code {
        "08001" | "08006" => (Unreachable, "the server behind the pooler cannot be reached"),
        "08004" => (Rejected, "the server rejected the connection"),
        "28P01" => REJECTED,
        "28000" => (Rejected, NOT_ALLOWED),
        "3D000" => NO_DATABASE,
        "3F000" => (Rejected, "there is no such schema"),
        "42501" => (Rejected, "the user does not have the required permission"),
        "53300" => (Exhausted, "the server's connection limit is reached"),
        "53100" => (Exhausted, "the server's disk is full"),
        "53200" => (Exhausted, "the server is out of memory"),
        _ if code.starts_with("53") => (Exhausted, "the server is out of resources"),
        "55P03" => (Unhealthy, "the query could not get a lock in time"),
        "55006" => (Unhealthy, "the database is in use by another command"),
        "57P03" => (Unhealthy, "the server is starting up or in recovery"),
        "57P01" | "57P02" => (Unhealthy, "the server is shutting down"),
        "57P04" => (Unhealthy, "the database was dropped"),
        "57P05" => (Unhealthy, "the server closed the idle connection"),
        "57014" => (Unhealthy, "the server cancelled the query"),
        "58030" => (Unhealthy, "the server has an I/O error"),
        "58P01" => (Unhealthy, "the server misses a file"),
        "25006" => (Unhealthy, "the server is read-only"),
        "40001" => (Unhealthy, "the query conflicts with the replay of the primary's changes"),
        "42601" | "42P01" | "42703" | "42883" => (Unhealthy, "the server rejected the query"),
        "XX000" => (Unhealthy, "the server reports an internal error"),
        "XX001" | "XX002" => (Unhealthy, "the server found corrupted data"),
        _ => (Unhealthy, "the server replied with an error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of servers that cannot be had here, from the pages that `docs/kinds/postgres.md` names.
    #[test]
    fn the_reasons_of_managed_poolers_are_known() {
        for (code, text, class, message) in [
            ("08P01", "This RDS Proxy requires TLS connections", Rejected, REQUIRES_TLS),
            (
                "08P01",
                "Timed-out waiting to acquire database connection",
                Exhausted,
                "the pooler had no free connection to the server in time",
            ),
            ("28000", "IAM authentication is allowed only with SSL connections.", Rejected, REQUIRES_TLS),
            ("28000", "The RDS proxy has no credentials for the role app.", Rejected, "the pooler has no credentials for this user"),
            (
                "XX000",
                "Tenant or user not found",
                Rejected,
                "the pooler knows no such user: with Supabase, write `user.project` as the user",
            ),
            ("XX000", "Max client connections reached", Exhausted, "the server's connection limit is reached"),
            ("XX000", "Couldn't connect to compute node", Unhealthy, "the proxy cannot connect to the server behind it"),
            (
                "08P01",
                "Endpoint ID is not specified. Either please upgrade the postgres client library (libpq) for SNI support or pass the endpoint ID",
                Rejected,
                "the endpoint is not named: add `options=endpoint%3DNAME` to the URL",
            ),
            ("XX000", "could not open relation", Unhealthy, "the server reports an internal error"),
        ] {
            assert_eq!(reason(code, text), (class, message), "{text}");
        }
    }

    /// As Pgpool-II 4.3 sends it.
    #[test]
    fn an_error_in_place_of_the_reply_about_tls_is_classified() {
        let failure = early_failure(b"\0\0\0\x4aSERROR\0VERROR\0C53300\0MSorry, too many clients already\0\0");
        assert_eq!(failure.to_string(), "exhausted: the server's connection limit is reached");
        assert_eq!(early_failure(b"").to_string(), "unhealthy: the server could not start a session");
    }

    #[test]
    fn the_text_counts_only_where_the_code_says_too_little() {
        // A query may contain any text.
        assert_eq!(reason("42601", "syntax error at or near \"no such user\"").1, "the server rejected the query");
        assert_eq!(reason("57P03", "das Datenbanksystem startet").1, "the server is starting up or in recovery");
        assert_eq!(reason("54000", "database is not accepting commands to avoid wraparound data loss in database \"a\"").0, Unhealthy);
    }
}
