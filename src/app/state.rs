//! What lies in the data directory: database, master key, certificate authority. Opened, or made on the first start.

use std::{path::PathBuf, sync::Arc};

use super::{StartError, backup, data_dir, master_key, names};
use crate::{
    ca::{Authority, NameConstraints},
    clock::Clock,
    cloud::aws::Catalogue,
    config::Config,
    model::{CloudId, Publisher, UserName},
    secret::Secret,
    store::{self, MasterKey, Migration, Store},
    workflow::{KnownServices, Workflow},
};

/// The open state.
pub(super) struct State {
    pub(super) key: MasterKey,
    pub(super) workflow: Workflow,
    pub(super) authority: Arc<Authority>,
}

impl State {
    /// Until somebody is set up, the CA speaks for the names that the configuration gives now: a package starts the
    /// service before anybody can have said by which name the machine is reached, and no client can have used the CA.
    pub(super) fn follow_names(&mut self, config: &Config, clock: &Clock) -> Result<(), StartError> {
        if self.authority.permitted() == &constraints(config)? || self.workflow.is_set_up()? {
            return Ok(());
        }
        self.authority = Arc::new(new_authority(&self.workflow, config, clock)?);
        tracing::warn!(
            fingerprint = self.authority.fingerprint(),
            "the machine's names or addresses are others, and nobody is set up yet: the CA was made anew for them"
        );
        Ok(())
    }
}

/// Prepares the data directory with a first administrator; gives back the CA certificate's SHA-256 fingerprint.
pub fn initialise(config: &Config, admin: &UserName, password: &Secret, clock: &Clock) -> Result<String, StartError> {
    let mut state = settled(open(config, clock, None, Publisher::new())?)?;
    state.follow_names(config, clock)?;
    if state.workflow.is_set_up()? {
        return Err(StartError::AlreadyInitialised(config.data_dir.clone()));
    }
    state.workflow.set_up(admin, password)?;
    Ok(state.authority.fingerprint())
}

/// The certificate authority of a data directory that was prepared before.
pub fn authority(config: &Config, clock: &Clock) -> Result<Arc<Authority>, StartError> {
    Ok(existing(config, clock, None)?.authority)
}

/// The state of a data directory that was prepared before; with a key that only root could read, if there is such.
pub(super) fn existing(config: &Config, clock: &Clock, key: Option<MasterKey>) -> Result<State, StartError> {
    let path = || config.data_dir.clone();
    match database(config).try_exists() {
        Ok(true) => settled(open(config, clock, key, Publisher::new())?),
        Ok(false) => Err(StartError::NotInitialised(path())),
        Err(cause) => Err(StartError::DataDir { path: path(), cause }),
    }
}

/// For who has nothing else to do that could fail.
pub(super) fn settled((state, migration): (State, Migration)) -> Result<State, StartError> {
    migration.complete()?;
    Ok(state)
}

/// Finds out, without opening the state of a process that runs, whether there is a key for it.
pub(super) fn check_key(config: &Config) -> Result<(), StartError> {
    master_key::load(config, &database(config)).map(drop)
}

/// Opens the state, whose grants are published by `publisher`; makes what does not exist yet. With `key`, if that is known
/// already. The state of an older version is left as it is until the migration is completed.
pub(super) fn open(
    config: &Config,
    clock: &Clock,
    key: Option<MasterKey>,
    publisher: Publisher,
) -> Result<(State, Migration), StartError> {
    data_dir::prepare(&config.data_dir)?;
    let database = database(config);
    let key = match key {
        Some(key) => key,
        None => master_key::load(config, &database)?,
    };
    let (store, migration) = Store::on_trial(&database, &key)?;
    store::forget_copies(&database, clock.now());
    let workflow = Workflow::open(store, clock.clone(), known_services(), publisher)?;
    let authority = match workflow.authority()? {
        Some(stored) => Authority::from_parts(stored.certificate, &stored.key)?,
        None => new_authority(&workflow, config, clock)?,
    };
    Ok((State { key, workflow, authority: Arc::new(authority) }, migration))
}

fn new_authority(workflow: &Workflow, config: &Config, clock: &Clock) -> Result<Authority, StartError> {
    let made = Authority::generate(clock.now(), &constraints(config)?)?;
    workflow.save_authority(made.certificate_der(), &made.key_pkcs8())?;
    Ok(made)
}

fn database(config: &Config) -> PathBuf {
    config.data_dir.join(backup::DATABASE)
}

/// What can be asked for: all that the catalogue knows.
fn known_services() -> KnownServices {
    let aws = Catalogue::embedded().services().iter().map(|service| service.id.clone());
    KnownServices::from([(CloudId::aws(), aws.collect())])
}

/// The CA may speak for the clouds' domains and for this machine: its names, and the addresses that it listens on.
fn constraints(config: &Config) -> Result<NameConstraints, StartError> {
    let listens = config.gateway.listen.iter().chain([&config.console.listen]).map(|socket| socket.ip().to_canonical());
    // Every machine's loopback has the same address.
    let mut addresses: Vec<_> = listens.filter(|ip| !ip.is_unspecified() && !ip.is_loopback()).collect();
    let mut domains = Vec::new();
    for name in names::own(&config.gateway.hostnames) {
        match name.parse() {
            Ok(address) => addresses.push(address),
            Err(_) => domains.push(name),
        }
    }
    let clouds = Catalogue::embedded().permitted_domains().into_iter().map(str::to_owned);
    Ok(NameConstraints::new(clouds.chain(domains), addresses)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_may_speak_for_the_addresses_that_are_listened_on() {
        let mut config = Config::default();
        let socket = |text: &str| text.parse().unwrap();
        config.gateway.listen = ["0.0.0.0:1", "127.0.0.1:1", "192.0.2.7:1", "[2001:db8::7]:1"].map(socket).into();
        config.gateway.hostnames = vec!["gw.example.com".into(), "192.0.2.9".into()];
        config.console.listen = socket("[::ffff:192.0.2.8]:1");
        let made = constraints(&config).unwrap();
        let addresses: Vec<_> = made.addresses().iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.7", "192.0.2.8", "192.0.2.9", "2001:db8::7"]);
        assert!(made.permits("gw.example.com") && !made.permits("127.0.0.1"));
    }

    #[test]
    fn the_ca_follows_the_configuration_until_somebody_is_set_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: folder.path().into(), ..Config::default() };
        let clock = Clock::system();
        let mut start = |hostname: &str| {
            config.gateway.hostnames = vec![hostname.to_owned()];
            let mut state = settled(open(&config, &clock, None, Publisher::new()).unwrap()).unwrap();
            state.follow_names(&config, &clock).unwrap();
            state
        };

        let first = start("typo.example.com").authority.fingerprint();
        let state = start("gw.example.com");
        assert!(state.authority.permitted().permits("gw.example.com"));
        assert!(!state.authority.permitted().permits("typo.example.com"));
        let second = state.authority.fingerprint();
        drop(state);
        let state = start("gw.example.com");
        assert_eq!((state.authority.fingerprint(), second == first), (second.clone(), false));

        state.workflow.set_up(&UserName::new("root").unwrap(), &Secret::new("correct horse")).unwrap();
        drop(state);
        let state = start("late.example.com");
        assert_eq!(state.authority.fingerprint(), second);
        assert!(!state.authority.permitted().permits("late.example.com"));
    }
}
