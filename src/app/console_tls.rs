//! The console's certificate: whether there is one, where it comes from, and the next one before this one ends.
//!
//! A given certificate that has ended does not keep the appliance from starting: cloud clients have nothing to do with
//! it. One that can't be read, or whose key is another's, does: somebody is at work on it at that moment.

use std::{
    fs::File,
    io::Read as _,
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::StartError;
use crate::{
    ca::{self, Authority, ServerIdentity},
    clock::{Clock, Timestamp},
    config::{Console, ConsoleTls},
};

/// How often it is looked whether the next certificate is due, or the files are others.
const LOOK: Duration = Duration::from_secs(5);

/// Certificates are a few KiB.
const LARGEST: u64 = 1 << 20;

/// The certificate that the console shows at the moment, and where the next one comes from.
pub(super) struct Certificate {
    source: Source,
    current: watch::Sender<Arc<ServerIdentity>>,
}

enum Source {
    Authority { authority: Arc<Authority>, hosts: Vec<String> },
    Files { cert: PathBuf, key: PathBuf, seen: Option<[Stamp; 2]> },
}

/// What changes whenever a file does: device, number, size, and when (seconds, nanoseconds) it was last changed.
type Stamp = (u64, u64, u64, i64, i64);

/// Finds out whether files that are given can be used: that needs nothing of the state.
pub(super) fn check(console: &Console) -> Result<(), StartError> {
    match &console.tls {
        ConsoleTls::Files { cert, key } => read(cert, key).map(drop),
        ConsoleTls::Auto | ConsoleTls::Off => Ok(()),
    }
}

/// The certificate for a console that listens on `bound`; none if it speaks plain HTTP. `own` are the machine's names.
/// The one from `before`, if there is one, does where no other can be had.
pub(super) fn open(
    console: &Console,
    bound: SocketAddr,
    authority: &Arc<Authority>,
    own: &[String],
    before: Option<Arc<ServerIdentity>>,
    now: Timestamp,
) -> Result<Option<Certificate>, StartError> {
    let is_loopback = bound.ip().to_canonical().is_loopback();
    let mut source = match &console.tls {
        ConsoleTls::Auto if is_loopback => return Ok(None),
        ConsoleTls::Off => {
            if !is_loopback {
                tracing::warn!(
                    address = %bound,
                    "console.tls is off: passwords and sessions cross the network in clear, unless a program that ends \
                     TLS stands before this address and nobody else can reach it"
                );
            }
            return Ok(None);
        }
        ConsoleTls::Auto => {
            Source::Authority { authority: Arc::clone(authority), hosts: hosts(bound, authority, own)? }
        }
        ConsoleTls::Files { cert, key } => Source::Files { cert: cert.clone(), key: key.clone(), seen: None },
    };
    let identity = match (source.next(None, now), before) {
        (Ok(None), _) => return Ok(None),
        (Ok(Some(identity)), _) => Arc::new(identity),
        (Err(error), Some(before)) => {
            tracing::error!(%error, "the console keeps the certificate that it has");
            before
        }
        (Err(error), None) => return Err(error),
    };
    Ok(Some(Certificate { source, current: watch::Sender::new(identity) }))
}

impl Certificate {
    /// The certificate of the moment.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<ServerIdentity>> {
        self.current.subscribe()
    }

    /// By which of `hosts`, and else of its own names, people should come: browsers refuse a name that is not in it.
    pub(super) fn host(&self, hosts: &[String]) -> Option<String> {
        let identity = self.current.borrow().clone();
        let own = identity.names().into_iter().filter(|name| !name.starts_with("*."));
        let found = hosts.iter().cloned().chain(own).find(|host| identity.speaks_for(host));
        if found.is_none() {
            tracing::warn!(?hosts, "console.tls: browsers will refuse the certificate: it names none of these");
        }
        found
    }

    /// Sees to it that there is always one, until `stop`.
    pub(super) async fn keep(mut self, clock: Clock, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.sleep(LOOK) => {}
            }
            let now = clock.now();
            // Files may lie on a disk that makes one wait.
            let looked = tokio::task::spawn_blocking(move || {
                self.renew(now);
                self
            });
            match looked.await {
                Ok(certificate) => self = certificate,
                // The runtime ends.
                Err(_) => return,
            }
        }
    }

    /// What fails is told, and changes nothing: the certificate of the moment is better than none.
    fn renew(&mut self, now: Timestamp) {
        let current = self.current.borrow().clone();
        match self.source.next(Some(&current), now) {
            Ok(None) => {}
            Ok(Some(identity)) => {
                tracing::info!(until = %identity.not_after(), "the console has a new certificate");
                self.current.send_replace(Arc::new(identity));
            }
            Err(error) => {
                tracing::error!(%error, "the console keeps the certificate that it has");
            }
        }
    }
}

