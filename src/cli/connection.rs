//! Which console the commands talk to, and as whom: what `csg login` has kept, unless a variable says otherwise.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    rest::{Rest, Trust},
    table::{Table, plain},
    terminal::print,
};
use crate::secret::Secret;

const DEFAULT: &str = "http://127.0.0.1:3129";

/// For the commands that work over the REST API.
#[derive(Debug, clap::Args)]
pub(super) struct Connection {
    /// The console's address [default: that of csg login, or http://127.0.0.1:3129]
    #[arg(long, global = true, env = "CSG_URL", hide_env_values = true)]
    url: Option<String>,
    /// Whom to trust where that is https, PEM [default: that of csg login, or the public authorities]
    #[arg(long, global = true, value_name = "FILE", env = "CSG_CA_FILE", hide_env_values = true)]
    console_ca: Option<PathBuf>,
    /// As JSON, for scripts
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// What `csg login` keeps for the other commands.
#[derive(Deserialize, Serialize)]
pub(super) struct Saved {
    pub(super) url: String,
    pub(super) username: String,
    pub(super) token: String,
    pub(super) expires_at: String,
    /// The console's authority, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ca: Option<String>,
}

impl Connection {
    /// The console's address and its authority, as they were given, or else as the last `csg login` knows them; and what
    /// that has kept of this console.
    pub(super) fn console(&self) -> anyhow::Result<(String, Option<String>, Option<Saved>)> {
        let saved = Saved::read()?;
        let url = match (&self.url, &saved) {
            (None, Some(saved)) => saved.url.clone(),
            (given, _) => {
                given.as_deref().filter(|url| !url.is_empty()).unwrap_or(DEFAULT).trim_end_matches('/').to_owned()
            }
        };
        let kept = saved.filter(|saved| saved.url == url);
        let ca = self.ca()?.or_else(|| kept.as_ref().and_then(|saved| saved.ca.clone()));
        Ok((url, ca, kept))
    }

    /// The authority that was named, as PEM.
    fn ca(&self) -> anyhow::Result<Option<String>> {
        let Some(path) = self.console_ca.as_deref().filter(|path| !path.as_os_str().is_empty()) else {
            return Ok(None);
        };
        fs::read_to_string(path).map(Some).with_context(|| format!("can't read {}", path.display()))
    }

    /// With the token of `CSG_TOKEN`, or of `csg login` to the same console: it goes nowhere else.
    pub(super) fn rest(&self) -> anyhow::Result<Rest> {
        let (url, ca, kept) = self.console()?;
        let given = std::env::var("CSG_TOKEN").ok().filter(|token| !token.is_empty());
        let token = given.or(kept.map(|saved| saved.token)).with_context(|| {
            format!("nobody is signed in at {url}: run `csg login --url {url} NAME`, or set CSG_TOKEN")
        })?;
        Ok(Rest::new(&url, &Trust::of(ca.as_deref())?, Some(Secret::new(token))))
    }

    /// Prints one thing, or a list of them: as JSON, or the way that people read it.
    pub(super) fn show(&self, value: &Value, human: impl FnOnce(&Value) -> Table) -> anyhow::Result<()> {
        if self.json {
            print(format_args!("{value}\n"))?;
        } else {
            print(human(value))?;
        }
        Ok(())
    }

    /// Prints the value, or a sentence for people.
    pub(super) fn tell(&self, value: &Value, sentence: &str) -> anyhow::Result<()> {
        if self.json {
            print(format_args!("{value}\n"))?;
        } else {
            print(format_args!("{}\n", plain(sentence)))?;
        }
        Ok(())
    }
}

impl Saved {
    /// `csg/session.json` in `$XDG_CONFIG_HOME` or `~/.config`.
    fn place() -> Option<PathBuf> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
        Some(base.join("csg/session.json"))
    }

    pub(super) fn read() -> anyhow::Result<Option<Self>> {
        let Some(place) = Self::place() else { return Ok(None) };
        let told = || place.display().to_string();
        match fs::read(&place) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|_| anyhow!("{} is damaged: remove it and run `csg login`", told())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("can't read {}", told())),
        }
    }

    /// Readable by nobody else from its first moment on.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let place = Self::place().context("set HOME or XDG_CONFIG_HOME: the token is kept there")?;
        let told = || format!("can't write {}", place.display());
        let folder = place.parent().with_context(told)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(told)?;
        let draft = place.with_extension("json.new");
        drop(fs::remove_file(&draft));
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).with_context(told)?;
        file.write_all(&serde_json::to_vec(self)?).with_context(told)?;
        fs::rename(&draft, &place).with_context(told)
    }

    pub(super) fn remove() -> anyhow::Result<()> {
        let Some(place) = Self::place() else { return Ok(()) };
        match fs::remove_file(&place) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("can't remove {}", place.display()))
            }
            _ => Ok(()),
        }
    }
}
