//! What botocore sends for each operation of each service is recognised as that operation.
//!
//! tests/fixtures/aws/generate.py wrote the requests: each with the fewest parameters, and once more with all that its
//! query and headers may have. Where one is the call of several services, the snapshot lists it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    time::{Duration, Instant},
};

use csg::cloud::aws::{Catalogue, Service};
use flate2::read::GzDecoder;
use http::{
    Request,
    request::{Builder, Parts},
};

/// Of services that botocore has no model of, and what models leave out.
const BY_HAND: &str = include_str!("../../assets/aws/operations.tsv");

struct Sent<'t> {
    service: &'t str,
    operation: &'t str,
    signs: (&'t str, &'t str),
    host: &'t str,
    parts: Parts,
    body: &'t str,
}

/// Without optimisation, with the look at the neighbours of each, and on a machine that has other work; in a release, all
/// take a tenth of a second.
const LONGEST: Duration = Duration::from_mins(1);

const FEWEST: &[u8] = include_bytes!("../fixtures/aws/requests.tsv.gz");
const OPTIONAL: &[u8] = include_bytes!("../fixtures/aws/optional.tsv.gz");

fn text(packed: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    text
}

fn sent(line: &str) -> Sent<'_> {
    let fields: Vec<_> = line.split('\t').collect();
    let &[service, operation, name, region, method, host, target, amz_target, smithy, content_type, copy, body] =
        &fields[..]
    else {
        panic!("{line}");
    };
    let headers = [
        ("x-amz-target", amz_target),
        ("smithy-protocol", smithy),
        ("content-type", content_type),
        ("x-amz-copy-source", copy),
    ];
    let told = headers.into_iter().filter(|(_, value)| !value.is_empty());
    let request = told.fold(Request::builder().method(method).uri(target), |request: Builder, (name, value)| {
        request.header(name, value)
    });
    let (parts, ()) = request.body(()).unwrap().into_parts();
    Sent { service, operation, signs: (name, region), host, parts, body }
}

/// What a request is called if `granted` is.
fn called(sent: &Sent<'_>, granted: &str) -> Result<(String, Option<&'static str>), String> {
    let host = Catalogue::embedded().host(sent.host).ok_or("unknown host")?;
    let claim = if sent.signs.1 == "*" {
        host.claim_set(sent.signs.0, |_| false)
    } else {
        host.claim(sent.signs.0, sent.signs.1)
    };
    let claim = claim.map_err(|error| error.to_string())?;
    let call = claim.name(&sent.parts, sent.body.as_bytes(), |service| service.as_str() == granted).call;
    Ok((call.service.to_string(), call.operation.map(|operation| operation.name)))
}