impl Source {
    /// The next certificate, if it is time for one.
    fn next(&mut self, current: Option<&ServerIdentity>, now: Timestamp) -> Result<Option<ServerIdentity>, StartError> {
        match self {
            Self::Authority { authority, hosts } => {
                if current.is_some_and(|current| !current.is_due(now)) {
                    return Ok(None);
                }
                let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
                Ok(Some(ServerIdentity::minted(authority, &hosts, now)?))
            }
            Self::Files { cert, key, seen } => {
                let stamps = [stamp(cert), stamp(key)];
                if current.is_some() && *seen == Some(stamps) {
                    return Ok(None);
                }
                // What is wrong is told once, not at each look.
                *seen = Some(stamps);
                let identity = read(cert, key)?;
                if identity.not_after() <= now {
                    tracing::warn!(file = %cert.display(), until = %identity.not_after(), "the console's certificate has ended");
                }
                Ok(Some(identity))
            }
        }
    }
}

/// Zeros for a file that is not there.
fn stamp(path: &Path) -> Stamp {
    let about = std::fs::metadata(path).ok();
    about.map_or((0, 0, 0, 0, 0), |it| (it.dev(), it.ino(), it.size(), it.ctime(), it.ctime_nsec()))
}

fn read(cert: &Path, key: &Path) -> Result<ServerIdentity, StartError> {
    let wrong = |path: &Path, cause: String| StartError::ConsoleTls(format!("{}: {cause}", path.display()));
    let (chain, _) = content(cert).map_err(|error| wrong(cert, error.to_string()))?;
    let chain = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(cert, format!("not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(wrong(cert, "holds no certificate: it must be PEM".to_owned()));
    }
    let (secret, mode) = content(key).map_err(|error| wrong(key, error.to_string()))?;
    if mode & 0o007 != 0 {
        tracing::warn!(file = %key.display(), "everybody on this machine can read the console's key: run `chmod o= FILE`");
    }
    let secret = PrivateKeyDer::from_pem_slice(&secret)
        .map_err(|_| wrong(key, "holds no private key that is PEM and without a password".to_owned()))?;
    ServerIdentity::given(chain, secret).map_err(|error| match error {
        ca::Error::Tls(rustls::Error::InconsistentKeys(_)) => {
            wrong(key, format!("is not the key of the first certificate in {}", cert.display()))
        }
        ca::Error::Tls(error) => wrong(key, format!("can't be used: {error}")),
        error => wrong(cert, error.to_string()),
    })
}

/// With who may read it.
fn content(path: &Path) -> std::io::Result<(Zeroizing<Vec<u8>>, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.mode();
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 << 10));
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok((bytes, mode))
}

