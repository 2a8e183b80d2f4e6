//! One harmless read of each service, as each client words it, so that a set-up ends in something that can be run.

use crate::model::AccessRequest;

/// A read that needs nothing but the grant, and changes nothing.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    /// What boto3, Go, the command line and Rust's crates call the service.
    pub(super) service: &'static str,
    /// The operation as the command line has it; the others spell it their way.
    read: &'static str,
    js_package: &'static str,
    js_client: &'static str,
}

impl Sample {
    /// For the first service of the request that has one. Where none has, the security token service's shows how: its
    /// refusal by the gateway needs no grant and shows that the way there works.
    pub(super) fn of(request: &AccessRequest) -> Self {
        Self::granted(request).unwrap_or(Self {
            service: "sts",
            read: "get-caller-identity",
            js_package: "sts",
            js_client: "STS",
        })
    }

    /// The one that the grant lets through, if there is one.
    pub(super) fn granted(request: &AccessRequest) -> Option<Self> {
        request.services.iter().find_map(|service| Self::named(service.as_str()))
    }

    fn named(service: &str) -> Option<Self> {
        let sample = |service, read, js_package, js_client| Self { service, read, js_package, js_client };
        Some(match service {
            "acm" => sample("acm", "list-certificates", "acm", "ACM"),
            "apigateway" => sample("apigateway", "get-rest-apis", "api-gateway", "APIGateway"),
            "athena" => sample("athena", "list-work-groups", "athena", "Athena"),
            "cloudformation" => sample("cloudformation", "list-stacks", "cloudformation", "CloudFormation"),
            "cloudwatch" => sample("cloudwatch", "list-metrics", "cloudwatch", "CloudWatch"),
            "dynamodb" => sample("dynamodb", "list-tables", "dynamodb", "DynamoDB"),
            "ec2" => sample("ec2", "describe-regions", "ec2", "EC2"),
            "ecr" => sample("ecr", "describe-repositories", "ecr", "ECR"),
            "ecs" => sample("ecs", "list-clusters", "ecs", "ECS"),
            "eks" => sample("eks", "list-clusters", "eks", "EKS"),
            "glacier" => sample("glacier", "list-vaults", "glacier", "Glacier"),
            "iam" => sample("iam", "list-users", "iam", "IAM"),
            "kinesis" => sample("kinesis", "list-streams", "kinesis", "Kinesis"),
            "kms" => sample("kms", "list-keys", "kms", "KMS"),
            "lambda" => sample("lambda", "list-functions", "lambda", "Lambda"),
            "redshift" => sample("redshift", "describe-clusters", "redshift", "Redshift"),
            "route53" => sample("route53", "list-hosted-zones", "route-53", "Route53"),
            "s3" => sample("s3", "list-buckets", "s3", "S3"),
            "secretsmanager" => sample("secretsmanager", "list-secrets", "secrets-manager", "SecretsManager"),
            "ses" => sample("ses", "list-identities", "ses", "SES"),
            "sns" => sample("sns", "list-topics", "sns", "SNS"),
            "sqs" => sample("sqs", "list-queues", "sqs", "SQS"),
            "ssm" => sample("ssm", "describe-parameters", "ssm", "SSM"),
            "sts" => sample("sts", "get-caller-identity", "sts", "STS"),
            _ => return None,
        })
    }

    pub(super) fn on_command_line(self) -> String {
        // The SDKs fill the account in by themselves.
        let account = if self.service == "glacier" { " --account-id -" } else { "" };
        // There, `aws s3` is something else.
        let service = if self.service == "s3" { "s3api" } else { self.service };
        format!("{service} {}{account}", self.read)
    }

    pub(super) fn js_package(self) -> String {
        format!("@aws-sdk/client-{}", self.js_package)
    }