/// Names the requests, each as its own operation if its service is granted; and what else each is, by its name.
fn others(requests: &[Sent<'_>]) -> BTreeMap<String, BTreeSet<String>> {
    let catalogue = Catalogue::embedded();
    let (mut others, mut unlike) = (BTreeMap::<String, BTreeSet<String>>::new(), Vec::new());
    let began = Instant::now();
    for sent in requests {
        let name = format!("{}:{}", sent.service, sent.operation);
        match called(sent, sent.service) {
            Ok((service, operation)) if service == sent.service && operation == Some(sent.operation) => {}
            Ok((service, Some(operation))) if service == sent.service => {
                others.entry(name.clone()).or_default().insert(format!("{service}:{operation}"));
            }
            else_called => unlike.push(format!("{name} at {} {}: {else_called:?}", sent.host, sent.parts.uri)),
        }
        let neighbours = catalogue.host(sent.host).into_iter().flat_map(|host| host.services().collect::<Vec<_>>());
        for neighbour in neighbours.filter(|other| other.id.as_str() != sent.service) {
            if let Ok((service, Some(operation))) = called(sent, neighbour.id.as_str())
                && service == neighbour.id.as_str()
            {
                others.entry(name.clone()).or_default().insert(format!("{service}:{operation}"));
            }
        }
    }
    let took = began.elapsed();
    assert!(unlike.is_empty(), "{} of {}:\n{}", unlike.len(), requests.len(), unlike.join("\n"));
    assert!(took < LONGEST, "{} requests were named in {took:?}", requests.len());
    others
}

#[test]
fn what_is_optional_in_query_and_headers_makes_no_other_call_of_it() {
    let (text, plain) = (text(OPTIONAL), text(FEWEST));
    let requests: Vec<_> = text.lines().map(sent).collect();
    let with_options: BTreeSet<_> = requests.iter().map(|sent| (sent.service, sent.operation)).collect();
    let plain = plain.lines().map(sent).filter(|sent| with_options.contains(&(sent.service, sent.operation)));
    let ambiguous = others(&plain.collect::<Vec<_>>());
    for (name, also) in others(&requests) {
        let known = ambiguous.get(&name).cloned().unwrap_or_default();
        assert!(also.is_subset(&known), "{name} = {also:?}, and without what is optional {known:?}");
    }
    assert!(requests.len() > 2000, "{}", requests.len());
}

#[test]
fn all_that_botocore_sends_is_recognised() {
    let (text, catalogue) = (text(FEWEST), Catalogue::embedded());
    let requests: Vec<_> = text.lines().map(sent).collect();
    let others = others(&requests);
    let lines =
        others.iter().map(|(name, also)| format!("{name} = {}\n", also.iter().cloned().collect::<Vec<_>>().join(" ")));
    insta::assert_snapshot!("calls_that_are_not_one_operations_alone", lines.collect::<String>());

    let seen: BTreeSet<_> = requests.iter().map(|sent| (sent.service, sent.operation)).collect();
    let by_hand: BTreeSet<_> = BY_HAND.lines().filter_map(|line| line.split('\t').next()).collect();
    let modelled: BTreeSet<_> = seen.iter().map(|(service, _)| *service).collect();
    let own = |service: &&Service| modelled.contains(service.id.as_str()) || !by_hand.contains(service.id.as_str());
    for service in catalogue.services().iter().filter(own) {
        for operation in service.operations() {
            assert!(seen.contains(&(service.id.as_str(), operation.name)), "{}:{}", service.id, operation.name);
        }
    }
}

/// A refusal before that (of the key, of the signature) has to be in the words of its service, too.
#[test]
fn what_is_refused_before_it_is_named_is_answered_in_its_own_protocol() {
    let (text, catalogue) = (text(FEWEST), Catalogue::embedded());
    let mut unlike = Vec::new();
    for sent in text.lines().map(sent) {
        let host = catalogue.host(sent.host).unwrap();
        let dialect = host.dialect(&sent.parts);
        let service = host.services().find(|service| service.id.as_str() == sent.service).unwrap();
        if !service.protocols.contains(&dialect.protocol) {
            let (uri, protocol) = (&sent.parts.uri, dialect.protocol);
            unlike.push(format!("{}:{} at {} {uri}: {protocol:?}", sent.service, sent.operation, sent.host));
        }
    }
    assert!(unlike.is_empty(), "{}:\n{}", unlike.len(), unlike.join("\n"));
}

/// What botocore leaves out: streams both ways, and links that only other SDKs make.
#[test]
fn what_botocore_leaves_out_is_recognised() {
    const TRANSCRIBE: [&str; 2] =
        ["transcribestreaming.eu-west-1.amazonaws.com", "transcribestreaming-fips.us-east-1.api.aws"];
    const REKOGNITION: [&str; 2] =
        ["streaming-rekognition.eu-west-1.amazonaws.com", "streaming-rekognition-fips.us-east-1.amazonaws.com"];
    const POLLY: [&str; 2] = ["polly.eu-west-1.amazonaws.com", "vpce-1a2b-3c4d.polly.eu-west-1.vpce.amazonaws.com"];
    for (hosts, method, target, name, streams) in [
        (TRANSCRIBE, "POST", "/stream-transcription", "StartStreamTranscription", true),
        (TRANSCRIBE, "POST", "/medical-stream-transcription", "StartMedicalStreamTranscription", true),
        (TRANSCRIBE, "POST", "/call-analytics-stream-transcription", "StartCallAnalyticsStreamTranscription", true),
        (TRANSCRIBE, "POST", "/medical-scribe-stream", "StartMedicalScribeStream", true),
        (TRANSCRIBE, "GET", "/medical-scribe-stream/0a1b", "GetMedicalScribeStream", false),
        (REKOGNITION, "POST", "/start-face-liveness-session", "StartFaceLivenessSession", true),
        (POLLY, "GET", "/v1/speech?OutputFormat=mp3&Text=hello&VoiceId=Salli", "SynthesizeSpeech", false),
    ] {
        let (service, signs) = match hosts {
            TRANSCRIBE => ("transcribestreaming", "transcribe"),
            REKOGNITION => ("rekognitionstreaming", "rekognition"),
            _ => ("polly", "polly"),
        };
        for host in hosts {
            let (parts, ()) = Request::builder().method(method).uri(target).body(()).unwrap().into_parts();
            let host = Catalogue::embedded().host(host).unwrap();
            let call = host.claim(signs, host.region().unwrap()).unwrap().name(&parts, b"", |_| true).call;
            let named = call.operation.unwrap_or_else(|| panic!("{method} {target}"));
            assert_eq!((call.service.as_str(), named.name), (service, name));
            assert_eq!((named.sends_events, named.answers_events), (streams, streams), "{name}");
        }
    }
}

/// Services with VPC endpoints (those most used of the CDK's `InterfaceVpcEndpointAwsService`), as their hosts begin.
const PRIVATE: &str = "access-analyzer acm api.ecr api.sagemaker apigateway appconfigdata athena autoscaling backup batch \
    bedrock-agent-runtime bedrock-agentcore bedrock-runtime cloudformation cloudtrail codebuild \
    codepipeline cognito-idp config data-servicediscovery datasync dms ds dynamodb ebs ec2 ecs eks \
    eks-auth elasticache elasticfilesystem elasticloadbalancing elasticmapreduce email events \
    firehose fsx glue guardduty kafka kinesis kms kms-fips lakeformation lambda \
    license-manager logs macie2 monitoring organizations pipes polly qbusiness rds rds-data \
    redshift-data rekognition runtime.sagemaker s3tables s3vectors secretsmanager securityhub \
    servicecatalog sns sqs ssm states storagegateway streaming-rekognition streams.dynamodb sts swf \
    sync-states textract transcribe transcribestreaming transfer translate verifiedpermissions wafv2 \
    workspaces xray";

#[test]
fn services_have_vpc_endpoints() {
    for label in PRIVATE.split(' ') {
        for endpoint in ["vpce-0123456789abcdef0-abcdefgh", "vpce-0123456789abcdef0-abcdefgh-us-east-1a"] {
            let host = format!("{endpoint}.{label}.us-east-1.vpce.amazonaws.com");
            let plain = ["amazonaws.com", "api.aws"].map(|suffix| format!("{label}.us-east-1.{suffix}"));
            let found = Catalogue::embedded().host(&host).unwrap_or_else(|| panic!("{host}"));
            let services = |host: &str| -> BTreeSet<_> {
                let found = Catalogue::embedded().host(host);
                found
                    .into_iter()
                    .flat_map(|host| host.services().collect::<Vec<_>>())
                    .map(|one| one.id.to_string())
                    .collect()
            };
            let expected: BTreeSet<_> = plain.iter().flat_map(|host| services(host)).collect();
            assert_eq!(services(&host), expected, "{host}");
            assert_eq!(found.region(), Some("us-east-1"), "{host}");
        }
    }
}
