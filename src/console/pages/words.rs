//! How pages put things: moments, statuses, services, spans of time.

use std::{fmt, time::Duration};

use askama::filters::HtmlSafe;
use time::macros::format_description;

use crate::{
    clock::Timestamp,
    cloud::aws::Catalogue,
    model::{AccessRequest, ServiceId, Status},
};

/// A moment, in words as seen from `now`, with the exact time on hover.
#[derive(Clone, Copy)]
pub(crate) struct When {
    pub(crate) at: Timestamp,
    pub(crate) now: Timestamp,
}

impl HtmlSafe for When {}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.exact();
        write!(f, "<time datetime=\"{}\" title=\"{exact}\">{}</time>", self.at, self.words())
    }
}

impl When {
    /// `4 min ago`, `in 3 h`, `23 Dec 2026`.
    pub(crate) fn words(&self) -> String {
        const DAY: u64 = 86_400;
        let (span, past) = (self.at.since(self.now).max(self.now.since(self.at)), self.at <= self.now);
        let text = match span.as_secs() {
            0..45 => return if past { "just now" } else { "in a moment" }.into(),
            seconds @ 45..3570 => format!("{} min", near(seconds, 60)),
            seconds @ 3570..84_600 => format!("{} h", near(seconds, 3600)),
            seconds if near(seconds, DAY) == 1 => "1 day".into(),
            seconds if seconds < 31 * DAY => format!("{} days", near(seconds, DAY)),
            _ => return self.date(),
        };
        if past { format!("{text} ago") } else { format!("in {text}") }
    }

    /// `23 Dec 2026`.
    pub(crate) fn date(&self) -> String {
        let layout = format_description!("[day padding:none] [month repr:short] [year]");
        self.at.to_utc().format(layout).unwrap_or_default()
    }

    /// `23 Dec 2026, 14:05 UTC`.
    pub(crate) fn exact(&self) -> String {
        let layout = format_description!("[day padding:none] [month repr:short] [year], [hour]:[minute]:[second] UTC");
        self.at.to_utc().format(layout).unwrap_or_default()
    }
}

/// How often `unit` goes into `seconds`, to the nearest.
fn near(seconds: u64, unit: u64) -> u64 {
    (seconds + unit / 2) / unit
}

/// A status: a shape, a word, and a colour last of all.
#[derive(Clone, Copy)]
pub(crate) struct Chip(pub(crate) Status);

impl HtmlSafe for Chip {}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, shape) = match self.0 {
            Status::Active => ("good", "●"),
            Status::Approved => ("you", "▲"),
            Status::Pending => ("wait", "◐"),
            Status::Archived | Status::Denied | Status::Expired | Status::Revoked | Status::Withdrawn => ("over", "○"),
        };
        let word = status_word(self.0);
        write!(f, "<span class=\"chip {class}\"><span aria-hidden=\"true\">{shape}</span> {word}</span>")
    }
}

/// The status as people say it.
pub(crate) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Active => "Active",
        Status::Approved => "Approved",
        Status::Archived => "Archived",
        Status::Denied => "Denied",
        Status::Expired => "Expired",
        Status::Pending => "Waiting",
        Status::Revoked => "Revoked",
        Status::Withdrawn => "Withdrawn",
    }
}

/// AWS's own name of a service.
pub(crate) fn service_name(id: &ServiceId) -> &str {
    Catalogue::embedded().service(id.as_str()).map_or(id.as_str(), |service| service.name)
}

/// `DynamoDB, Lambda`.
pub(crate) fn services(request: &AccessRequest) -> String {
    request.services.iter().map(service_name).collect::<Vec<_>>().join(", ")
}

/// For how long access is wished for: `for 30 days`.
pub(crate) fn wanted(request: &AccessRequest) -> String {
    let seconds = request.duration_seconds.map(Duration::from_secs);
    seconds.map_or_else(|| "until revoked".into(), |seconds| format!("for {}", span(seconds)))
}

/// As much of a text as a line of a list has room for.
pub(crate) fn beginning(text: &str) -> String {
    const ROOM: usize = 140;
    match text.char_indices().nth(ROOM) {
        None => text.to_owned(),
        Some((end, _)) => {
            let cut = text.get(..end).unwrap_or_default();
            let whole_words = cut.rsplit_once(char::is_whitespace).map_or(cut, |(words, _)| words);
            format!("{}…", whole_words.trim_end())
        }
    }
}

/// `dora, dan and peter`.
pub(crate) fn and(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// `30 days`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let count = |unit: u64, name: &str| {
        let count = seconds / unit;
        format!("{count} {name}{}", if count == 1 { "" } else { "s" })
    };
    match seconds {
        0 => "no time".into(),
        _ if seconds.is_multiple_of(86_400) => count(86_400, "day"),
        _ if seconds.is_multiple_of(3600) => count(3600, "hour"),
        _ if seconds.is_multiple_of(60) => count(60, "minute"),
        _ => count(1, "second"),
    }
}

/// `1,234,567`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_as_people_would() {
        let now = Timestamp::parse_rfc3339("2026-11-23T12:00:00Z").unwrap();
        for (seconds, past, future) in [
            (0, "just now", "just now"),
            (44, "just now", "in a moment"),
            (240, "4 min ago", "in 4 min"),
            (7200, "2 h ago", "in 2 h"),
            (86_400, "1 day ago", "in 1 day"),
            (12 * 3600 - 5, "12 h ago", "in 12 h"),
            (30 * 86_400 - 60, "30 days ago", "in 30 days"),
            (10 * 86_400, "10 days ago", "in 10 days"),
            (40 * 86_400, "14 Oct 2026", "2 Jan 2027"),
        ] {
            let span = Duration::from_secs(seconds);
            assert_eq!(When { at: now.minus(span), now }.words(), past);
            assert_eq!(When { at: now.plus(span), now }.words(), future);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_words() {
        assert_eq!(beginning("orders"), "orders");
        assert_eq!(beginning(&"ä".repeat(141)), format!("{}…", "ä".repeat(140)));
        assert_eq!(beginning(&format!("{} {}", "a".repeat(130), "b".repeat(30))), format!("{}…", "a".repeat(130)));
    }

    #[test]
    fn names_are_joined_as_people_would() {
        assert_eq!(["a", "b", "c"].map(|last| and(&["x", last])), ["x and a", "x and b", "x and c"]);
        assert_eq!((and(&[]), and(&["a"]), and(&["a", "b", "c"])), (String::new(), "a".into(), "a, b and c".into()));
    }

    #[test]
    fn numbers_and_spans() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        let spans = [86_400, 30 * 86_400, 7200, 90 * 60, 1].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["1 day", "30 days", "2 hours", "90 minutes", "1 second"]);
    }
}
