//! The table of measurements.

use super::is_full;
use std::{
    env,
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    time::Duration,
};

/// One kind and one fault; times are the worst of all rounds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Measurement {
    pub(super) fault: &'static str,
    pub(super) subject: String,
    /// The class of the failure. `None`: the component must go on passing, and did.
    pub(super) class: Option<String>,
    pub(super) detected: Duration,
    pub(super) detection_bound: Duration,
    pub(super) recovered: Duration,
    pub(super) recovery_bound: Duration,
    pub(super) rounds: u32,
}

/// Prints the measurements and, for `cargo xtask chaos`, writes them into a file of this test.
pub(super) fn print_rows(test: &str, mut rows: Vec<Measurement>) {
    rows.sort();
    let mut lines = String::new();
    for row in &rows {
        let seconds = |duration: Duration| format!("{:.2} s", duration.as_secs_f64());
        // Writing to a String cannot fail.
        let _ = match &row.class {
            Some(class) => writeln!(
                lines,
                "| {} | {} | {class} | {} of {} | {} of {} | {} |",
                row.fault,
                row.subject,
                seconds(row.detected),
                seconds(row.detection_bound),
                seconds(row.recovered),
                seconds(row.recovery_bound),
                row.rounds
            ),
            None => writeln!(lines, "| {} | {} | none: keeps passing | – | – | {} |", row.fault, row.subject, row.rounds),
        };
    }
    print_lines(test, &lines);
}

/// The same for formatted lines.
pub(super) fn print_lines(test: &str, lines: &str) {
    // The test harness captures standard output unless `--nocapture` is given.
    let _ = std::io::stdout().write_all(lines.as_bytes());
    keep_lines(test, lines);
}

/// Writes lines into a file for `cargo xtask chaos`.
pub(crate) fn keep_lines(test: &str, lines: &str) {
    if is_full() {
        let folder = PathBuf::from(env::var_os("ALLSWELL_CHAOS").expect("a folder"));
        fs::create_dir_all(&folder).expect("a folder");
        File::create(folder.join(test)).and_then(|mut file| file.write_all(lines.as_bytes())).expect("a file");
    }
}
