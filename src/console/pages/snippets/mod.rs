//! Ready-made set-up for each client, filled with an access request's own values. A suite of clients runs each as it
//! stands in the page, so what a tab says is what was run.

mod s3;
mod sample;

use sample::Sample;

use crate::{
    console::State,
    model::{AccessKeyId, AccessRequest},
};

/// How one kind of client is set up.
pub(crate) struct Snippet {
    pub(crate) id: &'static str,
    pub(crate) label: &'static str,
    /// What has to be known before.
    pub(crate) about: &'static str,
    /// What is typed in a shell.
    pub(crate) code: String,
    pub(crate) file: Option<File>,
}

/// What is written to a file besides.
pub(crate) struct File {
    /// Which one, and what runs it.
    pub(crate) about: &'static str,
    pub(crate) code: String,
}

/// What stands where the secret goes: it is not here to be put in.
pub(crate) const SECRET: &str = "YOUR_SECRET";
/// Where the CA certificate is put.
const CA: &str = "$HOME/.csg/ca.pem";
const REGION: &str = "eu-west-1";

/// What the snippets are filled with.
struct Values<'v> {
    endpoint: &'v str,
    ca_url: String,
    key: &'v str,
    profile: String,
    region: &'static str,
    sample: Sample,
}

/// The set-up for every client, the most used first.
pub(crate) fn all(state: &State, request: &AccessRequest, key: &AccessKeyId) -> Vec<Snippet> {
    let values = Values {
        endpoint: &state.endpoint,
        ca_url: state.ca_url(),
        key: key.as_str(),
        profile: format!("csg-{}", request.environment),
        region: REGION,
        sample: Sample::of(request),
    };
    let mut all = vec![
        values.environment(),
        values.cli(),
        values.boto3(),
        values.javascript(),
        values.java(),
        values.go(),
        values.rust(),
        values.terraform(),
        values.docker(),
    ];
    if request.services.iter().any(|service| service.as_str() == "s3") {
        all.extend([values.rclone(), values.s3cmd()]);
    }
    all
}

/// A command that shows whether it works: reads, changes nothing.
pub(crate) fn test_command(request: &AccessRequest) -> String {
    format!("aws {} --region {REGION}", Sample::of(request).on_command_line())
}

/// Does the grant let the sample through that the set-up and the test end in?
pub(crate) fn sample_is_granted(request: &AccessRequest) -> bool {
    Sample::granted(request).is_some()
}

/// As a file of AWS's kind, for the download of a secret.
pub(crate) fn credentials_file(request: &AccessRequest, key: &str, secret: &str) -> String {
    format!("[csg-{}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n", request.environment)
}

impl Snippet {
    fn new(id: &'static str, label: &'static str, about: &'static str, code: String) -> Self {
        Self { id, label, about, code, file: None }
    }

    fn with_file(mut self, about: &'static str, code: String) -> Self {
        self.file = Some(File { about, code });
        self
    }
}

