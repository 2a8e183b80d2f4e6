//! Is the gateway itself well? What is measured, and for each thing that is not as it should be, what to do.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::{State, error::Problem};
use crate::{audit::Filter, clock::Timestamp, workflow::Caller};

/// Fewer free bytes than this, or than a twentieth of the disk, and the audit log will soon have no room.
const LITTLE_ROOM: u64 = 1 << 30;
/// The CA's successor has to be with every client before the CA ends.
const CA_NOTICE: Duration = Duration::from_hours(90 * 24);
/// The appliance's own has more left than this when it is renewed. Who brings one by hand has been slow.
const CONSOLE_NOTICE: Duration = Duration::from_hours(2 * 24);
/// Clocks of one machine may differ by this much, from when a record was made to when the clock was set.
const CLOCK_SLACK: Duration = Duration::from_mins(1);

/// How the gateway is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    pub(crate) version: &'static str,
    /// The schema of the database.
    pub(crate) schema: u32,
    /// The gateway's clock.
    pub(crate) now: Timestamp,
    pub(crate) started_at: Timestamp,
    pub(crate) uptime_seconds: u64,
    pub(crate) disk: Disk,
    pub(crate) certificates: Certificates,
    pub(crate) audit: AuditQueue,
    pub(crate) counts: Counts,
    /// What is not as it should be; none if all is well.
    pub(crate) warnings: Vec<Warning>,
}

/// The disk that the data directory is on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Disk {
    pub(crate) data_dir: String,
    /// Null if the system does not say.
    #[schema(required)]
    pub(crate) free_bytes: Option<u64>,
    #[schema(required)]
    pub(crate) total_bytes: Option<u64>,
}

/// The certificate authority and what it has issued.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Certificates {
    pub(crate) ca_not_after: Timestamp,
    /// The console's own certificate; null if it speaks plain HTTP.
    #[schema(required)]
    pub(crate) console_not_after: Option<Timestamp>,
    /// For how many hosts a certificate is kept ready.
    pub(crate) hosts: usize,
}

/// The queue of call records that wait to be written.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AuditQueue {
    /// How many calls are under way or wait to be written.
    pub(crate) taken: usize,
    /// How many there may be; then `audit.on_failure` says what happens to calls.
    pub(crate) capacity: usize,
    /// Does writing fail at the moment?
    pub(crate) failing: bool,
    #[schema(required)]
    pub(crate) newest_call_at: Option<Timestamp>,
    #[schema(required)]
    pub(crate) newest_event_at: Option<Timestamp>,
}

/// How much there is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Counts {
    pub(crate) people: u64,
    pub(crate) disabled_people: u64,
    pub(crate) environments: usize,
    pub(crate) credentials: usize,
    pub(crate) active_keys: usize,
    pub(crate) sessions: u64,
    pub(crate) api_tokens: u64,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Warning {
    /// The kind, for programs.
    #[schema(examples("disk_low"))]
    pub(crate) id: &'static str,
    /// What is wrong.
    pub(crate) problem: String,
    /// What to do about it.
    pub(crate) advice: String,
}

/// Measures. Blocks.
pub(crate) fn of(state: &State, caller: &Caller) -> Result<Health, Problem> {
    let summary = caller.administrator()?.state()?;
    let now = state.workflow.clock().now();
    let queue = state.audit.queue();
    let newest_call = state.audit.calls(&Filter::default(), None, 1)?.items.into_iter().next();
    let system = &state.system;
    let (free_bytes, total_bytes) = room(system).unzip();
    let mut health = Health {
        version: super::pages::VERSION,
        schema: summary.schema,
        now,
        started_at: system.started_at,
        uptime_seconds: now.since(system.started_at).as_secs(),
        disk: Disk { data_dir: system.data_dir.display().to_string(), free_bytes, total_bytes },
        certificates: Certificates {
            ca_not_after: state.authority.not_after(),
            console_not_after: system.identity.as_ref().map(|identity| identity.borrow().not_after()),
            hosts: (system.certificates)(),
        },
        audit: AuditQueue {
            taken: queue.taken,
            capacity: queue.capacity,
            failing: queue.failing,
            newest_call_at: newest_call.map(|(_, call)| call.at),
            newest_event_at: summary.newest_event_at,
        },
        counts: Counts {
            people: summary.people,
            disabled_people: summary.disabled_people,
            environments: summary.environments,
            credentials: summary.credentials,
            active_keys: summary.active_keys,
            sessions: summary.sessions,
            api_tokens: summary.api_tokens,
        },
        warnings: Vec::new(),
    };
    health.warnings = warnings(&health, &state.console);
    if let [(_, first), rest @ ..] = summary.unchecked_credentials.as_slice() {
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        let problem = format!("AWS has never confirmed the credential “{first}”{more}.");
        let advice = "Open it under Credentials and test it: calls that stand on a wrong key or role fail.";
        health.warnings.push(warning("credential_unchecked", problem, advice));
    }
    Ok(health)
}

