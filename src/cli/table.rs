//! Tables for people: as wide as what is in them, nothing that a terminal would obey.

use std::fmt;

use serde_json::Value;

use super::terminal::{Palette, Style};

/// Rows of columns, with or without a head.
pub(super) struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// Said instead if there are no rows.
    empty: &'static str,
}

impl Table {
    /// One row for each item of a list, one column for each name.
    pub(super) fn of(items: &Value, columns: &[(&'static str, &str)], empty: &'static str) -> Self {
        let row = |item: &Value| columns.iter().map(|(_, field)| cell(&item[*field])).collect();
        let rows = items.as_array().into_iter().flatten().map(row).collect();
        Self { head: columns.iter().map(|(head, _)| *head).collect(), rows, empty }
    }

    /// One row for each fact of one thing; those that are not there are left out.
    pub(super) fn facts(thing: &Value, facts: &[(&'static str, &str)]) -> Self {
        let told = facts.iter().map(|(name, field)| vec![(*name).to_owned(), cell(&thing[*field])]);
        Self { head: Vec::new(), rows: told.filter(|row| row.iter().all(|text| text != NOTHING)).collect(), empty: "" }
    }
}

const NOTHING: &str = "-";

/// A value in one line.
pub(super) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => time(text).unwrap_or_else(|| plain(text)),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(role) if role.contains_key("role") => match role.get("environment").and_then(Value::as_str) {
            Some(environment) => format!("{}@{environment}", cell(&value["role"])),
            None => cell(&value["role"]),
        },
        other => other.to_string(),
    };
    if text.is_empty() { NOTHING.into() } else { text }
}

/// A time to the second: `2026-11-23 20:05:48Z`.
fn time(text: &str) -> Option<String> {
    crate::clock::Timestamp::parse_rfc3339(text).ok()?;
    let (day, rest) = text.split_once('T')?;
    Some(format!("{day} {}Z", rest.get(..8)?))
}

/// What others wrote must not move the cursor, nor break a line.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return if self.empty.is_empty() { Ok(()) } else { writeln!(f, "{}", self.empty) };
        }
        let palette = Palette::for_stdout();
        let head: Vec<_> = self.head.iter().map(|name| name.to_uppercase()).collect();
        let width = |column: usize| {
            let lines = self.rows.iter().chain([&head]);
            lines.filter_map(|row| row.get(column)).map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<_> = (0..columns).map(width).collect();
        let line = |row: &[String]| {
            let padded = row.iter().zip(&widths).map(|(text, width)| format!("{text:width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        if !head.is_empty() {
            writeln!(f, "{}", palette.paint(Style::Bold, line(&head)))?;
        }
        self.rows.iter().try_for_each(|row| writeln!(f, "{}", line(row)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_up_whatever_is_in_it() {
        let items = json!([
            { "name": "Dora\u{1b}[2J\nx", "roles": [{ "role": "developer", "environment": "dev" }, { "role": "auditor" }] },
            { "name": "é", "roles": [], "created_at": "2026-11-23T20:05:48.123Z" },
        ]);
        let columns = [("name", "name"), ("roles", "roles"), ("since", "created_at")];
        insta::assert_snapshot!(Table::of(&items, &columns, "Nobody."));
        assert_eq!(Table::of(&json!([]), &columns, "Nobody.").to_string(), "Nobody.\n");
    }
}
