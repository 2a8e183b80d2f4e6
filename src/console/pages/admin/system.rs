//! Is the gateway itself well? What is wrong comes first, with what to do.

use std::time::Duration;

use askama::Template;
use axum::response::Response;

use crate::console::{
    error::Problem,
    health::{self, Health},
    pages::{frame::Frame, visitor::Visitor, words::When},
};

#[derive(Template)]
#[template(path = "admin/system.html")]
struct System {
    frame: Frame,
    health: Health,
    now: String,
    started: When,
    up: String,
    free: String,
    ca_until: When,
    console_until: Option<When>,
    newest_call: Option<When>,
    newest_event: Option<When>,
    /// Where the console is reached.
    console: String,
    endpoint: String,
}

pub(crate) async fn show(visitor: Visitor) -> Result<Response, Problem> {
    let state = visitor.state.clone();
    let health = visitor.session.clone().try_run(move |caller| health::of(&state, caller)).await?;
    let free = match (health.disk.free_bytes, health.disk.total_bytes) {
        (Some(free), Some(total)) => format!("{} of {} free", bytes(free), bytes(total)),
        _ => "not known".into(),
    };
    Ok(visitor.page(&System {
        frame: visitor.frame(),
        now: visitor.when(health.now).exact(),
        started: visitor.when(health.started_at),
        up: up(Duration::from_secs(health.uptime_seconds)),
        free,
        ca_until: visitor.when(health.certificates.ca_not_after),
        console_until: health.certificates.console_not_after.map(|at| visitor.when(at)),
        newest_call: health.audit.newest_call_at.map(|at| visitor.when(at)),
        newest_event: health.audit.newest_event_at.map(|at| visitor.when(at)),
        console: visitor.state.console.to_string(),
        endpoint: visitor.state.endpoint.to_string(),
        health,
    }))
}

/// `12.3 GiB`.
fn bytes(bytes: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = bytes / (unit / 10).max(1);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match bytes {
        0x4000_0000.. => format!("{} GiB", tenths(1 << 30)),
        _ => format!("{} MiB", tenths(1 << 20)),
    }
}

/// `3 days 4 h`.
fn up(span: Duration) -> String {
    let minutes = span.as_secs() / 60;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        (1, _) => format!("1 day {hours} h"),
        _ => format!("{days} days {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_as_people_read_them() {
        assert_eq!([bytes(0), bytes(5 << 20), bytes(3 << 29)], ["0.0 MiB", "5.0 MiB", "1.5 GiB"]);
        let spans = [59, 3600 + 120, 86_400, 3 * 86_400 + 7200].map(|seconds| up(Duration::from_secs(seconds)));
        assert_eq!(spans, ["0 min", "1 h 2 min", "1 day 0 h", "3 days 2 h"]);
    }
}
