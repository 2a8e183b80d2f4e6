//! The console over TLS, from the command line: the set-up link, whom to trust, and certificates of no use.

use std::{fs, io::Write as _, process::Stdio};

use serde_json::Value;

use super::{
    fails,
    site::{Serving, Site},
    succeeds, text,
};

/// Listens beyond loopback, and is reached by an address that the CA may speak for.
const BEYOND_LOOPBACK: &str = "gateway.hostnames = [\"127.0.0.1\"]\n";

fn site(more: &str) -> Site {
    let site = Site::new();
    site.configure(&format!("{BEYOND_LOOPBACK}{more}"));
    let text = fs::read_to_string(site.path("csg.toml")).unwrap();
    let text = text.replace("console.listen = \"127.0.0.1:0\"", "console.listen = \"0.0.0.0:0\"");
    fs::write(site.path("csg.toml"), text).unwrap();
    site
}

fn url(serving: &Serving) -> String {
    format!("https://127.0.0.1:{}", serving.console.rsplit(':').next().unwrap())
}

fn run(site: &Site, arguments: &[&str], input: &str, variables: &[(&str, &str)]) -> std::process::Output {
    let mut command = site.command(arguments);
    command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that needs no input may have ended.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

#[test]
fn the_set_up_link_and_the_commands_go_by_https() {
    let site = site("");
    let mut serving = site.serve();
    let link = serving.printed("http");
    assert!(link.starts_with(&format!("{}/setup?token=", url(&serving))), "{link}");
    assert_eq!(serving.terminate().0, Some(0));

    succeeds(&site.init());
    let serving = site.serve();
    let url = url(&serving);
    // The CA is to be had while the appliance runs, before anybody trusts it.
    let port = serving.console.rsplit(':').next().unwrap();
    let listens = format!("0.0.0.0:{port}");
    let exported = run(&site, &["ca", "export"], "", &[("CSG_CONSOLE__LISTEN", &listens)]);
    fs::write(site.path("ca.pem"), succeeds(&exported)).unwrap();
    let ca = site.path("ca.pem").to_string_lossy().into_owned();

    let password = "a long password";
    fails(
        &run(&site, &["login", "admin", "--url", &url], password, &[]),
        &["UnknownIssuer", "--console-ca", "CSG_CA_FILE"],
    );
    let plain = url.replace("https:", "http:");
    fails(
        &run(&site, &["login", "admin", "--url", &plain], password, &[]),
        &["This port speaks TLS: use https://127.0.0.1:"],
    );
    fails(&run(&site, &["login", "admin", "--url", &url, "--console-ca", "/none"], password, &[]), &["/none"]);
    let nothing = site.path("csg.toml").to_string_lossy().into_owned();
    fails(
        &run(&site, &["login", "admin", "--url", &url, "--console-ca", &nothing], password, &[]),
        &["no certificate"],
    );
    // Another authority than the console's: those that were named are trusted, and nobody else.
    let other = Site::new();
    succeeds(&other.init());
    fs::write(site.path("other.pem"), succeeds(&other.run(&["ca", "export"]))).unwrap();
    let other = site.path("other.pem").to_string_lossy().into_owned();
    let refused = run(&site, &["login", "admin", "--url", &url], password, &[("CSG_CA_FILE", &other)]);
    fails(&refused, &["can't reach https://127.0.0.1"]);

    succeeds(&run(&site, &["login", "admin", "--url", &url, "--console-ca", &ca], password, &[]));
    // From then on it is known.
    let users: Value = serde_json::from_str(&succeeds(&site.run(&["user", "list", "--json"]))).unwrap();
    assert_eq!(users[0]["username"], "admin");
    // To whoever signs in after that, too.
    let again = succeeds(&run(&site, &["login", "admin"], password, &[]));
    assert!(again.starts_with(&format!("admin is signed in at {url} until ")), "{again}");
    let token = succeeds(&site.run(&["token", "create", "ci"]));
    let by_token = [("CSG_URL", &*url), ("CSG_TOKEN", token.trim()), ("CSG_CA_FILE", &ca), ("HOME", "/none")];
    succeeds(&run(&site, &["user", "list"], "", &by_token));
    succeeds(&site.run(&["logout"]));
}

#[test]
fn a_console_that_others_reach_in_clear_is_warned_of() {
    let site = site("console.tls = \"off\"\n");
    succeeds(&site.init());
    let serving = site.serve_until("console.tls is off");
    assert!(serving.contains("passwords and sessions cross the network in clear"), "{serving}");
}

#[test]
fn a_certificate_of_no_use_is_told_before_anything_runs() {
    let site = site("console.tls = { cert = \"/none.pem\", key = \"/none.key\" }\n");
    let output = site.run(&["serve"]);
    let stderr = text(&output.stderr);
    let last = stderr.lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(last, "csg: console.tls: /none.pem: No such file or directory (os error 2)", "{stderr}");
}