impl Values<'_> {
    // Whatever is fetched from elsewhere comes before the proxy is set: the gateway lets nothing but AWS through.
    fn fetch_ca(&self) -> String {
        format!("curl -fsS --create-dirs -o \"{CA}\" {}\n", self.ca_url)
    }

    fn key_variables(&self) -> String {
        let Self { key, region, .. } = self;
        // boto3 and version 1 of the command line read AWS_DEFAULT_REGION, all others AWS_REGION.
        format!(
            "export AWS_ACCESS_KEY_ID={key}\n\
             export AWS_SECRET_ACCESS_KEY={SECRET}\n\
             export AWS_REGION={region} AWS_DEFAULT_REGION={region}\n\
             unset AWS_SESSION_TOKEN AWS_PROFILE\n"
        )
    }

    fn variables(&self) -> String {
        let keys = self.key_variables();
        format!("export HTTPS_PROXY={}\nexport AWS_CA_BUNDLE=\"{CA}\"\n{keys}", self.endpoint)
    }

    fn environment(&self) -> Snippet {
        Snippet::new(
            "env",
            "Environment",
            "For anything that reads AWS's usual variables. What is started in this shell then reaches AWS and nothing else.",
            format!("{}{}", self.fetch_ca(), self.variables()),
        )
    }

    fn cli(&self) -> Snippet {
        let Self { endpoint, key, profile, region, .. } = self;
        let fetch = self.fetch_ca();
        let code = format!(
            "{fetch}aws configure set aws_access_key_id {key} --profile {profile}\n\
             aws configure set aws_secret_access_key {SECRET} --profile {profile}\n\
             aws configure set region {region} --profile {profile}\n\
             aws configure set ca_bundle \"{CA}\" --profile {profile}\n\
             unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CA_BUNDLE\n\
             export HTTPS_PROXY={endpoint} AWS_PROFILE={profile}\n"
        );
        Snippet::new("cli", "AWS CLI", "Version 1 or 2. The proxy is set in the shell; a profile can't name one.", code)
    }

    fn boto3(&self) -> Snippet {
        let fetch = self.fetch_ca();
        let code = format!("pip install boto3\n{fetch}export AWS_SECRET_ACCESS_KEY={SECRET}\n");
        Snippet::new("boto3", "boto3", "Python 3. The secret stays in the environment, not in the code.", code)
            .with_file(
                "Put this in main.py, then run python3 main.py:",
                self.sample.boto3(self.endpoint, self.key, self.region),
            )
    }

    fn javascript(&self) -> Snippet {
        let (fetch, keys, endpoint) = (self.fetch_ca(), self.key_variables(), self.endpoint);
        let code = format!(
            "npm install {} @smithy/node-http-handler https-proxy-agent\n\
             {fetch}export HTTPS_PROXY={endpoint}\nexport NODE_EXTRA_CA_CERTS=\"{CA}\"\n{keys}",
            self.sample.js_package()
        );
        Snippet::new(
            "js",
            "JavaScript",
            "AWS SDK for JavaScript v3, which reads no proxy by itself: it is given an agent.",
            code,
        )
        .with_file("Put this in main.mjs, then run node main.mjs:", self.sample.javascript())
    }

    fn java(&self) -> Snippet {
        let (keys, endpoint) = (self.key_variables(), self.endpoint);
        let p12 = self.ca_url.replace("/cert/pem", "/cert/p12");
        let code = format!(
            "curl -fsS --create-dirs -o \"$HOME/.csg/ca.p12\" {p12}\n\
             export HTTP_PROXY={endpoint} HTTPS_PROXY={endpoint}\n{keys}\
             java -Djavax.net.ssl.trustStore=\"$HOME/.csg/ca.p12\" \\\n     \
             -Djavax.net.ssl.trustStoreType=PKCS12 \\\n     \
             -Djavax.net.ssl.trustStorePassword=changeit -jar app.jar\n"
        );
        Snippet::new(
            "java",
            "Java",
            "AWS SDK for Java 2, from 2.25. Its Apache client takes the proxy from HTTP_PROXY, for HTTPS too.",
            code,
        )
    }

    fn go(&self) -> Snippet {
        let (fetch, variables) = (self.fetch_ca(), self.variables());
        let module = "github.com/aws/aws-sdk-go-v2";
        let code = format!(
            "go mod init csg-test\ngo get {module}/config {module}/service/{}\n{fetch}{variables}",
            self.sample.service
        );
        Snippet::new("go", "Go", "AWS SDK for Go v2 reads all of it from the environment.", code)
            .with_file("Put this in main.go, then run go run main.go:", self.sample.go())
    }

    fn rust(&self) -> Snippet {
        let (fetch, variables) = (self.fetch_ca(), self.variables());
        let code = format!(
            "cargo add aws-config aws-sdk-{}\n\
             cargo add aws-smithy-http-client --features rustls-ring\n\
             cargo add tokio --features macros,rt-multi-thread\n\
             cargo fetch\n{fetch}{variables}",
            self.sample.service
        );
        Snippet::new(
            "rust",
            "Rust",
            "AWS SDK for Rust, which reads neither proxy nor CA by itself: it is given an HTTP client that does.",
            code,
        )
        .with_file("Put this in src/main.rs, then run cargo run:", self.sample.rust())
    }

    fn terraform(&self) -> Snippet {
        let Self { endpoint, key, region, .. } = self;
        let provider = format!(
            "variable \"csg_secret\" {{\n  type      = string\n  sensitive = true\n}}\n\n\
             provider \"aws\" {{\n  region           = \"{region}\"\n  access_key       = \"{key}\"\n  \
             secret_key       = var.csg_secret\n  https_proxy      = \"{endpoint}\"\n  \
             custom_ca_bundle = pathexpand(\"~/.csg/ca.pem\")\n\n  \
             # Only the granted services can be called.\n  skip_credentials_validation = true\n  \
             skip_requesting_account_id  = true\n}}\n"
        );
        let code =
            format!("{}export TF_VAR_csg_secret={SECRET}\nunset AWS_SESSION_TOKEN AWS_PROFILE\n", self.fetch_ca());
        Snippet::new("terraform", "Terraform", "The provider of AWS, version 5 or later.", code)
            .with_file("Put this beside your other files, in csg.tf:", provider)
    }

    fn docker(&self) -> Snippet {
        let Self { endpoint, key, region, sample, .. } = self;
        let (fetch, read) = (self.fetch_ca(), sample.on_command_line());
        // A container's loopback is not the machine's.
        let is_here = ["//127.", "//[::1]", "//localhost"].iter().any(|here| endpoint.contains(here));
        let network = if is_here { "--network host " } else { "" };
        let code = format!(
            "{fetch}(umask 077 && cat > csg.env) <<END\n\
             HTTPS_PROXY={endpoint}\nAWS_CA_BUNDLE=/csg/ca.pem\n\
             AWS_ACCESS_KEY_ID={key}\nAWS_SECRET_ACCESS_KEY={SECRET}\n\
             AWS_REGION={region}\nAWS_DEFAULT_REGION={region}\nEND\n\
             docker run --rm {network}--env-file csg.env -v \"{CA}:/csg/ca.pem:ro\" \\\n    \
             amazon/aws-cli {read}\n"
        );
        Snippet::new(
            "docker",
            "Docker",
            "The certificate is mounted, the rest comes from a file. The image is the AWS CLI's, to test; put yours there.",
            code,
        )
    }
}
