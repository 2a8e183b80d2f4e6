//! From a host name to the services behind it, and whether a credential scope agrees with the host.
//!
//! Names are compared label by label from the right, whole, in any ASCII case. Everything under `amazonaws.com` that
//! the catalogue does not list (buckets, load balancers, EC2's public names) belongs to anybody and is nobody's host.

use super::catalogue::{Catalogue, Region, Service};
use crate::model::AccountId;

/// A host that the catalogue knows.
#[derive(Debug)]
pub struct Host<'c> {
    catalogue: &'c Catalogue,
    forms: &'c [Form],
    /// The bit of its region, or of its partition if it has no region, in the forms' places.
    place: u128,
    region: Option<Region>,
    partition: usize,
    account: Option<AccountId>,
}

/// What a credential scope says, once found in agreement with the host: one signing name, one region.
///
/// Still only a claim until the signature is verified.
#[derive(Debug)]
pub struct Claim<'c, 'h> {
    pub(super) host: &'h Host<'c>,
    /// One of its services.
    pub(super) service: &'c Service,
    signing_name: &'c str,
    signing_region: &'c str,
}

/// One form that hosts of a service have.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) service: usize,
    pub(super) signing_name: &'static str,
    pub(super) signing_region: SigningRegion,
    /// Regions for a template with a region, else partitions.
    pub(super) places: u128,
}

#[derive(Debug)]
pub(super) enum SigningRegion {
    /// Any region of the partition.
    Any,
    Fixed(&'static str),
    /// The partition's global one.
    Global,
    OfHost,
    /// SigV4A's sets of regions.
    Set,
}

/// The credential scope names another service or region than the host is for. Worded as AWS does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeMismatch {
    /// SigV4A is not for this service.
    #[error("AWS4-ECDSA-P256-SHA256 is not accepted for this service. Please use AWS4-HMAC-SHA256.")]
    Asymmetric,
    /// Another region.
    #[error("Credential should be scoped to a valid region. Expected '{expected}'.")]
    Region {
        /// The region that the host's requests are signed for.
        expected: String,
    },
    /// Another service.
    #[error("Credential should be scoped to correct service: '{expected}'.")]
    Service {
        /// The name that the host's requests are signed with.
        expected: String,
    },
}

impl Catalogue {
    /// The services behind `host` (a name alone, without a port), if there are any.
    pub fn host(&self, host: &str) -> Option<Host<'_>> {
        let name = Text::lower_case(host)?;
        let name = name.as_str();
        self.partitions
            .iter()
            .flat_map(|partition| &partition.suffixes)
            .filter_map(|(kind, suffix)| Some((name.strip_suffix(suffix)?.strip_suffix('.')?, *kind)))
            .find_map(|(labels, kind)| self.host_below(labels, kind, name))
    }

    fn host_below(&self, labels: &str, kind: &str, name: &str) -> Option<Host<'_>> {
        let mut template = Text::default();
        let (mut region, mut account) = (None, None);
        for label in labels.split('.') {
            if let Some(&known) = self.regions.get(label) {
                template.push("{region}")?;
                region.replace(known).is_none().then_some(())?;
            } else if let Ok(known) = AccountId::new(label) {
                template.push("{account}")?;
                account.replace(known).is_none().then_some(())?;
            } else {
                template.push(label)?;
            }
            template.push(".")?;
        }
        template.push(kind)?;
        let forms = self.forms.get(template.as_str())?;
        let under = |partition: usize| {
            self.partitions.get(partition).is_some_and(|partition| {
                partition.suffixes.iter().any(|(known, suffix)| *known == kind && name.ends_with(suffix))
            })
        };
        let holds = |place: u128| forms.iter().any(|form| form.places & place != 0);
        let (place, partition) = match region {
            Some(region) => (1 << region.index, region.partition),
            None => (0..self.partitions.len())
                .map(|partition| (1 << partition, partition))
                .find(|&(place, partition)| under(partition) && holds(place))?,
        };
        (under(partition) && holds(place)).then_some(Host { catalogue: self, forms, place, region, partition, account })
    }
}

