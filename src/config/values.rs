//! One value each: from its text to what it means, or to the words that tell what it must be.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use tracing::level_filters::LevelFilter;

use super::{ConsoleTls, LogDestination, LogFormat, OnFailure, units};
use crate::{gateway::Address, model::HostPattern};

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    SocketAddr::from_str(text)
        .map_err(|_| format!("must be ADDRESS:PORT such as 0.0.0.0:3128 or [::]:3128, not \"{text}\""))
}

pub(super) fn console_tls(text: &str) -> Result<ConsoleTls, String> {
    match text {
        "auto" => Ok(ConsoleTls::Auto),
        "off" => Ok(ConsoleTls::Off),
        _ => Err(format!("must be \"auto\", \"off\" or {{ cert = \"…\", key = \"…\" }}, not \"{text}\"")),
    }
}

/// `{ cert = "…", key = "…" }`, with every mistake in it.
pub(super) fn certificate(pairs: &[(String, String)]) -> Result<ConsoleTls, Vec<String>> {
    let strange = pairs.iter().filter(|(name, _)| !["cert", "key"].contains(&name.as_str()));
    let mut wrong: Vec<_> =
        strange.map(|(name, _)| format!("there is no \"{name}\" in it, only \"cert\" and \"key\"")).collect();
    let mut file = |wanted: &str| {
        let found = pairs.iter().find(|(name, path)| name == wanted && !path.is_empty());
        if found.is_none() {
            wrong.push(format!("has no {wanted}: name its PEM file"));
        }
        PathBuf::from(found.map_or("", |(_, path)| path))
    };
    let (cert, key) = (file("cert"), file("key"));
    if wrong.is_empty() { Ok(ConsoleTls::Files { cert, key }) } else { Err(wrong) }
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(PathBuf::from(text)) }
}

#[expect(clippy::unnecessary_wraps, reason = "one signature for all that parse a text")]
pub(super) fn optional_path(text: &str) -> Result<Option<PathBuf>, String> {
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

pub(super) fn host_pattern(text: &str) -> Result<HostPattern, String> {
    HostPattern::from_str(text).map_err(|error| format!("{error}, not \"{text}\""))
}

/// Host names are brought to lower case; addresses are permitted, too, because clients may use one.
pub(super) fn name_or_address(text: &str) -> Result<String, String> {
    match IpAddr::from_str(text) {
        Ok(address) => Ok(address.to_string()),
        Err(_) => host_name(text),
    }
}

fn host_name(text: &str) -> Result<String, String> {
    match HostPattern::from_str(text) {
        Ok(pattern) if !text.starts_with("*.") => Ok(pattern.to_string()),
        _ => Err(format!("must be a host name such as gateway.example.com, not \"{text}\"")),
    }
}

pub(super) fn override_of(pattern: &str, address: &str) -> Result<(HostPattern, Address), String> {
    let pattern = host_pattern(pattern)?;
    if let Ok(socket) = SocketAddr::from_str(address) {
        return Ok((pattern, Address::Socket(socket)));
    }
    let name_and_port = |(name, port): (&str, &str)| Some((host_name(name).ok()?, u16::from_str(port).ok()?));
    match address.rsplit_once(':').and_then(name_and_port) {
        Some((name, port)) => Ok((pattern, Address::Name(name, port))),
        None => Err(format!("must be HOST:PORT such as 127.0.0.1:5001, not \"{address}\"")),
    }
}

pub(super) fn level(text: &str) -> Result<LevelFilter, String> {
    let known = ["error", "warn", "info", "debug", "trace"].contains(&text);
    text.parse()
        .ok()
        .filter(|_| known)
        .ok_or_else(|| format!("must be one of \"error\", \"warn\", \"info\", \"debug\", \"trace\", not \"{text}\""))
}

/// A file is named from the root: a service runs there, and its user's shell elsewhere.
pub(super) fn log_file(text: &str) -> Result<LogDestination, String> {
    match text {
        "" => Ok(LogDestination::Auto),
        "off" => Ok(LogDestination::Off),
        _ if text.starts_with('/') => Ok(LogDestination::File(PathBuf::from(text))),
        _ => Err(format!("must be a file named from the root, or \"off\", not \"{text}\"")),
    }
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        _ => Err(format!("must be \"text\" or \"json\", not \"{text}\"")),
    }
}

pub(super) fn on_failure(text: &str) -> Result<OnFailure, String> {
    match text {
        "allow" => Ok(OnFailure::Allow),
        "deny" => Ok(OnFailure::Deny),
        _ => Err(format!("must be \"deny\" or \"allow\", not \"{text}\"")),
    }
}

/// Records live in one file a day, so less than a day can't be kept.
pub(super) fn retention(text: &str) -> Result<Duration, String> {
    let span = units::duration(text)?;
    if span < Duration::from_hours(24) {
        return Err(format!("must be one day (1d) or more, not \"{text}\""));
    }
    Ok(span)
}