/// All that the authority may speak for, of the machine's names and the address that is listened on.
fn hosts(bound: SocketAddr, authority: &Authority, own: &[String]) -> Result<Vec<String>, StartError> {
    let address = Some(bound.ip().to_canonical()).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
    let mut wanted = own.to_vec();
    wanted.extend(address.filter(|address| !own.contains(address)));
    let (permitted, refused): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|host| authority.permitted().permits(host));
    if permitted.is_empty() {
        return Err(StartError::ConsoleTls(format!(
            "the certificate authority was made before any of these names was known, and may not speak for them: {}; give \
             a certificate, console.tls = {{ cert = \"…\", key = \"…\" }}, or let console.listen be a loopback address",
            refused.join(", ")
        )));
    }
    for host in refused {
        tracing::warn!(host, "the console's certificate does not name it: the CA was made before it was known");
    }
    Ok(permitted)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::ca::NameConstraints;

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-11-24T12:00:00Z").unwrap()
    }

    fn days(days: u64) -> Timestamp {
        now().plus(Duration::from_hours(24 * days))
    }

    fn authority() -> Arc<Authority> {
        let permitted = NameConstraints::new(["gw.example.com"], ["192.0.2.7".parse().unwrap()]).unwrap();
        Arc::new(Authority::generate(now(), &permitted).unwrap())
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn opened(tls: ConsoleTls, listen: &str, own: &[&str]) -> Result<Option<Certificate>, StartError> {
        let listen = listen.parse().unwrap();
        open(&Console { listen, tls }, listen, &authority(), &names(own), None, now())
    }

    #[test]
    fn there_is_one_where_the_network_is_or_where_one_is_given() {
        let auto = |listen| opened(ConsoleTls::Auto, listen, &["gw.example.com"]).unwrap();
        for listen in ["127.0.0.1:3129", "127.0.0.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(auto(listen).is_none(), "{listen}");
        }
        for listen in ["0.0.0.0:3129", "[::]:1", "192.0.2.7:1", "10.0.0.1:1"] {
            assert!(auto(listen).is_some(), "{listen}");
            assert!(opened(ConsoleTls::Off, listen, &["gw.example.com"]).unwrap().is_none(), "{listen}");
        }
    }

    #[test]
    fn it_speaks_for_what_the_authority_may_and_people_are_sent_to_such_a_name() {
        let own = ["gw.example.com", "other.example.org", "192.0.2.7"];
        let certificate = opened(ConsoleTls::Auto, "10.0.0.1:1", &own).unwrap().unwrap();
        let identity = certificate.subscribe().borrow().clone();
        let spoken =
            ["gw.example.com", "192.0.2.7", "other.example.org", "10.0.0.1"].map(|host| identity.speaks_for(host));
        assert_eq!(spoken, [true, true, false, false]);
        assert_eq!(certificate.host(&names(&["10.0.0.1", "192.0.2.7"])).unwrap(), "192.0.2.7");
        assert_eq!(certificate.host(&names(&["10.0.0.1"])).unwrap(), "gw.example.com");

        let Err(error) = opened(ConsoleTls::Auto, "10.0.0.1:1", &["other.example.org"]) else { panic!("it started") };
        let words = error.to_string();
        assert!(words.contains("other.example.org, 10.0.0.1") && words.starts_with("console.tls: "), "{words}");
    }

    #[test]
    fn ours_is_renewed_before_it_ends() {
        let mut certificate = opened(ConsoleTls::Auto, "192.0.2.7:1", &[]).unwrap().unwrap();
        let shown = certificate.subscribe();
        certificate.renew(days(4));
        assert_eq!(shown.borrow().not_after(), days(7));
        certificate.renew(days(5));
        assert_eq!(shown.borrow().not_after(), days(12));
    }

    /// As `csg`'s authority would have made them for somebody who takes them for a company's.
    fn write(folder: &Path, at: Timestamp) {
        let leaf = authority().leaf("gw.example.com", at).unwrap();
        let pem = |label: &str, bytes: &[u8]| {
            use base64::{Engine as _, prelude::BASE64_STANDARD};
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(bytes))
        };
        fs::write(folder.join("cert.pem"), pem("CERTIFICATE", &leaf.certificate)).unwrap();
        fs::write(folder.join("key.pem"), pem("PRIVATE KEY", leaf.key.secret_der())).unwrap();
    }

    fn files(folder: &Path) -> ConsoleTls {
        ConsoleTls::Files { cert: folder.join("cert.pem"), key: folder.join("key.pem") }
    }

    #[test]
    fn given_files_are_read_again_when_they_change_and_kept_when_the_new_ones_are_no_good() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), now());
        let mut certificate = opened(files(folder.path()), "127.0.0.1:1", &[]).unwrap().unwrap();
        let mut shown = certificate.subscribe();
        certificate.renew(now());
        assert!(!shown.has_changed().unwrap());
        write(folder.path(), days(1));
        certificate.renew(now());
        assert_eq!(shown.borrow_and_update().not_after(), days(8));

        fs::write(folder.path().join("key.pem"), "half a key").unwrap();
        certificate.renew(now());
        fs::remove_file(folder.path().join("key.pem")).unwrap();
        certificate.renew(now());
        assert!(!shown.has_changed().unwrap());
        write(folder.path(), days(2));
        certificate.renew(now());
        assert_eq!(shown.borrow_and_update().not_after(), days(9));
    }

    #[test]
    fn who_has_one_already_keeps_it_where_the_files_are_no_good_any_more() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), now());
        let mut before = opened(files(folder.path()), "127.0.0.1:1", &[]).unwrap().unwrap().subscribe();
        let before = Arc::clone(&before.borrow_and_update());
        let again = || {
            let listen = "127.0.0.1:1".parse().unwrap();
            let console = Console { listen, tls: files(folder.path()) };
            open(&console, listen, &authority(), &[], Some(Arc::clone(&before)), now()).unwrap().unwrap()
        };
        fs::remove_file(folder.path().join("key.pem")).unwrap();
        assert!(check(&Console { listen: "127.0.0.1:1".parse().unwrap(), tls: files(folder.path()) }).is_err());
        let mut kept = again();
        let mut shown = kept.subscribe();
        assert!(Arc::ptr_eq(&before, &shown.borrow_and_update()));
        // And the next that is good counts.
        write(folder.path(), days(1));
        kept.renew(now());
        assert_eq!(shown.borrow_and_update().not_after(), days(8));
        assert_eq!(again().subscribe().borrow().not_after(), days(8));
    }

    #[test]
    fn files_of_no_use_are_told_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let told = |cert: &[u8], key: &[u8]| {
            fs::write(folder.path().join("cert.pem"), cert).unwrap();
            fs::write(folder.path().join("key.pem"), key).unwrap();
            let Err(error) = opened(files(folder.path()), "127.0.0.1:1", &[]) else { panic!("it started") };
            error.to_string()
        };
        let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
        write(folder.path(), now());
        let (cert, key) = (read("cert.pem"), read("key.pem"));
        write(folder.path(), now());
        let other = read("key.pem");
        for (message, beginning, words) in [
            (told(b"", &key), "cert.pem: ", "holds no certificate"),
            (told(&key, &key), "cert.pem: ", "holds no certificate"),
            (told(&cert, &cert), "key.pem: ", "holds no private key"),
            (told(&cert, &other), "key.pem: ", "is not the key of the first certificate in "),
            (told(b"-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----\n", &key), "", "certificate"),
        ] {
            assert!(message.starts_with("console.tls: ") && message.contains(words), "{message}");
            assert!(message.contains(beginning) && message.lines().count() == 1, "{message}");
        }
        fs::remove_file(folder.path().join("cert.pem")).unwrap();
        let Err(error) = opened(files(folder.path()), "127.0.0.1:1", &[]) else { panic!("it started") };
        assert!(error.to_string().contains("No such file"), "{error}");
    }
}
