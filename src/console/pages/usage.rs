//! How an access request was used, as a chart and as tables.

use std::time::Duration;

use time::macros::format_description;

use super::{
    chart::{Bars, Day},
    visitor::Visitor,
    words::{When, number, service_name},
};
use crate::{
    audit::{DayUse, Tally, Usage},
    clock::Timestamp,
};

/// The chart goes back so many days.
const DAYS: u32 = 30;

pub(crate) struct Use {
    pub(crate) calls: String,
    pub(crate) errors: String,
    pub(crate) bytes: String,
    pub(crate) last: Option<When>,
    pub(crate) chart: Bars,
    pub(crate) operations: Vec<Row>,
    pub(crate) days: Vec<Row>,
}

pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) operation: String,
    pub(crate) calls: String,
    pub(crate) errors: String,
    pub(crate) last: Option<When>,
}

impl Use {
    pub(crate) fn new(visitor: &Visitor, usage: &Usage) -> Self {
        let row = |name: String, operation: String, tally: &Tally| Row {
            name,
            operation,
            calls: number(tally.calls),
            errors: number(tally.errors),
            last: tally.last_used_at.map(|at| visitor.when(at)),
        };
        let operations = usage.by_operation.iter().map(|used| {
            let service = used.service.as_ref().map_or("Not recognised", service_name);
            row(service.to_owned(), used.operation.clone().unwrap_or_else(|| "not recognised".into()), &used.tally)
        });
        let days = usage.by_day.iter().rev().map(|day| row(day.day.clone(), String::new(), &day.tally));
        Self {
            calls: number(usage.total.calls),
            errors: number(usage.total.errors),
            bytes: bytes(usage.total.bytes_in.saturating_add(usage.total.bytes_out)),
            last: usage.total.last_used_at.map(|at| visitor.when(at)),
            chart: chart(&usage.by_day, visitor.now),
            operations: operations.collect(),
            days: days.collect(),
        }
    }
}

/// One bar for each of the last days, with those without a call.
pub(super) fn chart(by_day: &[DayUse], now: Timestamp) -> Bars {
    let key = format_description!("[year]-[month]-[day]");
    let label = format_description!("[day padding:none] [month repr:short]");
    let day = |back: u32| {
        let date = now.minus(Duration::from_hours(24) * back).to_utc();
        let of_day = date.format(key).unwrap_or_default();
        let tally = by_day.iter().find(|day| day.day == of_day).map(|day| day.tally).unwrap_or_default();
        Day { label: date.format(label).unwrap_or_default(), calls: tally.calls, errors: tally.errors }
    };
    Bars { days: (0..DAYS).rev().map(day).collect() }
}

/// `4.2 MB`, in powers of ten.
pub(super) fn bytes(count: u64) -> String {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];
    match units.into_iter().find(|&(_, size)| count >= size) {
        Some((unit, size)) => format!("{}.{} {unit}", number(count / size), count % size * 10 / size),
        None => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_are_short() {
        let said = [0, 999, 1000, 4_250_000, 12_345_678_900].map(super::bytes);
        assert_eq!(said, ["0 B", "999 B", "1.0 kB", "4.2 MB", "12.3 GB"]);
    }
}
