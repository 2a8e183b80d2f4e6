//! How a system, or a language on it, is told to trust the certificate authority.

use crate::ca::PKCS12_PASSWORD;

/// One system.
pub(super) struct Way {
    pub(super) id: &'static str,
    pub(super) label: &'static str,
    pub(super) about: &'static str,
    pub(super) code: String,
}

pub(super) fn ways(ca_url: &str) -> Vec<Way> {
    let base = ca_url.trim_end_matches("/pem");
    let way = |id, label, about, code: String| Way { id, label, about, code };
    vec![
        way(
            "debian",
            "Debian, Ubuntu",
            "For everything on the machine that uses the system's roots: curl, Go, Rust, Ruby, PHP. The file name must end in .crt.",
            format!("sudo curl -o /usr/local/share/ca-certificates/csg-ca.crt {ca_url}\nsudo update-ca-certificates"),
        ),
        way(
            "rhel",
            "RHEL, Fedora",
            "For everything on the machine that uses the system's roots.",
            format!("sudo curl -o /etc/pki/ca-trust/source/anchors/csg-ca.pem {ca_url}\nsudo update-ca-trust"),
        ),
        way(
            "macos",
            "macOS",
            "For all users of the machine; asks for an administrator's password.",
            format!(
                "curl -o csg-ca.pem {ca_url}\nsudo security add-trusted-cert -d -r trustRoot \\\n  -k /Library/Keychains/System.keychain csg-ca.pem"
            ),
        ),
        way(
            "windows",
            "Windows",
            "In a command prompt that was started as administrator.",
            format!("curl.exe -o csg-ca.crt {base}/der\ncertutil -addstore -f Root csg-ca.crt"),
        ),
        way(
            "java",
            "Java",
            "A trust store for one program, which then trusts this authority and nothing else; or, with keytool, beside the roots that Java brings.",
            format!(
                "curl -o csg-ca.p12 {base}/p12\njava -Djavax.net.ssl.trustStore=csg-ca.p12 \\\n  -Djavax.net.ssl.trustStorePassword={PKCS12_PASSWORD} -jar program.jar\n\n# or, for every program of this Java:\ncurl -o csg-ca.pem {ca_url}\nkeytool -importcert -noprompt -alias csg -file csg-ca.pem -cacerts -storepass changeit"
            ),
        ),
        way(
            "node",
            "Node.js",
            "Node.js brings roots of its own, and adds those of this file.",
            format!("curl -o csg-ca.pem {ca_url}\nexport NODE_EXTRA_CA_CERTS=$PWD/csg-ca.pem"),
        ),
        way(
            "python",
            "Python",
            "AWS_CA_BUNDLE is for boto3 and the AWS CLI, REQUESTS_CA_BUNDLE for requests. Each replaces the usual roots for that program.",
            format!(
                "curl -o csg-ca.pem {ca_url}\nexport AWS_CA_BUNDLE=$PWD/csg-ca.pem\nexport REQUESTS_CA_BUNDLE=$PWD/csg-ca.pem"
            ),
        ),
        way(
            "firefox",
            "Firefox",
            "Settings, Privacy & Security, View Certificates, Authorities, Import: pick the file, and tick “Trust this CA to identify websites”. For many machines, a policy does it:",
            format!(
                "sudo curl -o /etc/firefox/csg-ca.pem {ca_url}\n\n# /etc/firefox/policies/policies.json\n{{ \"policies\": {{ \"Certificates\": {{ \"Install\": [\"/etc/firefox/csg-ca.pem\"] }} }} }}"
            ),
        ),
    ]
}