impl<'c> Host<'c> {
    /// The services it may be; which one, the call itself says.
    pub fn services(&self) -> impl Iterator<Item = &'c Service> + Clone {
        self.forms().filter_map(|form| self.catalogue.services.get(form.service))
    }

    /// The region in its name; none for a global host.
    pub fn region(&self) -> Option<&'c str> {
        self.region.map(|region| region.name)
    }

    /// Its partition: `aws`, `aws-cn`.
    pub fn partition(&self) -> &'c str {
        self.catalogue.partitions.get(self.partition).map_or("", |partition| partition.id)
    }

    /// The account in its name.
    pub const fn account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }

    /// Takes the service and region of a credential scope, if the host agrees with both.
    pub fn claim(&self, service: &str, region: &str) -> Result<Claim<'c, '_>, ScopeMismatch> {
        let mut expected = ScopeMismatch::Service { expected: String::new() };
        for form in self.forms() {
            let Some(signing_region) = self.signing_region(form, region) else { continue };
            let known = self.catalogue.services.get(form.service).filter(|_| form.signing_name == service);
            if let Some(service) = known.filter(|_| signing_region == region) {
                return Ok(Claim { host: self, service, signing_name: form.signing_name, signing_region });
            }
            if form.signing_name == service {
                expected = ScopeMismatch::Region { expected: signing_region.to_owned() };
            } else if matches!(&expected, ScopeMismatch::Service { expected } if expected.is_empty()) {
                expected = ScopeMismatch::Service { expected: form.signing_name.to_owned() };
            }
        }
        Err(expected)
    }

    /// Takes the service of a SigV4A scope, if it may be signed so and the set of regions `covers` that of the host.
    pub fn claim_set(&self, service: &str, covers: impl Fn(&str) -> bool) -> Result<Claim<'c, '_>, ScopeMismatch> {
        let mut expected = ScopeMismatch::Asymmetric;
        for form in self.forms().filter(|form| form.signing_name == service) {
            let Some(known) = self.catalogue.services.get(form.service).filter(|service| service.takes_sigv4a) else {
                continue;
            };
            // A host for a set of regions is in none.
            let region = self.signing_region(form, "");
            if region.is_none_or(&covers) {
                let signing_region = region.unwrap_or_else(|| self.home());
                return Ok(Claim { host: self, service: known, signing_name: form.signing_name, signing_region });
            }
            expected = ScopeMismatch::Region { expected: region.unwrap_or_default().to_owned() };
        }
        Err(expected)
    }

    /// The region of its name, or else its partition's global one.
    pub fn home(&self) -> &'c str {
        let global = self.catalogue.partitions.get(self.partition).map_or("", |partition| partition.global_region);
        self.region.map_or(global, |region| region.name)
    }

    /// One claim for each name that requests to this host are signed with: for calls that say nothing of that.
    pub fn claims(&self) -> impl Iterator<Item = Claim<'c, '_>> {
        let first = |form: &&Form| {
            self.forms().find(|other| other.signing_name == form.signing_name).is_some_and(|at| std::ptr::eq(at, *form))
        };
        self.forms().filter(first).filter_map(|form| {
            let service = self.catalogue.services.get(form.service)?;
            Some(Claim { host: self, service, signing_name: form.signing_name, signing_region: self.home() })
        })
    }

    /// What a well-meaning client would claim of the host.
    #[cfg(test)]
    pub(super) fn any_claim(&self) -> Claim<'c, '_> {
        let form = self.forms().next().unwrap();
        self.claim(form.signing_name, self.signing_region(form, "us-east-1").unwrap()).unwrap()
    }

    fn forms(&self) -> impl Iterator<Item = &'c Form> + Clone {
        self.forms.iter().filter(|form| form.places & self.place != 0)
    }

    /// The region that is signed for at hosts of this form, where `claimed` is what a client signed for; none for SigV4A.
    fn signing_region(&self, form: &Form, claimed: &str) -> Option<&'c str> {
        let global = self.catalogue.partitions.get(self.partition).map_or("", |partition| partition.global_region);
        match form.signing_region {
            SigningRegion::Any => {
                let known = self.catalogue.regions.get(claimed).filter(|region| region.partition == self.partition);
                Some(known.map_or(global, |region| region.name))
            }
            SigningRegion::Fixed(region) => Some(region),
            SigningRegion::Global => Some(global),
            SigningRegion::OfHost => Some(self.region.map_or(global, |region| region.name)),
            SigningRegion::Set => None,
        }
    }
}

impl<'c> Claim<'c, '_> {
    /// The services of the host that are signed for under this name: usually one.
    pub fn services(&self) -> impl Iterator<Item = &'c Service> + Clone {
        self.host
            .forms()
            .filter(|form| form.signing_name == self.signing_name)
            .filter_map(|form| self.host.catalogue.services.get(form.service))
    }

    /// The name that requests are signed with: `ses` for `email.us-east-1.amazonaws.com`.
    pub const fn signing_name(&self) -> &'c str {
        self.signing_name
    }

    /// The region that requests are signed for: `us-east-1` for `route53.amazonaws.com`.
    pub const fn region(&self) -> &'c str {
        self.signing_region
    }

    /// Does the canonical path stay as the client wrote it (S3), instead of being normalised and encoded again?
    pub fn path_is_encoded_once(&self) -> bool {
        self.services().any(Service::path_is_encoded_once)
    }

    /// May a body come in aws-chunked coding? S3 alone knows it.
    pub fn takes_chunks(&self) -> bool {
        self.path_is_encoded_once()
    }
}