/// Free and all bytes of the disk.
fn room(system: &super::System) -> Option<(u64, u64)> {
    let about = rustix::fs::statvfs(&*system.data_dir).ok()?;
    Some((about.f_bavail.saturating_mul(about.f_frsize), about.f_blocks.saturating_mul(about.f_frsize)))
}

/// Everything that is not as it should be.
fn warnings(health: &Health, console: &str) -> Vec<Warning> {
    let parts = [of_disk, of_authority, of_console_certificate, of_audit, of_clock, of_counts];
    parts.into_iter().flat_map(|part| part(health)).chain(of_console(console)).collect()
}

fn warning(id: &'static str, problem: impl Into<String>, advice: impl Into<String>) -> Warning {
    Warning { id, problem: problem.into(), advice: advice.into() }
}

fn of_disk(health: &Health) -> Vec<Warning> {
    let Disk { data_dir, free_bytes, total_bytes } = &health.disk;
    let (Some(free), Some(total)) = (*free_bytes, *total_bytes) else {
        let problem = format!("The system does not say how much room there is in {data_dir}.");
        return vec![warning("disk_unknown", problem, "See whether the directory is still there and mounted.")];
    };
    // A small disk is not low all the time.
    if free >= LITTLE_ROOM.max(total / 20).min(total / 2) {
        return Vec::new();
    }
    let problem = format!("Only {} MiB are free on the disk of {data_dir}.", free >> 20);
    let advice = "Make room, enlarge the disk, or keep the audit log for less long (audit.retention).";
    vec![warning("disk_low", problem, advice)]
}

fn of_authority(health: &Health) -> Vec<Warning> {
    let left = health.certificates.ca_not_after.since(health.now);
    if left.is_zero() {
        let problem = "The certificate authority has ended: no client can trust the gateway any more.";
        let advice =
            "Look at the gateway's clock. If it is right, a new authority has to be made and given to every client.";
        vec![warning("ca_ended", problem, advice)]
    } else if left < CA_NOTICE {
        let problem = format!("The certificate authority ends in {} days.", left.as_secs() / 86_400);
        vec![warning("ca_ends", problem, "Plan to replace it, and to give the new one to every client before that.")]
    } else {
        Vec::new()
    }
}

fn of_console_certificate(health: &Health) -> Vec<Warning> {
    let left = health.certificates.console_not_after.map(|end| end.since(health.now));
    let advice = "If it comes from files (console.tls), put new ones in their place; they are read without a restart. If it \
                  is the gateway's own, the log says why there is no new one.";
    match left {
        Some(left) if left.is_zero() => {
            vec![warning(
                "console_certificate_ended",
                "The console's certificate has ended: browsers refuse it.",
                advice,
            )]
        }
        Some(left) if left < CONSOLE_NOTICE => {
            let problem = format!("The console's certificate ends in {} hours.", left.as_secs() / 3600);
            vec![warning("console_certificate_ends", problem, advice)]
        }
        _ => Vec::new(),
    }
}

fn of_audit(health: &Health) -> Vec<Warning> {
    let AuditQueue { taken, capacity, failing, .. } = health.audit;
    if failing {
        let problem =
            format!("Audit records can't be written; {taken} are kept in memory, and there is room for {capacity}.");
        let advice = "Make room on the disk, or mend the permissions of the data directory; the log says which file.";
        vec![warning("audit_failing", problem, advice)]
    } else if taken > capacity / 2 {
        let problem = format!("{taken} of {capacity} places in the audit queue are taken.");
        let advice = "The disk may be too slow for so many calls; once the queue is full, audit.on_failure says what \
                      happens to calls.";
        vec![warning("audit_slow", problem, advice)]
    } else {
        Vec::new()
    }
}

fn of_clock(health: &Health) -> Vec<Warning> {
    let newest = health.audit.newest_call_at.max(health.audit.newest_event_at);
    let Some(newest) = newest.filter(|newest| newest.since(health.now) > CLOCK_SLACK) else { return Vec::new() };
    let problem = format!("The clock says {}, but something was recorded at {newest}.", health.now);
    let advice =
        "Set the clock, and keep it set with NTP (timedatectl): signatures more than 15 minutes off are refused.";
    vec![warning("clock_behind", problem, advice)]
}

