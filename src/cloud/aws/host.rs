//! From a host name to the services behind it, and whether a credential scope agrees with the host.
//!
//! Names are compared label by label from the right, whole, in any ASCII case. Only where the catalogue says so may a
//! name that a customer chose stand before them: a bucket, an access point, an API. Everything else under
//! `amazonaws.com` (load balancers, EC2's public names, websites) belongs to anybody and is nobody's host.

use super::{
    catalogue::{Catalogue, Region, Service, Suffix},
    labels::{Label, Place, ROOT},
};
use crate::model::AccountId;

/// What a customer's name in front of a host may have at most: an access point, a dot, an outpost.
const LONGEST_PREFIX: usize = 100;

/// A host that the catalogue knows.
#[derive(Debug)]
pub struct Host<'c> {
    catalogue: &'c Catalogue,
    forms: &'c [Form],
    prefix: Prefix,
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
    pub(super) service: u16,
    pub(super) prefix: Prefix,
    pub(super) signing_name: &'static str,
    pub(super) signing_region: SigningRegion,
    /// Regions for a template with a region, else partitions.
    pub(super) places: u128,
}

/// What stands before the part of a name that AWS chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    /// A bucket's name, with dots if it has any. It takes the place of the path's first segment.
    Bucket,
    /// What AWS called a customer's resource: one label.
    Id,
    None,
    /// An access point and its account, an outpost. They take the place of the path's first segment.
    Outpost,
    /// An access point and its account: `point-123456789012`. They take the place of the path's first segment.
    Point,
    /// What AWS called a customer's resource in two labels: `abcde.veo`, a global endpoint.
    TwoIds,
}

#[derive(Debug)]
pub(super) enum SigningRegion {
    /// Any region of the partition.
    Any,
    Fixed(&'static str),
    /// The partition's global one.
    Global,
    OfHost,
    /// `SigV4A`'s sets of regions.
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

/// What the labels of a name told on the way.
#[derive(Clone, Copy)]
struct Seen {
    region: Option<Region>,
    account: Option<AccountId>,
    /// Whose suffix the name has, one bit a partition.
    partitions: u128,
}

impl Catalogue {
    /// The services behind `host` (a name alone, without a port), if there are any.
    pub fn host(&self, host: &str) -> Option<Host<'_>> {
        let name = Name::lower_case(host)?;
        let name = name.as_str();
        let below = |suffix: &Suffix| {
            let labels = name.strip_suffix(suffix.text)?.strip_suffix('.')?;
            let seen = Seen { region: None, account: None, partitions: suffix.partitions };
            self.host_at(self.labels.under(suffix.label)?, Some(labels), seen)
        };
        let alone = || self.host_at(ROOT, Some(name), Seen { region: None, account: None, partitions: u128::MAX });
        self.suffixes.iter().find_map(below).or_else(alone)
    }

    /// Of what may be a customer's name, as little as possible: first the hosts further to the left, then those here, for
    /// which all that is left over (none if there is nothing, not even a dot) is that name.
    fn host_at(&self, at: Place, left: Option<&str>, seen: Seen) -> Option<Host<'_>> {
        if let Some(left) = left {
            let (before, label) = left.rsplit_once('.').map_or((None, left), |(before, label)| (Some(before), label));
            if let Some((place, label)) = self.labels.step(at, label)
                && let Some(seen) = seen.and(label)
                && let Some(host) = self.host_at(place, before, seen)
            {
                return Some(host);
            }
        }
        let forms = self.labels.forms(at);
        let kinds: &[Prefix] = match left {
            None => &[Prefix::None],
            Some(name) if name.len() < LONGEST_PREFIX => {
                &[Prefix::Outpost, Prefix::Point, Prefix::Bucket, Prefix::TwoIds, Prefix::Id]
            }
            Some(_) => return None,
        };
        let text = left.unwrap_or_default();
        let known = |kind: &&Prefix| forms.iter().any(|form| form.prefix == **kind) && kind.fits(text);
        let prefix = *kinds.iter().find(known)?;
        let places = forms.iter().filter(|form| form.prefix == prefix).fold(0, |all, form| all | form.places);
        let (place, partition) = if let Some(region) = seen.region {
            (1 << region.index, region.partition)
        } else {
            let first = (places & seen.partitions).trailing_zeros();
            (1_u128.checked_shl(first)?, usize::try_from(first).ok()?)
        };
        (places & place != 0 && seen.partitions & 1 << partition != 0).then(|| Host {
            catalogue: self,
            forms,
            prefix,
            place,
            region: seen.region,
            partition,
            account: seen.account.or_else(|| prefix.account(text)),
        })
    }
}

