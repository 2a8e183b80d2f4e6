//! The certificate authority as OpenSSL sees it: it reads what we write and refuses what a thief of the key forges.

use std::{
    fs,
    process::{Command, Output},
};

use csg::{
    ca::{Authority, NameConstraints, PKCS12_PASSWORD},
    clock::{Clock, Timestamp},
};
use tempfile::TempDir;

const HOST: &str = "dynamodb.us-east-1.amazonaws.com";

/// Oracle's trustedKeyUsage: what makes a certificate in a PKCS#12 file a trusted one for Java.
const TRUSTED_KEY_USAGE: &str = "2.16.840.1.113894.746875.1.1";

#[test]
fn openssl_accepts_a_leaf_even_when_strict() {
    let site = Site::new(&["192.0.2.7"]);
    // Python 3.13 and later are this strict by default.
    for host in [HOST, "gateway.example.net"] {
        let leaf = site.authority.leaf(host, site.now).unwrap();
        site.write("leaf.der", &leaf.certificate);
        let output =
            site.openssl(&["verify", "-x509_strict", "-verify_hostname", host, "-CAfile", "root.pem", "leaf.der"]);
        assert_success(&output, "leaf.der: OK");
    }
    let leaf = site.authority.leaf("192.0.2.7", site.now).unwrap();
    site.write("leaf.der", &leaf.certificate);
    let output =
        site.openssl(&["verify", "-x509_strict", "-verify_ip", "192.0.2.7", "-CAfile", "root.pem", "leaf.der"]);
    assert_success(&output, "leaf.der: OK");
}

#[test]
fn openssl_refuses_what_a_stolen_root_key_signs() {
    let site = Site::new(&[]);
    // First that the forger's tools work.
    site.issue("forged", "root", &format!("subjectAltName=DNS:{HOST}"));
    assert_success(&site.openssl(&["verify", "-CAfile", "root.pem", "forged.pem"]), "forged.pem: OK");
    for (names, refusal) in [
        ("DNS:bank.example", "permitted subtree violation"),
        ("DNS:dynamodb.us-east-1.amazonaws.com,DNS:bank.example", "permitted subtree violation"),
        ("DNS:xamazonaws.com", "permitted subtree violation"),
        ("DNS:amazonaws.com.bank.example", "permitted subtree violation"),
        ("IP:127.0.0.1", "excluded subtree violation"),
        ("IP:2001:db8::1", "excluded subtree violation"),
        ("email:ceo@bank.example", "permitted subtree violation"),
    ] {
        site.issue("forged", "root", &format!("subjectAltName={names}"));
        let output = site.openssl(&["verify", "-CAfile", "root.pem", "forged.pem"]);
        assert!(!output.status.success(), "{names} was accepted");
        assert!(text(&output).contains(refusal), "{names}: {}", text(&output));
    }
}

#[test]
fn openssl_refuses_an_intermediate_below_the_root() {
    let site = Site::new(&[]);
    site.issue("intermediate", "root", "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign");
    assert_success(&site.openssl(&["verify", "-CAfile", "root.pem", "intermediate.pem"]), "intermediate.pem: OK");
    site.issue("below", "intermediate", &format!("subjectAltName=DNS:{HOST}"));
    let output = site.openssl(&["verify", "-CAfile", "root.pem", "-untrusted", "intermediate.pem", "below.pem"]);
    assert!(!output.status.success());
    assert!(text(&output).contains("path length constraint exceeded"), "{}", text(&output));
}

#[test]
fn openssl_reads_the_trust_store() {
    let site = Site::new(&[]);
    site.write("trust.p12", site.authority.pkcs12().unwrap());
    let password = format!("pass:{PKCS12_PASSWORD}");
    let output = site.openssl(&["pkcs12", "-info", "-nokeys", "-in", "trust.p12", "-passin", &password]);
    assert_success(&output, "friendlyName: cloud-service-gateway");
    assert!(text(&output).contains(TRUSTED_KEY_USAGE), "{}", text(&output));
    let body: String = site.authority.pem().lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(text(&output).replace('\n', "").matches(&body).count(), 1);
    let keys = site.openssl(&["pkcs12", "-nocerts", "-nodes", "-in", "trust.p12", "-passin", &password]);
    assert!(!text(&keys).contains("PRIVATE KEY"));
}

#[test]
fn openssl_shows_the_same_fingerprint_and_names() {
    let site = Site::new(&["192.0.2.7"]);
    let output = site.openssl(&["x509", "-in", "root.pem", "-noout", "-fingerprint", "-sha256", "-text"]);
    assert_success(&output, &site.authority.fingerprint());
    for expected in [
        "X509v3 Name Constraints: critical",
        "DNS:amazonaws.com",
        "IP:192.0.2.7/255.255.255.255",
        "email:mail.invalid",
        "CA:TRUE, pathlen:0",
    ] {
        assert!(text(&output).contains(expected), "{expected} in {}", text(&output));
    }
}

/// A root, and a directory with what OpenSSL needs of it.
struct Site {
    dir: TempDir,
    authority: Authority,
    now: Timestamp,
}

impl Site {
    fn new(addresses: &[&str]) -> Self {
        let now = Clock::system().now();
        let addresses = addresses.iter().map(|address| address.parse().unwrap());
        let permitted = NameConstraints::new(["amazonaws.com", "gateway.example.net"], addresses).unwrap();
        // OpenSSL goes by its own clock.
        let authority = Authority::generate(now, &permitted).unwrap();
        let site = Self { dir: tempfile::tempdir().unwrap(), authority, now };
        site.write("root.pem", site.authority.pem());
        site.write("root.key.der", &site.authority.key_pkcs8()[..]);
        let convert = ["pkcs8", "-inform", "DER", "-nocrypt", "-in", "root.key.der", "-out", "root.key"];
        assert_success(&site.openssl(&convert), "");
        site
    }

    /// Makes NAME.key and NAME.pem, signed with the key of `issuer` as a thief would: with no questions asked.
    fn issue(&self, name: &str, issuer: &str, extensions: &str) {
        let file = |name: &str, kind: &str| format!("{name}.{kind}");
        self.write(&file(name, "ext"), extensions);
        let key = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=forged"];
        let files = ["-keyout", &file(name, "key"), "-out", &file(name, "csr")];
        assert_success(&self.openssl(&[&key[..], &files].concat()), "");
        let sign = ["x509", "-req", "-days", "1", "-in", &file(name, "csr"), "-extfile", &file(name, "ext")];
        let by = ["-CA", &file(issuer, "pem"), "-CAkey", &file(issuer, "key"), "-out", &file(name, "pem")];
        assert_success(&self.openssl(&[&sign[..], &by].concat()), "");
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.dir.path().join(name), content).unwrap();
    }

    fn openssl(&self, arguments: &[&str]) -> Output {
        let output = Command::new("openssl").args(arguments).current_dir(self.dir.path()).output();
        output.expect("openssl is installed")
    }
}

/// What OpenSSL said, on either stream.
fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn assert_success(output: &Output, expected: &str) {
    assert!(output.status.success() && text(output).contains(expected), "{}", text(output));
}
