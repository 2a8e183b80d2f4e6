//! A chart of calls by day, drawn here as SVG: it needs no script, and a table beside it says the same.

use std::fmt::{self, Write as _};

use askama::filters::HtmlSafe;

use super::words::number;

/// Bars, the oldest first: calls, and the errors among them.
pub(crate) struct Bars {
    pub(crate) days: Vec<Day>,
}

/// A bar.
pub(crate) struct Day {
    /// `23 Nov`.
    pub(crate) label: String,
    pub(crate) calls: u64,
    pub(crate) errors: u64,
}

impl HtmlSafe for Bars {}

const WIDTH: usize = 720;
const HEIGHT: u64 = 150;
/// Room for the labels: at the left, above, and below.
const LEFT: usize = 48;
const TOP: u64 = 14;
const BOTTOM: u64 = 22;

impl fmt::Display for Bars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let highest = scale(self.days.iter().map(|day| day.calls).max().unwrap_or(0));
        let (calls, errors) = self.days.iter().fold((0, 0), |(c, e), day| (c + day.calls, e + day.errors));
        let count = self.days.len().max(1);
        write!(
            f,
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-labelledby=\"chart-title chart-desc\">\
             <title id=\"chart-title\">Calls by day</title>\
             <desc id=\"chart-desc\">{} calls in {count} days, {} of them errors. The table says it day by day.</desc>",
            TOP + HEIGHT + BOTTOM,
            number(calls),
            number(errors)
        )?;
        for (share, value) in [(0, highest), (1, highest / 2), (2, 0)] {
            let y = TOP + HEIGHT * share / 2;
            write!(
                f,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\"/>\
                 <text class=\"value\" x=\"{}\" y=\"{}\">{}</text>",
                LEFT - 8,
                y + 4,
                number(value)
            )?;
        }
        let mut labels = String::new();
        for (place, day) in self.days.iter().enumerate() {
            let x = LEFT + (WIDTH - LEFT) * place / count;
            let width =
                ((WIDTH - LEFT) * (place + 1) / count - (WIDTH - LEFT) * place / count).saturating_sub(3).max(1);
            // A day with a single call is still seen.
            let tall = |calls: u64| if calls == 0 { 0 } else { (calls.saturating_mul(HEIGHT) / highest).max(2) };
            let (all, bad) = (tall(day.calls), tall(day.errors));
            let base = TOP + HEIGHT;
            write!(
                f,
                "<g><title>{}: {} calls, {} errors</title>\
                 <rect class=\"calls\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{all}\"/>\
                 <rect class=\"errors\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{bad}\"/></g>",
                day.label,
                number(day.calls),
                number(day.errors),
                base - all,
                base - bad,
            )?;
            let (first, last) = (place == 0, place + 1 == count);
            if first || last || (place % 7 == 0 && place + 4 < count) {
                let (anchor, at) = if last && !first { ("end", x + width) } else { ("start", x) };
                write!(labels, "<text text-anchor=\"{anchor}\" x=\"{at}\" y=\"{}\">{}</text>", base + 16, day.label)?;
            }
        }
        write!(f, "{labels}</svg>")
    }
}

/// A round, even number at least as large.
fn scale(highest: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for step in [2, 4, 6, 10] {
            if unit.saturating_mul(step) >= highest {
                return unit.saturating_mul(step);
            }
        }
        unit = unit.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round() {
        assert_eq!([0, 1, 3, 7, 11, 99, 4321].map(scale), [2, 2, 4, 10, 20, 100, 6000]);
        assert!(scale(u64::MAX) >= u64::MAX / 2);
    }

    #[test]
    fn a_day_without_calls_has_no_bar_and_a_single_call_is_seen() {
        let day = |calls| Day { label: format!("{calls}"), calls, errors: 0 };
        let svg = Bars { days: vec![day(0), day(1), day(1000)] }.to_string();
        assert!(svg.contains("height=\"0\"") && svg.contains("height=\"2\""), "{svg}");
        assert!(svg.contains("1,001 calls in 3 days"));
        assert!(Bars { days: Vec::new() }.to_string().ends_with("</svg>"));
    }
}