/// What an installation can't do without.
fn of_counts(health: &Health) -> Vec<Warning> {
    let missing = [
        (
            health.counts.environments,
            "environment_missing",
            "There is no environment yet, so nobody can ask for a service.",
            "Make one under Environments, or go on with the first steps at /welcome.",
        ),
        (
            health.counts.credentials,
            "credential_missing",
            "There is no credential yet, so no request can be approved.",
            "Add one under Credentials, or go on with the first steps at /welcome.",
        ),
    ];
    let missing = missing.into_iter().filter(|(count, ..)| *count == 0);
    missing.map(|(_, id, problem, advice)| warning(id, problem, advice)).collect()
}

fn of_console(console: &str) -> Option<Warning> {
    let address = console.strip_prefix("http://")?.parse::<std::net::SocketAddr>();
    let problem = "The console is reached over plain HTTP from other machines: passwords can be read on the way.";
    let advice = "Let console.tls be auto, or name a certificate there. Where a program that ends TLS stands before it, let \
                  console.listen be an address that only that program reaches.";
    (!address.is_ok_and(|address| address.ip().is_loopback())).then(|| warning("console_plain", problem, advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Health {
        let at = |text| Timestamp::parse_rfc3339(text).unwrap();
        Health {
            version: "1",
            schema: 1,
            now: at("2026-11-23T12:00:00Z"),
            started_at: at("2026-11-23T11:00:00Z"),
            uptime_seconds: 3600,
            disk: Disk { data_dir: "/var/lib/csg".into(), free_bytes: Some(50 << 30), total_bytes: Some(100 << 30) },
            certificates: Certificates { ca_not_after: at("2036-11-23T12:00:00Z"), console_not_after: None, hosts: 3 },
            audit: AuditQueue {
                taken: 1,
                capacity: 100,
                failing: false,
                newest_call_at: Some(at("2026-11-23T12:00:30Z")),
                newest_event_at: None,
            },
            counts: Counts {
                people: 1,
                disabled_people: 0,
                environments: 1,
                credentials: 1,
                active_keys: 0,
                sessions: 1,
                api_tokens: 0,
            },
            warnings: Vec::new(),
        }
    }

    fn ids(console: &str, change: impl FnOnce(&mut Health)) -> Vec<&'static str> {
        let mut health = well();
        change(&mut health);
        let warnings = warnings(&health, console);
        assert!(warnings.iter().all(|warning| warning.problem.ends_with('.') && warning.advice.ends_with('.')));
        warnings.into_iter().map(|warning| warning.id).collect()
    }

    #[test]
    fn each_thing_that_is_wrong_is_told_and_nothing_else() {
        const HERE: &str = "http://127.0.0.1:3129";
        let later = |health: &Health, span| health.now.plus(Duration::from_secs(span));
        assert_eq!(ids(HERE, |_| {}), [""; 0]);
        assert_eq!(ids("https://10.0.0.7:3129", |_| {}), [""; 0]);
        assert_eq!(ids("http://10.0.0.7:3129", |_| {}), ["console_plain"]);
        assert_eq!(ids("http://gw.example.com:3129", |_| {}), ["console_plain"]);
        let console_ends = |span| {
            let at = |health: &Health| later(health, span);
            ids(HERE, |health| health.certificates.console_not_after = Some(at(health)))
        };
        assert_eq!(console_ends(7 * 86_400), [""; 0]);
        assert_eq!(console_ends(2 * 86_400 - 1), ["console_certificate_ends"]);
        assert_eq!(console_ends(0), ["console_certificate_ended"]);
        assert_eq!(ids(HERE, |health| health.disk.free_bytes = Some(900 << 20)), ["disk_low"]);
        assert_eq!(ids(HERE, |health| health.disk.free_bytes = Some(4 << 30)), ["disk_low"]);
        assert_eq!(ids(HERE, |health| health.disk.free_bytes = None), ["disk_unknown"]);
        let ends = |span| ids(HERE, |health| health.certificates.ca_not_after = later(health, span));
        assert_eq!(ends(89 * 86_400), ["ca_ends"]);
        assert_eq!(ends(0), ["ca_ended"]);
        assert_eq!(ids(HERE, |health| health.audit.failing = true), ["audit_failing"]);
        assert_eq!(ids(HERE, |health| health.audit.taken = 51), ["audit_slow"]);
        assert_eq!(ids(HERE, |health| health.counts.environments = 0), ["environment_missing"]);
        assert_eq!(ids(HERE, |health| health.counts.credentials = 0), ["credential_missing"]);
        let recorded = |span| ids(HERE, |health| health.audit.newest_event_at = Some(later(health, span)));
        assert_eq!(recorded(61), ["clock_behind"]);
    }
}
