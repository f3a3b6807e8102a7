//! Ages as people read them: one number and one unit.

use jiff::SignedDuration;

/// An age in one unit, such as `12 min`. The script of the status page has the same rule.
pub(crate) fn rounded(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", seconds / 60),
        6_000..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit() {
        for (seconds, expected) in
            [(-5, "0 s"), (99, "99 s"), (100, "1 min"), (5_999, "99 min"), (6_000, "1 h"), (172_799, "47 h"), (172_800, "2 days")]
        {
            assert_eq!(rounded(SignedDuration::from_secs(seconds)), expected);
        }
    }
}
