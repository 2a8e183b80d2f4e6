//! nginx, twice: as the cloud, and as the peer that the gateway is measured against.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

use super::process::{Process, cores};

/// What the cloud answers, like DynamoDB's answer to `PutItem` with `ReturnValues`: 200 bytes.
const ANSWER: &str = r#"{"Attributes":{"id":{"S":"0123456789"},"note":{"S":"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"}},"ConsumedCapacity":{"TableName":"orders","CapacityUnits":1.0}}"#;

/// Of the file that is downloaded.
pub(crate) const DOWNLOAD: usize = 8 << 20;

/// The certificate of cloud hosts, from a CA for this run only.
pub(crate) struct Certificates {
    pub(crate) ca: PathBuf,
    chain: PathBuf,
    key: PathBuf,
}

/// A running nginx.
pub(crate) struct Nginx {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Certificates {
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // With rcgen's own name on both, OpenSSL would take the leaf for its own issuer.
        ca.distinguished_name.push(DnType::CommonName, "The cloud's CA");
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
        let leaf_key = KeyPair::generate()?;
        let leaf = CertificateParams::new(vec!["*.us-east-1.amazonaws.com".to_owned()])?.signed_by(&leaf_key, &ca)?;
        let made = Self { ca: folder.join("ca.pem"), chain: folder.join("cloud.pem"), key: folder.join("cloud.key") };
        fs::write(&made.ca, ca.pem())?;
        fs::write(&made.chain, leaf.pem())?;
        fs::write(&made.key, leaf_key.serialize_pem())?;
        Ok(made)
    }
}

impl Nginx {
    /// The cloud: every call is answered at once, `…/output` with a large file.
    pub(crate) fn cloud(folder: &Path, certificates: &Certificates) -> Result<Self> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("large"), vec![0; DOWNLOAD])?;
        let folder_name = folder.display();
        let server = format!(
            "root {folder_name};
             location ~ /output$ {{ rewrite ^ /large break; default_type application/octet-stream; }}
             location / {{
                 default_type application/x-amz-json-1.0;
                 add_header x-amzn-RequestId 5QV0JBUT5QK6GBLBFHVKHIQFMBVV4KQNSO5AEMVJF66Q9ASUAAJG;
                 add_header x-amz-crc32 2745614147;
                 return 200 '{ANSWER}';
             }}"
        );
        Self::start(folder, certificates, "access_log off;", &server)
    }

    /// The peer: TLS in, TLS out, kept alive on both sides; nothing is verified but the cloud's certificate, nothing is
    /// signed. Its buffers hold an answer as large as the gateway takes at a time, and never go to disk.
    pub(crate) fn proxy(
        folder: &Path,
        certificates: &Certificates,
        cloud: SocketAddr,
        access_log: bool,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let ca = certificates.ca.display();
        let log =
            if access_log { format!("access_log {}/access.log;", folder.display()) } else { "access_log off;".into() };
        let http = format!("{log} upstream cloud {{ server {cloud}; keepalive 1024; keepalive_requests 100000000; }}");
        let server = format!(
            "location / {{
                 proxy_pass https://cloud;
                 proxy_http_version 1.1;
                 proxy_set_header Connection '';
                 proxy_set_header Host $host;
                 proxy_ssl_name $host; proxy_ssl_server_name on;
                 proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca};
                 proxy_buffer_size 16k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k; proxy_max_temp_file_size 0;
             }}"
        );
        Self::start(folder, certificates, &http, &server)
    }

    fn start(folder: &Path, certificates: &Certificates, http: &str, server: &str) -> Result<Self> {
        let address = free_address()?;
        let (workers, folder_name) = (cores(), folder.display());
        let (chain, key) = (certificates.chain.display(), certificates.key.display());
        // A worker that gives root up could not read the folder.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {folder_name}/{kind};"))
            .concat();
        let text = format!(
            "{user} daemon off; worker_processes {workers}; worker_rlimit_nofile 16384; pid {folder_name}/pid;
             error_log {folder_name}/error.log warn;
             events {{ worker_connections 8192; }}
             http {{
                 {paths} {http}
                 keepalive_requests 100000000; keepalive_timeout 300;
                 server {{
                     listen {address} ssl reuseport backlog=4096;
                     ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
                     {server}
                 }}
             }}"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, text)?;
        let mut command = Command::new("nginx");
        let said = folder.join("stderr");
        command.arg("-p").arg(folder).arg("-c").arg(&file).env("PATH", sbin_too()).stderr(fs::File::create(&said)?);
        let process = Process::start(&mut command)?.with_workers(workers);
        let process = process.with_context(|| fs::read_to_string(said).unwrap_or_default())?;
        Ok(Self { process, address })
    }
}

/// Free a moment ago; nginx can't tell which one it was given.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Debian installs nginx where only root looks.
fn sbin_too() -> String {
    format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default())
}