impl Seen {
    /// With one label more; none if no name has both.
    fn and(mut self, label: Label) -> Option<Self> {
        let is_first = match label {
            Label::Account(account) => self.account.replace(account).is_none(),
            Label::Other => true,
            Label::Region(region) => self.region.replace(region).is_none(),
        };
        is_first.then_some(self)
    }
}

impl Prefix {
    /// The beginning of a template that says so.
    pub(super) fn split(template: &'static str) -> (Self, &'static str) {
        let known = [
            ("{bucket}.", Self::Bucket),
            ("{id}.{id}.", Self::TwoIds),
            ("{id}.", Self::Id),
            ("{point}.{outpost}.", Self::Outpost),
            ("{point}.", Self::Point),
        ];
        let mut found = known.iter().filter_map(|(label, prefix)| Some((*prefix, template.strip_prefix(label)?)));
        found.next().unwrap_or((Self::None, template))
    }

    fn fits(self, text: &str) -> bool {
        match self {
            Self::Bucket => {
                (3..=63).contains(&text.len())
                    && text.split('.').all(|label| !label.is_empty() && !label.starts_with('-'))
            }
            Self::Id => !text.is_empty() && !text.contains('.'),
            Self::None => text.is_empty(),
            Self::Outpost => text.split_once('.').is_some_and(|(point, outpost)| {
                Self::Point.fits(point) && outpost.starts_with("op-") && Self::Id.fits(outpost)
            }),
            Self::TwoIds => text.split_once('.').is_some_and(|(one, two)| Self::Id.fits(one) && Self::Id.fits(two)),
            Self::Point => !text.contains('.') && self.account(text).is_some(),
        }
    }

    fn account(self, text: &str) -> Option<AccountId> {
        matches!(self, Self::Outpost | Self::Point).then_some(())?;
        let (name, account) = text.split('.').next()?.rsplit_once('-')?;
        AccountId::new(account).ok().filter(|_| !name.is_empty())
    }
}

