//! The executable as users and scripts meet it: what it prints, where, and with which exit status.

mod env;
mod rest;
mod site;
mod stop;
mod tls;

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use self::site::{Site, get, post};

/// A failure is told on standard error in one line, and nowhere else.
#[track_caller]
fn fails(output: &Output, words: &[&str]) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!((output.status.code(), stdout.as_str()), (Some(1), ""), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for word in words {
        assert!(stderr.starts_with("csg: ") && stderr.contains(word), "{word}: {stderr}");
    }
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{}", text(&output.stdout));
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help() {
    let site = Site::new();
    for command in [
        "",
        "audit",
        "backup",
        "ca",
        "ca export",
        "ca show",
        "completions",
        "credential",
        "credential add",
        "credential list",
        "credential remove",
        "credential show",
        "credential test",
        "credential update",
        "demo",
        "env",
        "environment",
        "environment create",
        "environment update",
        "init",
        "login",
        "logout",
        "policy-group",
        "policy-group create",
        "policy-group list",
        "policy-group remove",
        "policy-group replace",
        "policy-group show",
        "request",
        "request approve",
        "request archive",
        "request create",
        "request deny",
        "request list",
        "request revoke",
        "request rotate",
        "request secret",
        "request show",
        "request usage",
        "request withdraw",
        "restore",
        "serve",
        "setup-link",
        "token",
        "token create",
        "token remove",
        "upgrade",
        "user",
        "user add",
        "user disable",
        "user list",
        "user reset-password",
        "user reset-second-factor",
        "user roles",
        "version",
    ] {
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let name = if command.is_empty() { "help".to_owned() } else { format!("help {command}").replace(' ', "_") };
        insta::assert_snapshot!(name, succeeds(&site.run(&arguments)));
    }
}

#[test]
fn wrong_usage_has_status_2() {
    let site = Site::new();
    for arguments in
        [&[][..], &["sevre"], &["serve", "--verbose"], &["init"], &["init", "--admin", "a b"], &["ca"], &["env"]]
    {
        let output = site.run(arguments);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""), "{arguments:?}");
        assert!(text(&output.stderr).contains("--help"), "{arguments:?}");
    }
}

#[test]
fn version_and_completions() {
    let site = Site::new();
    let version = env!("CARGO_PKG_VERSION");
    assert!(succeeds(&site.run(&["version"])).starts_with(&format!("csg {version}")));
    let shown: Value = serde_json::from_str(&succeeds(&site.run(&["version", "--json"]))).unwrap();
    assert_eq!(
        (shown["version"].as_str(), shown["schema"].as_u64()),
        (Some(version), Some(u64::from(csg::store::SCHEMA_VERSION)))
    );
    assert!(succeeds(&site.run(&["completions", "bash"])).contains("complete -F _csg"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let site = Site::new();
    let output = Command::new("sh")
        .args(["-c", "trap '' PIPE; { \"$0\" completions bash; echo $? >&2; } | true", env!("CARGO_BIN_EXE_csg")])
        .env("CSG_CONFIG", site.path("csg.toml"))
        .output()
        .unwrap();
    assert_eq!(text(&output.stderr).trim(), "0");
}

#[test]
fn init_prepares_a_directory_once() {
    let site = Site::new();
    fails(&site.run(&["init", "--admin", "admin"]), &["--admin-password-file", "CSG_ADMIN_PASSWORD"]);
    assert!(!site.data().exists());
    assert!(succeeds(&site.init()).contains("admin can sign in"));
    fails(&site.init(), &["is initialised already", "csg serve"]);
}

#[test]
fn init_takes_the_password_from_a_file() {
    let site = Site::new();
    let file = site.path("password");
    let arguments = ["init", "--json", "--admin", "root", "--admin-password-file", file.to_str().unwrap()];
    fails(&site.run(&arguments), &["can't read", "password"]);
    fs::write(&file, "\n").unwrap();
    fails(&site.run(&arguments), &["password is empty"]);
    fs::write(&file, "a long password\n").unwrap();
    let made: Value = serde_json::from_str(&succeeds(&site.run(&arguments))).unwrap();
    assert_eq!(made["admin"], "root");

    let serving = site.serve();
    let sign_in = |password: &str| {
        let session = serde_json::json!({ "username": "root", "password": password });
        post(&format!("http://{}/api/v1/sessions", serving.console), None, &session).0
    };
    assert_eq!(sign_in("a long password"), 201);
    assert_eq!(sign_in("another one"), 401);
}

#[test]
fn every_mistake_of_the_configuration_is_told_at_once() {
    let site = Site::new();
    site.configure("[gateway]\nlisten = 5\n[log]\nlevle = \"info\"\n");
    // `gateway` is there twice now: that is no TOML.
    fails(&site.run(&["serve"]), &["csg.toml:5: not TOML"]);
    site.configure("[logs]\nlevel = \"info\"\n[audit]\nretention = \"1y\"\n");
    let output = site.command(&["serve"]).env("CSG_CONSOLE__LISTEN", "3129").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr).replace(site.folder.path().to_str().unwrap(), "");
    insta::assert_snapshot!(stderr);
    fails(&site.run(&["serve", "--config", "/nonexistent.toml"]), &["/nonexistent.toml", "can't read"]);
}

#[test]
fn a_taken_port_is_told_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (variable, key) in [("CSG_GATEWAY__LISTEN", "gateway.listen"), ("CSG_CONSOLE__LISTEN", "console.listen")] {
        let site = Site::new();
        let output = site.command(&["serve"]).env(variable, &address).env("CSG_LOG__LEVEL", "warn").output().unwrap();
        let holder = format!("(process {}) has it", std::process::id());
        fails(&output, &[key, &address, &holder]);
    }
}

