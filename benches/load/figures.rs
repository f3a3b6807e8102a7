//! The values of several rounds: median, quantiles, smallest and largest.

use std::{fmt, time::Duration};

/// One value for each round, sorted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn push(&mut self, figure: f64) {
        self.0.push(figure);
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn median(&self) -> f64 {
        match self.0.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => self.0[odd / 2],
            even => f64::midpoint(self.0[even / 2 - 1], self.0[even / 2]),
        }
    }

    /// The value that this share of all values, from 0 to 1, does not exceed.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index of a list")]
        let index = ((self.0.len() as f64 * share).ceil() as usize).clamp(1, self.0.len().max(1)) - 1;
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// `median (smallest–largest)`, each with this number of decimals.
    pub(crate) fn to_text(&self, digits: usize) -> String {
        let [Some(smallest), Some(largest)] = [self.0.first(), self.0.last()] else { return "not measured".to_owned() };
        format!("{:.digits$} ({smallest:.digits$}–{largest:.digits$})", self.median())
    }
}

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self(sorted)
    }
}

/// The values of one program divided by those of the other, round by round.
pub(crate) fn ratios(rounds: &[(f64, f64)]) -> Figures {
    rounds.iter().map(|(ours, control)| ours / control).collect()
}

/// Formats a duration in µs, ms or s.
pub(crate) struct HumanDuration(pub(crate) Duration);

impl fmt::Display for HumanDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs_f64() {
            seconds if seconds < 0.001 => write!(formatter, "{:.0} µs", seconds * 1e6),
            seconds if seconds < 1.0 => write!(formatter, "{:.2} ms", seconds * 1e3),
            seconds => write!(formatter, "{seconds:.2} s"),
        }
    }
}
