//! The audit log as a file: JSON lines for programs, a table for people who count in a spreadsheet.

use csv::{Terminator, WriterBuilder};

use super::audit::{Call, Entry, Event};
use crate::{
    console::error::Problem,
    model::{CallRecord, WorkflowEvent},
};

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Csv,
    Ndjson,
}

const COLUMNS: [&str; 20] = [
    "kind",
    "at",
    "id",
    "user",
    "action",
    "subject",
    "environment",
    "request",
    "service",
    "operation",
    "region",
    "host",
    "client",
    "access_key_id",
    "outcome",
    "status",
    "bytes_in",
    "bytes_out",
    "duration_us",
    "detail",
];

impl Form {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// What comes before all entries.
    pub(super) fn head(self) -> Result<Vec<u8>, Problem> {
        match self {
            Self::Csv => table([COLUMNS.map(str::to_owned)]),
            Self::Ndjson => Ok(Vec::new()),
        }
    }

    pub(super) fn lines(self, entries: &[Entry]) -> Result<Vec<u8>, Problem> {
        match self {
            Self::Csv => table(entries.iter().map(row)),
            Self::Ndjson => {
                let mut lines = Vec::with_capacity(entries.len() * 512);
                for entry in entries {
                    serde_json::to_writer(&mut lines, entry).map_err(|error| Problem::internal(&error))?;
                    lines.push(b'\n');
                }
                Ok(lines)
            }
        }
    }
}

/// As RFC 4180 has it.
fn table(rows: impl IntoIterator<Item = [String; COLUMNS.len()]>) -> Result<Vec<u8>, Problem> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.map(harmless)).map_err(|error| Problem::internal(&error))?;
    }
    writer.into_inner().map_err(|error| Problem::internal(&error))
}

/// A spreadsheet runs what looks like a formula (<https://owasp.org/www-community/attacks/CSV_Injection>), and much of
/// what is here was written by strangers: a client may call an operation `=HYPERLINK(…)`.
fn harmless(cell: String) -> String {
    let risky = |first: char| matches!(first, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠');
    // Space before it is thrown away by some.
    if cell.trim_start_matches(' ').starts_with(risky) { format!("'{cell}") } else { cell }
}

fn row(entry: &Entry) -> [String; COLUMNS.len()] {
    fn text<T: ToString>(value: Option<&T>) -> String {
        value.map_or_else(String::new, ToString::to_string)
    }
    match entry {
        Entry::Call(Call { record: call, .. }) => {
            let CallRecord { at, id, client, access_key_id, request, user, environment, host, service, .. } = call;
            [
                "call".into(),
                at.to_string(),
                id.clone(),
                text(user.as_ref()),
                String::new(),
                String::new(),
                text(environment.as_ref()),
                text(request.as_ref()),
                text(service.as_ref()),
                text(call.operation.as_ref()),
                text(call.region.as_ref()),
                host.to_string(),
                client.to_string(),
                text(access_key_id.as_ref()),
                call.outcome.name().into(),
                call.status.to_string(),
                call.bytes_in.to_string(),
                call.bytes_out.to_string(),
                call.duration_us.to_string(),
                text(call.error.as_ref()),
            ]
        }
        Entry::Event(Event { event, .. }) => {
            let WorkflowEvent { at, id, actor, action, subject, request, environment, detail } = event;
            let mut row = std::array::from_fn(|_| String::new());
            let known = [
                "event".into(),
                at.to_string(),
                id.clone(),
                text(actor.as_ref()),
                action.clone(),
                subject.clone(),
                text(environment.as_ref()),
                text(request.as_ref()),
            ];
            row.iter_mut().zip(known).for_each(|(cell, known)| *cell = known);
            if let Some(last) = row.last_mut() {
                *last = text(detail.as_ref());
            }
            row
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-2+3", "'-2+3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("  =1", "'  =1"),
            ("＝1", "'＝1"),
            ("PutItem", "PutItem"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(harmless(cell.into()), written);
        }
    }

    #[test]
    fn cells_that_hold_what_sets_cells_apart_are_quoted() {
        let mut cells = COLUMNS.map(|_| String::new());
        cells[0] = "a,\"b\"\r\nc".into();
        let text = String::from_utf8(table([cells]).unwrap()).unwrap();
        assert_eq!(text, format!("\"a,\"\"b\"\"\r\nc\"{}\r\n", ",".repeat(COLUMNS.len() - 1)));
    }
}