#[test]
fn what_is_wrong_with_the_data_directory_is_told_in_one_line() {
    let site = Site::new();
    fs::write(site.data(), "a file").unwrap();
    fails(&site.init(), &["data_dir", "data"]);
    fs::remove_file(site.data()).unwrap();
    fails(&site.run(&["ca", "export"]), &["is not initialised"]);
    succeeds(&site.init());

    let (key, aside) = (site.data().join("master.key"), site.path("aside"));
    fs::rename(&key, &aside).unwrap();
    fails(&site.run(&["serve"]), &["master.key", "put it back"]);
    fs::write(&key, [7; 32]).unwrap();
    fails(&site.run(&["serve"]), &["chmod 600"]);
    assert!(Command::new("chmod").args(["600", key.to_str().unwrap()]).status().unwrap().success());
    fails(&site.run(&["serve"]), &["master key does not fit the database"]);
    fs::rename(&aside, &key).unwrap();
    assert_eq!(site.serve().terminate(), (Some(0), String::new()));
}

#[test]
fn serve_on_an_empty_directory_prints_a_link_until_it_was_used() {
    let site = Site::new();
    for _ in 0..2 {
        let mut serving = site.serve();
        let link = serving.printed("http://");
        assert!(link.starts_with(&format!("http://{}/setup?token=", serving.console)), "{link}");
        assert!(get(&link, None).contains("password"));
        assert_eq!(serving.terminate().0, Some(0));
    }
}

#[test]
fn the_ca_is_the_same_from_disk_and_from_a_running_appliance() {
    let site = Site::new();
    site.configure("gateway.hostnames = [\"gw.example.com\", \"192.0.2.7\"]");
    succeeds(&site.init());
    let exported = succeeds(&site.run(&["ca", "export"]));
    assert!(exported.starts_with("-----BEGIN CERTIFICATE-----\n"));
    let shown: Value = serde_json::from_str(&succeeds(&site.run(&["ca", "show", "--json"]))).unwrap();
    let domains: Vec<_> = shown["permitted_domains"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(domains.contains(&"amazonaws.com") && domains.contains(&"gw.example.com"), "{domains:?}");
    assert_eq!(shown["permitted_addresses"], serde_json::json!(["192.0.2.7"]));

    let serving = site.serve();
    assert_eq!(get(&format!("http://{}/cert/pem", serving.gateway), None), exported);
    let running =
        |arguments: &[&str]| site.command(arguments).env("CSG_CONSOLE__LISTEN", &serving.console).output().unwrap();
    assert_eq!(succeeds(&running(&["ca", "export"])), exported);
    assert_eq!(serde_json::from_str::<Value>(&succeeds(&running(&["ca", "show", "--json"]))).unwrap(), shown);
    let der = running(&["ca", "export", "--der"]);
    assert_eq!(der.stdout, x509_parser::pem::parse_x509_pem(exported.as_bytes()).unwrap().1.contents);
}

#[test]
fn the_demonstration_does_what_it_says() {
    let site = Site::new();
    let printed = succeeds(&site.run(&["demo", "--once"]));
    assert!(printed.matches('✓').count() >= 8 && !printed.contains(['✗', '\x1b']), "{printed}");
    let left: Vec<_> = fs::read_dir(site.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["csg.toml"], "what the demonstration made must be gone");
}

#[test]
fn the_demonstration_ends_on_ctrl_c_and_leaves_nothing() {
    let site = Site::new();
    let mut child = site.command(&["demo"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("keeps running")));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(entries(site.folder.path()), 1);
}

fn entries(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}
