//! Ready-made set-up for each client, filled with an access request's own values.

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
    pub(crate) code: String,
}

/// What stands where the secret goes: it is not here to be put in.
const SECRET: &str = "YOUR_SECRET";
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
}

/// The set-up for every client, the most used first.
pub(crate) fn all(state: &State, request: &AccessRequest, key: &AccessKeyId) -> Vec<Snippet> {
    let endpoint: &str = &state.endpoint;
    let values = Values {
        endpoint,
        ca_url: state.ca_url(),
        key: key.as_str(),
        profile: format!("csg-{}", request.environment),
        region: REGION,
    };
    vec![
        snippet("env", "Environment", "For anything that reads AWS's usual variables.", values.environment()),
        snippet("cli", "AWS CLI", "Version 2. The proxy is set in the shell; a profile can't name one.", values.cli()),
        snippet("boto3", "boto3", "Python 3. Keep the secret in the environment, not in the code.", values.boto3()),
        snippet(
            "js",
            "JavaScript",
            "AWS SDK for JavaScript v3, which reads no proxy by itself: it is given an agent.",
            values.javascript(),
        ),
        snippet("java", "Java", "AWS SDK for Java 2 with its Apache client.", values.java()),
        snippet("go", "Go", "AWS SDK for Go v2 reads all of it from the environment.", values.go()),
        snippet("terraform", "Terraform", "Give the secret as the variable TF_VAR_csg_secret.", values.terraform()),
        snippet("docker", "Docker", "The certificate is mounted, the rest comes from a file.", values.docker()),
    ]
}

/// A command that shows whether it works: reads, changes nothing.
pub(crate) fn test_command(request: &AccessRequest) -> String {
    let read = request.services.iter().find_map(|service| {
        Some(match service.as_str() {
            "apigateway" => "apigateway get-rest-apis",
            "dynamodb" => "dynamodb list-tables",
            "ecs" => "ecs list-clusters",
            "glacier" => "glacier list-vaults --account-id -",
            "lambda" => "lambda list-functions",
            "redshift" => "redshift describe-clusters",
            "route53" => "route53 list-hosted-zones",
            "ses" => "ses get-send-quota",
            "sns" => "sns list-topics",
            _ => return None,
        })
    });
    format!("aws {} --region {REGION}", read.unwrap_or("sts get-caller-identity"))
}

/// As a file of AWS's kind, for the download of a secret.
pub(crate) fn credentials_file(request: &AccessRequest, key: &str, secret: &str) -> String {
    format!("[csg-{}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n", request.environment)
}

fn snippet(id: &'static str, label: &'static str, about: &'static str, code: String) -> Snippet {
    Snippet { id, label, about, code }
}

impl Values<'_> {
    fn fetch_ca(&self) -> String {
        format!("curl --create-dirs -o \"{CA}\" {}\n", self.ca_url)
    }

    fn key_variables(&self) -> String {
        let Self { key, region, .. } = self;
        format!("export AWS_ACCESS_KEY_ID={key}\nexport AWS_SECRET_ACCESS_KEY={SECRET}\nexport AWS_REGION={region}\n")
    }

    fn environment(&self) -> String {
        let (fetch, keys, endpoint) = (self.fetch_ca(), self.key_variables(), self.endpoint);
        format!("{fetch}export HTTPS_PROXY={endpoint}\nexport AWS_CA_BUNDLE=\"{CA}\"\n{keys}")
    }

    fn cli(&self) -> String {
        let Self { endpoint, key, profile, region, .. } = self;
        let fetch = self.fetch_ca();
        format!(
            "{fetch}aws configure set aws_access_key_id {key} --profile {profile}\n\
             aws configure set aws_secret_access_key {SECRET} --profile {profile}\n\
             aws configure set region {region} --profile {profile}\n\
             aws configure set ca_bundle \"{CA}\" --profile {profile}\n\
             export HTTPS_PROXY={endpoint} AWS_PROFILE={profile}\n"
        )
    }

    fn boto3(&self) -> String {
        let Self { endpoint, key, region, .. } = self;
        format!(
            "import os\n\
             import boto3\n\
             from botocore.config import Config\n\n\
             session = boto3.Session(\n    aws_access_key_id=\"{key}\",\n    \
             aws_secret_access_key=os.environ[\"AWS_SECRET_ACCESS_KEY\"],\n    region_name=\"{region}\",\n)\n\
             client = session.client(\n    \"SERVICE\",\n    \
             config=Config(proxies={{\"https\": \"{endpoint}\"}}),\n    \
             verify=os.path.expanduser(\"~/.csg/ca.pem\"),\n)\n"
        )
    }

    fn javascript(&self) -> String {
        let (fetch, keys, endpoint) = (self.fetch_ca(), self.key_variables(), self.endpoint);
        format!(
            "{fetch}npm install https-proxy-agent @smithy/node-http-handler\n\
             export HTTPS_PROXY={endpoint}\nexport NODE_EXTRA_CA_CERTS=\"{CA}\"\n{keys}\n\
             // In the code:\n\
             import {{ NodeHttpHandler }} from \"@smithy/node-http-handler\";\n\
             import {{ HttpsProxyAgent }} from \"https-proxy-agent\";\n\n\
             const httpsAgent = new HttpsProxyAgent(process.env.HTTPS_PROXY, {{ keepAlive: true }});\n\
             const client = new ServiceClient({{ requestHandler: new NodeHttpHandler({{ httpsAgent }}) }});\n"
        )
    }

    fn java(&self) -> String {
        let (keys, endpoint) = (self.key_variables(), self.endpoint);
        let p12 = self.ca_url.replace("/cert/pem", "/cert/p12");
        format!(
            "curl --create-dirs -o \"$HOME/.csg/ca.p12\" {p12}\n\
             export HTTPS_PROXY={endpoint}\n{keys}\
             java -Djavax.net.ssl.trustStore=\"$HOME/.csg/ca.p12\" \\\n     \
             -Djavax.net.ssl.trustStoreType=PKCS12 \\\n     \
             -Djavax.net.ssl.trustStorePassword=changeit -jar app.jar\n"
        )
    }

    fn go(&self) -> String {
        format!("{}go run .\n", self.environment())
    }

    fn terraform(&self) -> String {
        let Self { endpoint, key, region, .. } = self;
        format!(
            "variable \"csg_secret\" {{\n  type      = string\n  sensitive = true\n}}\n\n\
             provider \"aws\" {{\n  region           = \"{region}\"\n  access_key       = \"{key}\"\n  \
             secret_key       = var.csg_secret\n  https_proxy      = \"{endpoint}\"\n  \
             custom_ca_bundle = pathexpand(\"~/.csg/ca.pem\")\n\n  \
             # Only the granted services can be called.\n  skip_credentials_validation = true\n  \
             skip_requesting_account_id  = true\n}}\n"
        )
    }

    fn docker(&self) -> String {
        let Self { endpoint, key, region, .. } = self;
        let fetch = self.fetch_ca();
        format!(
            "{fetch}cat > csg.env <<END\nHTTPS_PROXY={endpoint}\nAWS_CA_BUNDLE=/csg/ca.pem\n\
             AWS_ACCESS_KEY_ID={key}\nAWS_SECRET_ACCESS_KEY={SECRET}\nAWS_REGION={region}\nEND\n\
             docker run --env-file csg.env -v \"{CA}:/csg/ca.pem:ro\" IMAGE\n"
        )
    }
}