impl<'c> Host<'c> {
    /// The services it may be; which one, the call itself says.
    pub fn services(&self) -> impl Iterator<Item = &'c Service> + Clone {
        self.forms().filter_map(|form| self.service_of(form))
    }

    /// Do the SDKs speak HTTP/2 with it?
    pub fn speaks_h2(&self) -> bool {
        self.services().any(|service| service.h2)
    }

    /// Is it S3's, where objects are?
    pub fn is_s3(&self) -> bool {
        self.services().any(|service| service.id.as_str() == "s3")
    }

    /// Does its name begin with a bucket or an access point, which a path would else begin with?
    pub const fn names_bucket(&self) -> bool {
        matches!(self.prefix, Prefix::Bucket | Prefix::Outpost | Prefix::Point)
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
        let claim = |form: &'c Form| {
            let signing_region =
                self.signing_region(form, region).filter(|signing_region| *signing_region == region)?;
            Some(Claim { host: self, service: self.service_of(form)?, signing_name: form.signing_name, signing_region })
        };
        let mut named = self.forms().filter(|form| form.signing_name == service);
        named.find_map(claim).ok_or_else(|| self.mismatch(service, region))
    }

    fn mismatch(&self, service: &str, region: &str) -> ScopeMismatch {
        let named = self.forms().filter(|form| form.signing_name == service);
        if let Some(expected) = named.filter_map(|form| self.signing_region(form, region)).last() {
            return ScopeMismatch::Region { expected: expected.to_owned() };
        }
        let expected = self.forms().next().map_or("", |form| form.signing_name).to_owned();
        ScopeMismatch::Service { expected }
    }

    /// Takes the service of a SigV4A scope, if it may be signed so and the set of regions `covers` that of the host.
    pub fn claim_set(&self, service: &str, covers: impl Fn(&str) -> bool) -> Result<Claim<'c, '_>, ScopeMismatch> {
        let mut named = self.forms().filter(|form| form.signing_name == service).filter_map(|form| {
            let known = self.service_of(form).filter(|service| service.takes_sigv4a)?;
            Some((form.signing_name, known, self.signing_region(form, "")))
        });
        let regions = named.clone();
        // A host for a set of regions is in none.
        let claim = named.find(|(.., region)| region.is_none_or(&covers)).map(|(signing_name, service, region)| {
            let signing_region = region.unwrap_or_else(|| self.home());
            Claim { host: self, service, signing_name, signing_region }
        });
        claim.ok_or_else(|| match regions.filter_map(|(.., region)| region).last() {
            Some(region) => ScopeMismatch::Region { expected: region.to_owned() },
            None => ScopeMismatch::Asymmetric,
        })
    }

    /// The region of its name, or else its partition's global one.
    pub fn home(&self) -> &'c str {
        let global = self.catalogue.partitions.get(self.partition).map_or("", |partition| partition.global_region);
        self.region.map_or(global, |region| region.name)
    }

    /// Does it serve what is in any region of its partition, each call signed for that region?
    pub(super) fn is_of_any_region(&self) -> bool {
        self.forms().any(|form| matches!(form.signing_region, SigningRegion::Any))
    }

    /// What the names of its partition's hosts end with: `amazonaws.com`.
    pub(super) fn suffix(&self) -> Option<&'c str> {
        self.catalogue.suffix_of(self.partition)
    }

    /// One claim for each name that requests to this host are signed with: for calls that say nothing of that.
    pub fn claims(&self) -> impl Iterator<Item = Claim<'c, '_>> {
        let first = |form: &&Form| {
            self.forms().find(|other| other.signing_name == form.signing_name).is_some_and(|at| std::ptr::eq(at, *form))
        };
        self.forms().filter(first).filter_map(|form| {
            let service = self.service_of(form)?;
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
        self.forms.iter().filter(|form| form.prefix == self.prefix && form.places & self.place != 0)
    }

    fn service_of(&self, form: &Form) -> Option<&'c Service> {
        self.catalogue.services.get(usize::from(form.service))
    }

    /// The region that is signed for at hosts of this form, where `claimed` is what a client signed for; none for `SigV4A`.
    fn signing_region(&self, form: &Form, claimed: &str) -> Option<&'c str> {
        let global = self.catalogue.partitions.get(self.partition).map_or("", |partition| partition.global_region);
        match form.signing_region {
            SigningRegion::Any => {
                let known = self.catalogue.labels.region(claimed).filter(|region| region.partition == self.partition);
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
            .filter_map(|form| self.host.service_of(form))
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
/// The endpoint's own first label is the last one that begins so, whatever labels a bucket's name has. At a VPC endpoint
/// two more are its own: `bucket.vpce-1a2b-3c4d.s3.eu-west-1.vpce.amazonaws.com`.
pub fn bucket_in(host: &str) -> Option<&str> {
    let is_s3 = |label: &str| label == "s3" || label.starts_with("s3-");
    let own = host
        .rmatch_indices('.')
        .map(|(at, _)| at + 1)
        .find(|&at| host.get(at..).and_then(|rest| rest.split('.').next()).is_some_and(is_s3))?;
    let before = host.get(..own - 1)?;
    let bucket = match host.get(own..)?.split('.').nth(2) {
        Some("vpce") => before.rsplit_once('.')?.0.rsplit_once('.')?.0,
        _ => before,
    };
    Some(bucket).filter(|bucket| !bucket.is_empty())
}

/// The name that the certificate of `host` (in lower case) is for.
///
/// A wildcard stands for one label, so S3 has no certificate for a bucket whose name has dots. Which bucket is meant it
/// reads from the Host header, and at the endpoint itself it has one for it.
pub fn certificate_name(host: &str) -> &str {
    let has_endpoint = |known: &Host<'_>| {
        // The aliases of access points for several regions have a dot, and certificates.
        known.prefix == Prefix::Bucket && !known.forms().any(|form| matches!(form.signing_region, SigningRegion::Set))
    };
    let dotted = bucket_in(host).filter(|bucket| bucket.contains('.'));
    let endpoint = dotted.filter(|_| Catalogue::embedded().host(host).as_ref().is_some_and(has_endpoint));
    endpoint.and_then(|bucket| host.get(bucket.len() + 1..)).unwrap_or(host)
}

/// The longest name that DNS has (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 253;

/// What the bytes of host names are in lower case; 0 where they are of no host name.
#[expect(clippy::indexing_slicing, reason = "worked out by the compiler, which refuses what is out of bounds")]
const LOWER_CASE: [u8; 256] = {
    let mut table = [0; 256];
    let names = b"abcdefghijklmnopqrstuvwxyz0123456789-_.";
    let mut at = 0;
    while at < names.len() {
        table[names[at] as usize] = names[at];
        table[names[at].to_ascii_uppercase() as usize] = names[at];
        at += 1;
    }
    table
};

/// A host name on the stack, so that a look-up costs no allocation.
struct Name {
    bytes: [u8; LONGEST_NAME],
    length: usize,
}

impl Name {
    /// A host name in lower case; none if it is no host name.
    fn lower_case(host: &str) -> Option<Self> {
        let mut name = Self { bytes: [0; LONGEST_NAME], length: host.len() };
        for (to, from) in name.bytes.get_mut(..host.len())?.iter_mut().zip(host.bytes()) {
            *to = LOWER_CASE.get(usize::from(from)).copied().filter(|byte| *byte != 0)?;
        }
        Some(name)
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

    /// Host, service, signing name, signing region, does it begin with what stands for a bucket, account.
    type Known = (&'static str, &'static str, &'static str, &'static str, bool, Option<&'static str>);

    fn assert_known(hosts: &[Known]) {
        for &(name, service, signs, region, bucket, account) in hosts {
            let host = host(name).unwrap_or_else(|| panic!("{name}"));
            assert!(host.services().any(|known| known.id.as_str() == service), "{name}");
            assert_eq!(host.names_bucket(), bucket, "{name}");
            assert_eq!(host.account().map(AccountId::as_str), account, "{name}");
            let claim = host.claim(signs, region).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((claim.signing_name(), claim.region()), (signs, region), "{name}");
        }
    }

    #[test]
    fn a_customers_name_may_stand_before_some_hosts() {
        assert_known(&[
            ("bucket.s3.amazonaws.com", "s3", "s3", "us-east-1", true, None),
            // A bucket is where it is, and the global endpoint takes the region that it is in.
            ("bucket.s3.amazonaws.com", "s3", "s3", "eu-central-1", true, None),
            ("s3.amazonaws.com", "s3", "s3", "ap-east-1", false, None),
            ("bucket.s3.eu-west-1.amazonaws.com", "s3", "s3", "eu-west-1", true, None),
            ("lambda.s3.us-east-1.amazonaws.com", "s3", "s3", "us-east-1", true, None),
            ("my.dotted.bucket.s3.eu-west-1.amazonaws.com", "s3", "s3", "eu-west-1", true, None),
            ("us-east-1.s3.eu-west-1.amazonaws.com", "s3", "s3", "eu-west-1", true, None),
            ("bucket.s3.dualstack.eu-west-1.amazonaws.com", "s3", "s3", "eu-west-1", true, None),
            ("bucket.s3-fips.us-east-1.amazonaws.com", "s3", "s3", "us-east-1", true, None),
            ("bucket.s3-eu-west-1.amazonaws.com", "s3", "s3", "eu-west-1", true, None),
            ("s3-eu-west-1.amazonaws.com", "s3", "s3", "eu-west-1", false, None),
            ("bucket.s3-accelerate.amazonaws.com", "s3", "s3", "us-east-1", true, None),
            ("bucket.s3.cn-north-1.amazonaws.com.cn", "s3", "s3", "cn-north-1", true, None),
            (
                "bucket--usw2-az1--x-s3.s3express-usw2-az1.us-west-2.amazonaws.com",
                "s3",
                "s3express",
                "us-west-2",
                true,
                None,
            ),
            (
                "point-123456789012.s3-accesspoint.us-east-1.amazonaws.com",
                "s3",
                "s3",
                "us-east-1",
                true,
                Some("123456789012"),
            ),
            (
                "point-123456789012.op-01234567890123456.s3-outposts.us-east-1.amazonaws.com",
                "s3",
                "s3-outposts",
                "us-east-1",
                true,
                Some("123456789012"),
            ),
            (
                "point-123456789012.s3-object-lambda.us-east-1.amazonaws.com",
                "s3",
                "s3-object-lambda",
                "us-east-1",
                true,
                Some("123456789012"),
            ),
            ("route.s3-object-lambda.us-east-1.amazonaws.com", "s3", "s3-object-lambda", "us-east-1", false, None),
            (
                "123456789012.s3-control.us-east-1.amazonaws.com",
                "s3control",
                "s3",
                "us-east-1",
                false,
                Some("123456789012"),
            ),
            ("abcdef.execute-api.us-east-1.amazonaws.com", "execute-api", "execute-api", "us-east-1", false, None),
            ("abcdef.lambda-url.us-east-1.on.aws", "lambda-url", "lambda", "us-east-1", false, None),
            ("abcdef.appsync-api.us-east-1.amazonaws.com", "appsync-api", "appsync", "us-east-1", false, None),
            ("search-orders-abc.us-east-1.es.amazonaws.com", "opensearch-domain", "es", "us-east-1", false, None),
            ("vpc-orders-abc.cn-north-1.es.amazonaws.com.cn", "opensearch-domain", "es", "cn-north-1", false, None),
            ("1tg2xu.us-east-1.aoss.amazonaws.com", "opensearch-collection", "aoss", "us-east-1", false, None),
            ("1tg2xu.aoss.us-east-1.on.aws", "opensearch-collection", "aoss", "us-east-1", false, None),
            (
                "123456789012.aoss-fips.us-east-1.on.aws",
                "opensearch-collection",
                "aoss",
                "us-east-1",
                false,
                Some("123456789012"),
            ),
            ("search-orders-abc.aos.us-east-1.on.aws", "opensearch-domain", "es", "us-east-1", false, None),
            ("bucket.s3-us-gov-west-1.amazonaws.com", "s3", "s3", "us-gov-west-1", true, None),
            ("s3-fips-us-gov-west-1.amazonaws.com", "s3", "s3", "us-gov-west-1", false, None),
            ("bucket.s3-fips-us-gov-west-1.amazonaws.com", "s3", "s3", "us-gov-west-1", true, None),
            (
                "streaming-rekognition.us-east-1.amazonaws.com",
                "rekognitionstreaming",
                "rekognition",
                "us-east-1",
                false,
                None,
            ),
            ("a1b2c3-ats.iot.us-east-1.amazonaws.com", "iot-data", "iotdata", "us-east-1", false, None),
            ("queue.amazonaws.com", "sqs", "sqs", "us-east-1", false, None),
            ("us-east-1.queue.amazonaws.com", "sqs", "sqs", "us-east-1", false, None),
            ("stream-logs.us-east-1.amazonaws.com", "logs", "logs", "us-east-1", false, None),
        ]);
    }

    #[test]
    fn vpc_endpoints_are_hosts_of_their_services() {
        assert_known(&[
            ("vpce-1a2b-3c4d.sqs.us-east-1.vpce.amazonaws.com", "sqs", "sqs", "us-east-1", false, None),
            ("vpce-1a2b-3c4d.api.ecr.us-east-1.vpce.amazonaws.com", "ecr", "ecr", "us-east-1", false, None),
            ("vpce-1a2b-3c4d.kms-fips.us-east-1.vpce.amazonaws.com", "kms", "kms", "us-east-1", false, None),
            (
                "vpce-1a2b-3c4d.s3vectors.us-east-1.vpce.amazonaws.com",
                "s3vectors",
                "s3vectors",
                "us-east-1",
                false,
                None,
            ),
            (
                "vpce-1a2b-3c4d.appsync-api.us-east-1.vpce.amazonaws.com",
                "appsync-api",
                "appsync",
                "us-east-1",
                false,
                None,
            ),
            ("vpce-1a2b-3c4d.sts.cn-north-1.vpce.amazonaws.com.cn", "sts", "sts", "cn-north-1", false, None),
            ("bucket.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com", "s3", "s3", "us-east-1", false, None),
            ("papers.bucket.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com", "s3", "s3", "us-east-1", true, None),
            (
                "x.y.bucket.vpce-1a2b-3c4d-us-east-1a.s3.us-east-1.vpce.amazonaws.com",
                "s3",
                "s3",
                "us-east-1",
                true,
                None,
            ),
            ("accesspoint.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com", "s3", "s3", "us-east-1", false, None),
            (
                "reports-s3alias.accesspoint.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com",
                "s3",
                "s3",
                "us-east-1",
                true,
                None,
            ),
            (
                "point-123456789012.accesspoint.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com",
                "s3",
                "s3",
                "us-east-1",
                true,
                Some("123456789012"),
            ),
            ("control.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com", "s3control", "s3", "us-east-1", false, None),
            (
                "123456789012.control.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com",
                "s3control",
                "s3",
                "us-east-1",
                false,
                Some("123456789012"),
            ),
            (
                "vpce-1a2b-3c4d-us-east-1a.monitoring.us-east-1.vpce.amazonaws.com",
                "cloudwatch",
                "monitoring",
                "us-east-1",
                false,
                None,
            ),
        ]);
    }

    #[test]
    fn some_hosts_are_signed_for_in_sets_of_regions() {
        for (name, signs) in [
            ("mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com", "s3"),
            ("abcde.veo.endpoint.events.amazonaws.com", "events"),
            ("123456789012.cloudfront-kvs.global.api.aws", "cloudfront-keyvaluestore"),
        ] {
            let host = host(name).unwrap_or_else(|| panic!("{name}"));
            assert!(host.claim(signs, "us-east-1").is_err(), "{name}");
            assert_eq!(host.claim_set(signs, |_| false).unwrap().signing_name(), signs, "{name}");
            assert!(host.claim_set("sts", |_| true).is_err(), "{name}");
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
            "ip-10-0-0-1.ec2.internal",
            // Some other company's service, behind a VPC endpoint.
            "vpce-1a2b-3c4d.vpce-svc-5e6f.us-east-1.vpce.amazonaws.com",
            "vpce-svc-5e6f.us-east-1.vpce.amazonaws.com",
            "vpce-svc-5e6f.sqs.us-east-1.vpce.amazonaws.com",
            "vpce-1a2b-3c4d.evil.us-east-1.vpce.amazonaws.com",
            "vpce-1a2b-3c4d.sqs.evil.vpce.amazonaws.com",
            "vpce-1a2b-3c4d.sqs.us-east-1.amazonaws.com",
            "vpce-1a2b-3c4d.sqs.us-east-1.vpce.api.aws",
            "vpce-1a2b-3c4d.sqs.us-east-1.vpce.amazonaws.com.evil.example",
            "vpce-1a2b-3c4d.sqs.us-east-1.vpce.evil-amazonaws.com",
            "vpce-.sqs.us-east-1.vpce.amazonaws.com",
            "evil.sqs.us-east-1.vpce.amazonaws.com",
            "evil.vpce-1a2b-3c4d.sqs.us-east-1.vpce.amazonaws.com",
            "{vpce}.sqs.us-east-1.vpce.amazonaws.com",
            "sqs.us-east-1.vpce.amazonaws.com",
            "evil.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com",
            "papers.control.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com",
            "bucket.vpce-svc-5e6f.s3.us-east-1.vpce.amazonaws.com",
            "papers.bucket.evil.s3.us-east-1.vpce.amazonaws.com",
            // For WebSockets alone, which nobody could look into.
            "abcdef.appsync-realtime-api.us-east-1.amazonaws.com",
            "a.b.aoss.us-east-1.on.aws",
            "abcdef.aoss.cn-north-1.on.aws",
            "a.b.us-east-1.es.amazonaws.com",
            // Whoever has a certificate of IoT's gets credentials of a role there.
            "c1a2b3.credentials.iot.us-east-1.amazonaws.com",
            "d111111abcdef8.cloudfront.net",
            "db.abcdefghijkl.us-east-1.rds.amazonaws.com",
            "bucket.s3-website-us-east-1.amazonaws.com",
            "bucket.s3-website.us-east-1.amazonaws.com",
            "x.s3.us-east-1.amazonaws.com",
            "bucket.s3.us-east-1.amazonaws.com.evil.example",
            "bucket.evil-s3.us-east-1.amazonaws.com",
            "bucket..s3.us-east-1.amazonaws.com",
            "bucket.s3.us-nowhere-1.amazonaws.com",
            "bucket.s3.cn-north-1.amazonaws.com",
            "bucket.s3express-usw2.us-west-2.amazonaws.com",
            "bucket.s3express-usw2-az1x.us-west-2.amazonaws.com",
            "point.s3-accesspoint.us-east-1.amazonaws.com",
            "-123456789012.s3-accesspoint.us-east-1.amazonaws.com",
            "point-123456789012.outpost.s3-outposts.us-east-1.amazonaws.com",
            "a.b.execute-api.us-east-1.amazonaws.com",
            "execute-api.us-nowhere-1.amazonaws.com",
            "a.b.lambda-url.us-east-1.on.aws",
            "abcdef.lambda-url.us-east-1.amazonaws.com",
            "abcdef.lambda-url.cn-north-1.on.aws",
            "on.aws",
            "us-east-1.on.aws",
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
            ("bucket.vpce-1a2b-3c4d.s3.eu-west-1.vpce.amazonaws.com", None),
            ("control.vpce-1a2b-3c4d.s3.eu-west-1.vpce.amazonaws.com", None),
            ("papers.bucket.vpce-1a2b-3c4d.s3.eu-west-1.vpce.amazonaws.com", Some("papers")),
            ("s3.bucket.vpce.bucket.vpce-1a2b-3c4d.s3.cn-north-1.vpce.amazonaws.com.cn", Some("s3.bucket.vpce")),
            ("vpce.s3.eu-west-1.amazonaws.com", Some("vpce")),
            ("sqs.us-east-1.amazonaws.com", None),
        ] {
            assert_eq!(bucket_in(host), bucket, "{host}");
        }
    }

    #[test]
    fn a_bucket_with_dots_is_behind_the_certificate_of_its_endpoint() {
        for (host, name) in [
            ("my.dotted.bucket.s3.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"),
            ("my.bucket.s3.amazonaws.com", "s3.amazonaws.com"),
            ("s3.bucket.s3.dualstack.eu-west-1.amazonaws.com", "s3.dualstack.eu-west-1.amazonaws.com"),
            ("my.bucket.s3-eu-west-1.amazonaws.com", "s3-eu-west-1.amazonaws.com"),
        ] {
            assert_eq!(certificate_name(host), name);
        }
        for host in [
            "bucket.s3.eu-west-1.amazonaws.com",
            "s3.eu-west-1.amazonaws.com",
            "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com",
            "point-123456789012.op-01234567890123456.s3-outposts.us-east-1.amazonaws.com",
            "sqs.us-east-1.amazonaws.com",
            "my.bucket.s3.evil.example",
        ] {
            assert_eq!(certificate_name(host), host);
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
        for region in ["cn-north-1", "us-nowhere-1", ""] {
            let global = super::tests::host("s3.amazonaws.com").unwrap();
            assert_eq!(global.claim("s3", region).unwrap_err(), ScopeMismatch::Region { expected: "us-east-1".into() });
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
