//! `csg env`: what it prints is all that an ordinary client needs, and the secret is never lost by looking.

use std::{
    fs,
    process::{Command, Output},
};

use serde_json::Value;

use super::{
    fails,
    site::{Approved, Serving, Site},
    succeeds,
};

#[test]
fn the_secret_is_read_only_if_asked_for_and_only_once() {
    let site = Site::new();
    succeeds(&site.init());
    let serving = site.serve();
    let approved = serving.approve_access();
    let run = |more: &[&str]| env(&site, &serving, &approved, more);

    for _ in 0..2 {
        let shown: Value = serde_json::from_str(&succeeds(&run(&["--json"]))).unwrap();
        assert!(shown.get("AWS_SECRET_ACCESS_KEY").is_none());
        assert_eq!(shown["HTTPS_PROXY"], format!("http://{}", serving.gateway));
        let ca = fs::read_to_string(shown["AWS_CA_BUNDLE"].as_str().unwrap()).unwrap();
        assert!(ca.starts_with("-----BEGIN CERTIFICATE-----"));
    }

    // A place with blanks and quotes in its name, as a shell would have to read it.
    let place = site.path("it's a place/ca.pem");
    let script = succeeds(&run(&["--secret", "--ca-file", place.to_str().unwrap()]));
    let output = Command::new("sh")
        .args(["-c", "eval \"$1\"; cat \"$AWS_CA_BUNDLE\"; echo \"$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY\"", "sh"])
        .arg(script)
        .output()
        .unwrap();
    let last = succeeds(&output).lines().last().unwrap().to_owned();
    let (key, secret) = last.split_once(' ').unwrap();
    assert!(key.len() >= 16 && secret.len() >= 32, "{last}");

    fails(&run(&["--secret"]), &["the gateway refused", "410"]);
    assert!(succeeds(&run(&[])).contains("# AWS_SECRET_ACCESS_KEY is yours to set"));
}

#[test]
fn what_is_missing_is_told_in_one_line() {
    let site = Site::new();
    fails(&site.run(&["env", "some-request"]), &["CSG_TOKEN"]);
    let nowhere = site.command(&["env", "some-request", "--url", "http://127.0.0.1:1"]).env("CSG_TOKEN", "t").output();
    fails(&nowhere.unwrap(), &["can't reach http://127.0.0.1:1/"]);
    succeeds(&site.init());
    let serving = site.serve();
    let stranger = Approved { id: "none".into(), dora: "wrong".into(), anna: String::new() };
    fails(&env(&site, &serving, &stranger, &[]), &["the gateway refused", "401"]);
}

fn env(site: &Site, serving: &Serving, approved: &Approved, more: &[&str]) -> Output {
    let mut command = site.command(&["env", &approved.id]);
    command.args(more).env("CSG_URL", format!("http://{}", serving.console)).env("CSG_TOKEN", &approved.dora);
    command.output().unwrap()
}