/// The bucket that an S3 host's name (in lower case) begins with: `my.bucket` of `my.bucket.s3.eu-west-1.amazonaws.com`.
///
/// The endpoint's own first label is the last one that begins so, whatever labels a bucket's name has.
pub fn bucket_in(host: &str) -> Option<&str> {
    let is_s3 = |label: &str| label == "s3" || label.starts_with("s3-");
    let own = host
        .rmatch_indices('.')
        .map(|(at, _)| at + 1)
        .find(|&at| host.get(at..).and_then(|rest| rest.split('.').next()).is_some_and(is_s3))?;
    host.get(..own - 1).filter(|bucket| !bucket.is_empty())
}

/// A short text on the stack, so that a look-up costs no allocation.
struct Text {
    bytes: [u8; 320],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; 320], length: 0 }
    }
}

impl Text {
    /// A host name in lower case; none if it is no host name.
    fn lower_case(host: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if host.len() > 253 || !host.bytes().all(allowed) {
            return None;
        }
        let mut text = Self::default();
        text.push(host)?;
        text.bytes.make_ascii_lowercase();
        Some(text)
    }

    fn push(&mut self, more: &str) -> Option<()> {
        let end = self.length + more.len();
        self.bytes.get_mut(self.length..end)?.copy_from_slice(more.as_bytes());
        self.length = end;
        Some(())
    }

    fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Option<Host<'static>> {
        Catalogue::embedded().host(name)
    }

    #[test]
    fn hosts_of_all_forms_are_known() {
        // host, service, signing name, signing region, region of the host, partition, account
        for (name, service, signs, signing_region, region, partition, account) in [
            ("dynamodb.us-east-1.amazonaws.com", "dynamodb", "dynamodb", "us-east-1", Some("us-east-1"), "aws", None),
            ("DynamoDB.US-EAST-1.AmazonAWS.com", "dynamodb", "dynamodb", "us-east-1", Some("us-east-1"), "aws", None),
            (
                "123456789012.ddb.us-west-2.amazonaws.com",
                "dynamodb",
                "dynamodb",
                "us-west-2",
                Some("us-west-2"),
                "aws",
                Some("123456789012"),
            ),
            ("email.eu-west-1.amazonaws.com", "ses", "ses", "eu-west-1", Some("eu-west-1"), "aws", None),
            ("lambda.eu-west-1.api.aws", "lambda", "lambda", "eu-west-1", Some("eu-west-1"), "aws", None),
            (
                "lambda-fips.us-gov-west-1.amazonaws.com",
                "lambda",
                "lambda",
                "us-gov-west-1",
                Some("us-gov-west-1"),
                "aws-us-gov",
                None,
            ),
            ("sns.cn-north-1.amazonaws.com.cn", "sns", "sns", "cn-north-1", Some("cn-north-1"), "aws-cn", None),
            (
                "ecs.eusc-de-east-1.amazonaws.eu",
                "ecs",
                "ecs",
                "eusc-de-east-1",
                Some("eusc-de-east-1"),
                "aws-eusc",
                None,
            ),
            (
                "redshift.us-iso-east-1.c2s.ic.gov",
                "redshift",
                "redshift",
                "us-iso-east-1",
                Some("us-iso-east-1"),
                "aws-iso",
                None,
            ),
            ("route53.amazonaws.com", "route53", "route53", "us-east-1", None, "aws", None),
            ("route53.global.api.aws", "route53", "route53", "us-east-1", None, "aws", None),
            ("route53.amazonaws.com.cn", "route53", "route53", "cn-northwest-1", None, "aws-cn", None),
            ("route53.us-gov.amazonaws.com", "route53", "route53", "us-gov-west-1", None, "aws-us-gov", None),
        ] {
            let host = host(name).unwrap_or_else(|| panic!("{name}"));
            assert!(host.services().any(|known| known.id.as_str() == service), "{name}");
            assert_eq!(host.region(), region, "{name}");
            assert_eq!(host.partition(), partition, "{name}");
            assert_eq!(host.account().map(AccountId::as_str), account, "{name}");
            let claim = host.claim(signs, signing_region).unwrap();
            assert_eq!((claim.signing_name(), claim.region()), (signs, signing_region), "{name}");
        }
    }

    #[test]
    fn other_names_are_nobodys_hosts() {
        for name in [
            "",
            ".",
            "amazonaws.com",
            "api.aws",
            "us-east-1.amazonaws.com",
            "dynamodb.amazonaws.com",
            "dynamodb.us-east-1.amazonaws.com.evil.example",
            "dynamodb.us-east-1.amazonaws.com.",
            ".dynamodb.us-east-1.amazonaws.com",
            "dynamodb.us-east-1.amazonaws.com:443",
            "dynamodb.us-east-1.evilamazonaws.com",
            "dynamodb.us-east-1.amazonaws.comm",
            "dynamodb.us-east-1..amazonaws.com",
            "evil.dynamodb.us-east-1.amazonaws.com",
            "dynamodb.us-east-1.us-east-1.amazonaws.com",
            "dynamodb.cn-north-1.amazonaws.com",
            "dynamodb.us-east-1.amazonaws.com.cn",
            "dynamodb.us-nowhere-1.amazonaws.com",
            "dynamodb.{region}.amazonaws.com",
            "dynamodb.us-east-1.{dns}",
            "{account}.ddb.us-east-1.amazonaws.com",
            "12345678901.ddb.us-east-1.amazonaws.com",
            "123456789012.dynamodb.us-east-1.amazonaws.com",
            "dynamodb.us-east-1.amazonaws.com\0.evil.example",
            "dynamodb\u{ff0e}us-east-1.amazonaws.com",
            "ec2-203-0-113-25.compute-1.amazonaws.com",
            "my-lb-1234567890.us-east-1.elb.amazonaws.com",
            "bucket.s3.amazonaws.com",
            "lambda.s3.us-east-1.amazonaws.com",
            "abcdef.execute-api.us-east-1.amazonaws.com",
            "abcdef.lambda-url.us-east-1.on.aws",
            "route53.us-east-1.amazonaws.com",
            "route53-fips.us-gov.amazonaws.com",
            "127.0.0.1",
            "localhost",
            &"a.".repeat(126),
            &format!("{}.amazonaws.com", "a".repeat(400)),
        ] {
            assert!(host(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_set_of_regions_must_cover_the_host() {
        let events = host("events.eu-west-1.amazonaws.com").unwrap();
        let claim = events.claim_set("events", |region| region == "eu-west-1").unwrap();
        assert_eq!((claim.signing_name(), claim.region()), ("events", "eu-west-1"));
        let other = events.claim_set("events", |region| region == "us-east-1").unwrap_err();
        assert_eq!(other, ScopeMismatch::Region { expected: "eu-west-1".into() });
        assert_eq!(events.claim_set("sqs", |_| true).unwrap_err(), ScopeMismatch::Asymmetric);
        let dynamodb = host("dynamodb.us-east-1.amazonaws.com").unwrap();
        assert_eq!(dynamodb.claim_set("dynamodb", |_| true).unwrap_err(), ScopeMismatch::Asymmetric);
        // Hosts of no region are asked with SigV4A alone.
        let store = host("123456789012.cloudfront-kvs.global.api.aws").unwrap();
        assert!(store.claim_set("cloudfront-keyvaluestore", |_| false).is_ok());
        assert!(store.claim("cloudfront-keyvaluestore", "us-east-1").is_err());
    }

    #[test]
    fn a_bucket_is_what_stands_before_the_endpoint() {
        for (host, bucket) in [
            ("s3.amazonaws.com", None),
            ("s3.eu-west-1.amazonaws.com", None),
            ("s3-eu-west-1.amazonaws.com", None),
            ("bucket.s3.amazonaws.com", Some("bucket")),
            ("my.dotted.bucket.s3.dualstack.eu-west-1.amazonaws.com", Some("my.dotted.bucket")),
            ("s3.bucket.s3-fips.us-east-1.amazonaws.com", Some("s3.bucket")),
            ("bucket.s3-eu-west-1.amazonaws.com", Some("bucket")),
            ("sqs.us-east-1.amazonaws.com", None),
        ] {
            assert_eq!(bucket_in(host), bucket, "{host}");
        }
    }

    #[test]
    fn a_scope_must_agree_with_the_host() {
        let host = host("email.eu-west-1.amazonaws.com").unwrap();
        assert!(host.claim("ses", "eu-west-1").is_ok());
        for (service, region, words) in [
            ("ses", "us-east-1", "Credential should be scoped to a valid region. Expected 'eu-west-1'."),
            ("email", "eu-west-1", "Credential should be scoped to correct service: 'ses'."),
            ("SES", "eu-west-1", "Credential should be scoped to correct service: 'ses'."),
            ("", "", "Credential should be scoped to correct service: 'ses'."),
        ] {
            assert_eq!(host.claim(service, region).unwrap_err().to_string(), words);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_name_makes_it_stumble(name in "\\PC{0,300}", labels in "([a-z0-9{}_-]{0,12}[.]){0,6}(amazonaws[.]com|api[.]aws)") {
            let _ = host(&name);
            let _ = host(&labels);
        }
    }
}