    pub(super) fn boto3(self, endpoint: &str, key: &str, region: &str) -> String {
        let Self { service, .. } = self;
        let method = self.in_snake_case();
        format!(
            "import os\n\
             import boto3\n\
             from botocore.config import Config\n\n\
             session = boto3.Session(\n    aws_access_key_id=\"{key}\",\n    \
             aws_secret_access_key=os.environ[\"AWS_SECRET_ACCESS_KEY\"],\n    region_name=\"{region}\",\n)\n\
             client = session.client(\n    \"{service}\",\n    \
             config=Config(proxies={{\"https\": \"{endpoint}\"}}),\n    \
             verify=os.path.expanduser(\"~/.csg/ca.pem\"),\n)\n\
             print(client.{method}())\n"
        )
    }

    pub(super) fn javascript(self) -> String {
        let (package, client, operation) = (self.js_package(), self.js_client, self.in_pascal_case());
        format!(
            "import {{ {client}Client, {operation}Command }} from \"{package}\";\n\
             import {{ NodeHttpHandler }} from \"@smithy/node-http-handler\";\n\
             import {{ HttpsProxyAgent }} from \"https-proxy-agent\";\n\n\
             const httpsAgent = new HttpsProxyAgent(process.env.HTTPS_PROXY, {{ keepAlive: true }});\n\
             const client = new {client}Client({{ requestHandler: new NodeHttpHandler({{ httpsAgent }}) }});\n\
             console.log(await client.send(new {operation}Command({{}})));\n"
        )
    }

    pub(super) fn go(self) -> String {
        let Self { service, .. } = self;
        let operation = self.in_pascal_case();
        format!(
            "package main\n\n\
             import (\n\t\"context\"\n\t\"fmt\"\n\t\"log\"\n\n\
             \t\"github.com/aws/aws-sdk-go-v2/config\"\n\
             \t\"github.com/aws/aws-sdk-go-v2/service/{service}\"\n)\n\n\
             func main() {{\n\
             \tsettings, err := config.LoadDefaultConfig(context.Background())\n\
             \tif err != nil {{\n\t\tlog.Fatal(err)\n\t}}\n\
             \tclient := {service}.NewFromConfig(settings)\n\
             \tanswer, err := client.{operation}(context.Background(), &{service}.{operation}Input{{}})\n\
             \tif err != nil {{\n\t\tlog.Fatal(err)\n\t}}\n\
             \tfmt.Printf(\"%+v\\n\", answer)\n}}\n"
        )
    }

    pub(super) fn rust(self) -> String {
        let Self { service, .. } = self;
        let method = self.in_snake_case();
        format!(
            r#"use aws_config::BehaviorVersion;
use aws_smithy_http_client::{{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode}},
}};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {{
    let ca = std::fs::read(std::env::var("AWS_CA_BUNDLE")?)?;
    let trust = TrustStore::empty().with_pem_certificate(ca);
    let tls = TlsContext::builder().with_trust_store(trust).build()?;
    let http = Builder::new().build_with_connector_fn(move |settings, _| {{
        let mut connector = Connector::builder()
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls.clone());
        connector.set_connector_settings(settings.cloned());
        connector.build()
    }});
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    let client = aws_sdk_{service}::Client::new(&config);
    println!("{{:?}}", client.{method}().send().await?);
    Ok(())
}}
"#
        )
    }

    fn in_snake_case(self) -> String {
        self.read.replace('-', "_")
    }

    fn in_pascal_case(self) -> String {
        let mut upper = true;
        let letters = self.read.chars().filter_map(|letter| {
            let out = if upper { letter.to_ascii_uppercase() } else { letter };
            upper = letter == '-';
            (!upper).then_some(out)
        });
        letters.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::aws::Catalogue;

    #[test]
    fn each_read_is_an_operation_of_its_service() {
        let known = Catalogue::embedded().services().iter();
        let samples: Vec<_> = known.filter_map(|it| Some((it, Sample::named(it.id.as_str())?))).collect();
        assert_eq!(samples.len(), 24);
        for (service, sample) in samples {
            assert_eq!(sample.service, service.id.as_str());
            let operation = sample.in_pascal_case();
            assert!(service.operation(&operation).is_some(), "{}: {operation}", service.id);
        }
    }
}
