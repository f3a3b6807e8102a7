//! What the result codes of `SQLite` mean.

use crate::contract::FailureClass::{self, Exhausted, Protocol, Rejected, Unhealthy};

/// Even to read the file: <https://www.sqlite.org/wal.html#read_only_databases>.
const WAL_NEEDS_FOLDER: (FailureClass, &str) = (Unhealthy, "in WAL mode SQLite must be able to write to the database's folder");

/// By extended result code, and by its low byte, the primary one: <https://www.sqlite.org/rescode.html>.
pub(super) fn reason(code: &str) -> (FailureClass, &'static str) {
    let code: u32 = code.parse().unwrap_or(0);
    match code {
        // SQLITE_READONLY_RECOVERY, _CANTLOCK, _CANTINIT and _DIRECTORY.
        264 | 520 | 1288 | 1544 => return WAL_NEEDS_FOLDER,
        // SQLITE_READONLY_ROLLBACK.
        776 => return (Unhealthy, "a transaction must be rolled back, but the file is read-only"),
        // SQLITE_READONLY_DBMOVED.
        1032 => return (Unhealthy, "the file was moved or deleted"),
        // SQLITE_BUSY_RECOVERY.
        261 => return (Unhealthy, "the database is locked: another process recovers it"),
        // SQLITE_IOERR_UNLOCK, _RDLOCK, _CHECKRESERVEDLOCK, _LOCK, and SQLITE_PROTOCOL.
        2058 | 2314 | 3594 | 3850 | 15 => return (Unhealthy, "the file cannot be locked: its file system may not support that"),
        // SQLITE_IOERR_SHMOPEN, _SHMSIZE, _SHMLOCK and _SHMMAP.
        4618 | 4874 | 5130 | 5386 => return (Unhealthy, "the index of the write-ahead log cannot be opened"),
        // SQLITE_CANTOPEN_ISDIR.
        526 => return (Unhealthy, IS_FOLDER),
        _ => {}
    }
    match code & 0xff {
        1 => (Unhealthy, "the database rejected the query"),
        3 | 23 => (Rejected, "permission to read the file denied"),
        5 | 6 => (Unhealthy, "the database is locked"),
        7 => (Exhausted, "out of memory"),
        8 => (Unhealthy, "the file is read-only"),
        9 => (Unhealthy, "the query was interrupted"),
        10 => (Unhealthy, "the file cannot be read"),
        11 => (Unhealthy, "the file is damaged"),
        13 => (Exhausted, "the disk is full"),
        14 => (Unhealthy, "the file cannot be opened"),
        26 => (Protocol, "the file is not a database, or it is encrypted"),
        _ => (Unhealthy, "the database replied with an error"),
    }
}

/// Docker creates a folder in place of a file that is mounted and does not exist.
pub(super) const IS_FOLDER: &str = "the path is a folder, not a file";

/// The reason while reading an open file, which differs for `SQLITE_CANTOPEN`: it concerns the log of the file.
pub(super) fn reason_while_reading(code: &str) -> (FailureClass, &'static str) {
    if code == "14" { WAL_NEEDS_FOLDER } else { reason(code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extended_code_says_more_than_its_primary_one() {
        for (code, message) in [
            ("8", "the file is read-only"),
            ("1544", WAL_NEEDS_FOLDER.1),
            ("1032", "the file was moved or deleted"),
            ("517", "the database is locked"),
            ("261", "the database is locked: another process recovers it"),
            ("522", "the file cannot be read"),
            ("779", "the file is damaged"),
            ("26", "the file is not a database, or it is encrypted"),
            ("", "the database replied with an error"),
        ] {
            assert_eq!(reason(code).1, message, "{code}");
        }
        assert_ne!(reason_while_reading("14"), reason("14"));
        assert_eq!(reason_while_reading("11"), reason("11"));
    }
}
