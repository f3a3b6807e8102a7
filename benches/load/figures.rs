//! Numbers of several rounds: their median, and how far they are apart.

use std::{fmt, time::Duration};

/// What was measured in each round.
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

    /// The figure that is not exceeded by this share of all, from 0 to 1.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a list")]
        let place = ((self.0.len() as f64 * share).ceil() as usize).clamp(1, self.0.len().max(1)) - 1;
        self.0.get(place).copied().unwrap_or(f64::NAN)
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Each with this many digits after the point: `median (smallest–largest)`.
    pub(crate) fn shown(&self, digits: usize) -> String {
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

/// The same of two programs, round by round, the one divided by the other.
pub(crate) fn ratios(rounds: &[(f64, f64)]) -> Figures {
    rounds.iter().map(|(ours, control)| ours / control).collect()
}

/// A time in the unit that suits it.
pub(crate) struct Shown(pub(crate) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs_f64() {
            seconds if seconds < 0.001 => write!(formatter, "{:.0} µs", seconds * 1e6),
            seconds if seconds < 1.0 => write!(formatter, "{:.2} ms", seconds * 1e3),
            seconds => write!(formatter, "{seconds:.2} s"),
        }
    }
}
