//! The catalogue of AWS's services, read once from the generated `assets/aws/catalogue.tsv`.
//!
//! It is compressed in the executable. Services and hosts are read at the start, a service's operations when it is first
//! called.
//!
//! One fact a line, fields parted by tabs, places by spaces:
//!
//! | line | fields |
//! | --- | --- |
//! | `botocore` | the version whose models it was made from |
//! | `partition` | id, DNS suffix, dual-stack suffix, global region, regions |
//! | `domain` | a DNS suffix of hosts that lie under none of the partitions' |
//! | `service` | botocore's id, category, name, a line about it; the lines below belong to it up to the next one |
//! | `protocol` | wire protocols accepted, the SDKs' own first |
//! | `path` | `once`: the canonical path is encoded once and not normalised (S3) |
//! | `h2` | `yes`: its SDKs speak HTTP/2 with it, for streams both ways at least |
//! | `sigv4a` | `yes`: SigV4A is taken for it, at some host at least |
//! | `target` | prefix of `X-Amz-Target` |
//! | `xml` | API version, XML namespace of its answers (`-` where the model tells none) |
//! | `host` | template, signing name, signing region (`=` the host's own, `*` the partition's global one, `?` any, `~` SigV4A's region sets), places: partitions, regions, or `*` for all |
//! | `op` | operation, what is remarkable about it, and for REST: method, path template, and what else must hold |
//!
//! Of an operation that creates something it is remarkable where its request says the name (`name=`, or `also=` where it
//! may be left out; `creation::place` tells how that is written), or that it does not (`untold`).

use std::{
    collections::BTreeSet,
    io::Read,
    sync::{LazyLock, OnceLock},
};

use flate2::read::DeflateDecoder;

use super::{
    host::{Form, Prefix, SigningRegion},
    labels::Labels,
    operations::Operations,
};
use crate::model::{Operation, ServiceId};

/// AWS as the gateway knows it.
#[derive(Debug)]
pub struct Catalogue {
    /// The botocore release that the data was made from.
    pub botocore: &'static str,
    pub(super) partitions: Vec<Partition>,
    pub(super) suffixes: Vec<Suffix>,
    pub(super) services: Vec<Service>,
    pub(super) labels: Labels,
    regions: Vec<Region>,
    /// DNS suffixes of hosts that lie under none of the partitions'.
    domains: Vec<&'static str>,
}

/// A service of AWS.
#[derive(Debug)]
pub struct Service {
    /// botocore's id: `dynamodb`.
    pub id: ServiceId,
    /// What it is listed under: `database`.
    pub category: &'static str,
    /// The name people use: `DynamoDB`.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// The protocols it is spoken to in; the first is what SDKs use.
    pub protocols: Vec<Protocol>,
    /// Is `SigV4A` taken for it, at some of its hosts at least?
    pub takes_sigv4a: bool,
    pub(super) h2: bool,
    pub(super) path_once: bool,
    pub(super) target: Option<&'static str>,
    pub(super) api_version: Option<&'static str>,
    pub(super) xml_namespace: Option<&'static str>,
    /// Its operations as the catalogue has them, and once they were needed, as a table.
    lines: &'static str,
    operations: OnceLock<Operations>,
}

/// How a service is spoken to, and how it words its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Smithy RPC v2 with CBOR.
    Cbor,
    /// EC2's variant of the query protocol.
    Ec2,
    /// AWS JSON 1.0.
    Json10,
    /// AWS JSON 1.1.
    Json11,
    /// Forms in, XML out.
    Query,
    /// Paths and methods, JSON bodies.
    RestJson,
    /// Paths and methods, XML bodies.
    RestXml,
}

/// A part of AWS that shares nothing with the others.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) id: &'static str,
    pub(super) global_region: &'static str,
}

/// What hosts of partitions end with.
#[derive(Debug)]
pub(super) struct Suffix {
    pub(super) text: &'static str,
    /// What templates call it: `{dns}`, or `{dual}` for dual stack.
    pub(super) label: &'static str,
    /// Whose it is, one bit a partition.
    pub(super) partitions: u128,
}

/// A region: its place in the bit sets of [`Form`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub(super) name: &'static str,
    pub(super) index: u32,
    pub(super) partition: usize,
}

/// A line of the data can't be read: the generator and this reader disagree.
#[derive(Debug, thiserror::Error)]
#[error("catalogue line {line}: {what}")]
pub struct CatalogueError {
    line: usize,
    what: &'static str,
}

/// All that the executable has of it.
static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/catalogue.tsv.deflate"));

static EMBEDDED: LazyLock<Catalogue> = LazyLock::new(|| {
    let mut text = String::with_capacity(PACKED.len() * 8);
    let unpacked = DeflateDecoder::new(PACKED).read_to_string(&mut text).ok().map(|_| text);
    #[expect(clippy::expect_used, reason = "the data is part of the program, and a test reads it")]
    Catalogue::parse(unpacked.expect("the embedded catalogue is whole").leak()).expect("the catalogue is readable")
});

impl Catalogue {
    /// The catalogue that was built in.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// Every service, sorted by id.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The service with botocore's id `id`.
    pub fn service(&self, id: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.id.as_str() == id)
    }

    /// The global region of a partition, and what its hosts end with.
    pub fn partition(&self, id: &str) -> Option<(&'static str, &'static str)> {
        let place = self.partitions.iter().position(|partition| partition.id == id)?;
        Some((self.partitions.get(place)?.global_region, self.suffix_of(place)?))
    }

    /// What the hosts of the partition at `place` end with: `amazonaws.com`.
    pub(super) fn suffix_of(&self, place: usize) -> Option<&'static str> {
        let mut suffixes = self.suffixes.iter().filter(|suffix| suffix.partitions >> place & 1 == 1);
        suffixes.find(|suffix| suffix.label == "{dns}").map(|suffix| suffix.text)
    }

    /// The DNS suffixes under which all of its hosts lie: what the CA may vouch for.
    pub fn permitted_domains(&self) -> Vec<&'static str> {
        let suffixes = self.suffixes.iter().map(|suffix| suffix.text);
        let all: BTreeSet<_> = suffixes.chain(self.domains.iter().copied()).collect();
        all.into_iter().collect()
    }

    pub(super) fn parse(text: &'static str) -> Result<Self, CatalogueError> {
        let mut catalogue = Self {
            botocore: "",
            partitions: Vec::new(),
            suffixes: Vec::new(),
            services: Vec::new(),
            labels: Labels::default(),
            regions: Vec::new(),
            domains: Vec::new(),
        };
        let (mut operations, mut end) = (0, 0);
        for (number, line) in text.split_inclusive('\n').enumerate() {
            end += line.len();
            if line.starts_with("op\t") {
                let service = catalogue.services.last_mut();
                let service =
                    service.ok_or(CatalogueError { line: number + 1, what: "a detail before any service" })?;
                service.lines = text.get(operations..end).unwrap_or_default();
                continue;
            }
            operations = end;
            let line = line.trim_end_matches('\n');
            if line.starts_with('#') {
                continue;
            }
            let mut fields = line.split('\t');
            let kind = fields.next().unwrap_or_default();
            catalogue.take(kind, &mut fields).map_err(|what| CatalogueError { line: number + 1, what })?;
            if fields.next().is_some() {
                return Err(CatalogueError { line: number + 1, what: "too many fields" });
            }
        }
        Ok(catalogue)
    }

    fn take(&mut self, kind: &str, fields: &mut Fields) -> Result<(), &'static str> {
        match kind {
            "botocore" => self.botocore = next(fields)?,
            "domain" => self.domains.push(next(fields)?),
            "partition" => self.take_partition(fields)?,
            "service" => {
                let id = ServiceId::new(next(fields)?).map_err(|_| "not a service id")?;
                self.services.push(Service::new(id, next(fields)?, next(fields)?, next(fields)?));
            }
            "host" => {
                let service = self.services.len().checked_sub(1).ok_or("a host before any service")?;
                let service = u16::try_from(service).map_err(|_| "too many services")?;
                let (template, form) = self.form(service, fields)?;
                self.labels.add(template, form)?;
            }
            _ => self.services.last_mut().ok_or("a detail before any service")?.take(kind, fields)?,
        }
        Ok(())
    }

    fn take_partition(&mut self, fields: &mut Fields) -> Result<(), &'static str> {
        let (partition, id) = (self.partitions.len(), next(fields)?);
        for label in ["{dns}", "{dual}"] {
            let text = next(fields)?;
            let bit = u32::try_from(partition).ok().and_then(|shift| 1_u128.checked_shl(shift));
            let bit = bit.ok_or("more partitions than a bit set holds")?;
            match self.suffixes.iter_mut().find(|known| (known.label, known.text) == (label, text)) {
                Some(known) => known.partitions |= bit,
                None => self.suffixes.push(Suffix { text, label, partitions: bit }),
            }
        }
        self.partitions.push(Partition { id, global_region: next(fields)? });
        for name in next(fields)?.split(' ') {
            let index = u32::try_from(self.regions.len()).ok().filter(|index| *index < u128::BITS);
            let region = Region { name, index: index.ok_or("more regions than a bit set holds")?, partition };
            self.regions.push(region);
            self.labels.add_region(region);
        }
        Ok(())
    }

    fn form(&self, service: u16, fields: &mut Fields) -> Result<(&'static str, Form), &'static str> {
        let template = next(fields)?;
        let (prefix, rest) = Prefix::split(template);
        let signing_name = next(fields)?;
        let signing_region = match next(fields)? {
            "?" => SigningRegion::Any,
            "~" => SigningRegion::Set,
            "=" => SigningRegion::OfHost,
            "*" => SigningRegion::Global,
            region => SigningRegion::Fixed(region),
        };
        let regional = template.contains("{region}");
        let mut places = 0_u128;
        for place in next(fields)?.split(' ') {
            if let Some(region) = self.labels.region(place) {
                places |= 1 << region.index;
            } else if regional {
                let inside =
                    |at: &&Region| place == "*" || self.partitions.get(at.partition).is_some_and(|p| p.id == place);
                places |= self.regions.iter().filter(inside).fold(0, |set, region| set | 1 << region.index);
            } else {
                let named = |(_, partition): &(usize, &Partition)| place == "*" || partition.id == place;
                places |= self.partitions.iter().enumerate().filter(named).fold(0, |set, (index, _)| set | 1 << index);
            }
        }
        if places == 0 {
            return Err("a host without a place");
        }
        Ok((rest, Form { service, prefix, signing_name, signing_region, places }))
    }
}

impl Service {
    fn new(id: ServiceId, category: &'static str, name: &'static str, about: &'static str) -> Self {
        Self {
            id,
            category,
            name,
            about,
            protocols: Vec::new(),
            takes_sigv4a: false,
            h2: false,
            path_once: false,
            target: None,
            api_version: None,
            xml_namespace: None,
            lines: "",
            operations: OnceLock::new(),
        }
    }

    /// Does its canonical path stay as the client wrote it (S3), instead of being normalised and encoded again?
    pub const fn path_is_encoded_once(&self) -> bool {
        self.path_once
    }

    /// Does `Action` name its operations, as one of its protocols has it?
    pub(super) fn speaks_query(&self) -> bool {
        self.protocols.iter().any(|protocol| protocol.is_query())
    }

    /// Its operation `name`, if it has one of that name.
    pub fn operation(&self, name: &str) -> Option<Operation> {
        self.table().named(name)
    }

    /// All of its operations, sorted by name.
    pub fn operations(&self) -> impl Iterator<Item = Operation> {
        self.table().all()
    }

    /// Lines that can't be read name no operation, so that all is refused; a test reads them all.
    pub(super) fn table(&self) -> &Operations {
        self.operations.get_or_init(|| Operations::parse(self.lines).unwrap_or_default())
    }

    fn take(&mut self, kind: &str, fields: &mut Fields) -> Result<(), &'static str> {
        match kind {
            "protocol" => {
                self.protocols = fields.map(Protocol::from_name).collect::<Option<_>>().ok_or("unknown protocol")?;
            }
            "h2" => self.h2 = next(fields)? == "yes",
            "path" => self.path_once = next(fields)? == "once",
            "sigv4a" => self.takes_sigv4a = next(fields)? == "yes",
            "target" => self.target = Some(next(fields)?),
            "xml" => {
                self.api_version = Some(next(fields)?);
                self.xml_namespace = Some(next(fields)?).filter(|uri| *uri != "-");
            }
            _ => return Err("unknown kind of line"),
        }
        Ok(())
    }
}

impl Protocol {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "cbor" => Self::Cbor,
            "ec2" => Self::Ec2,
            "json-1.0" => Self::Json10,
            "json-1.1" => Self::Json11,
            "query" => Self::Query,
            "rest-json" => Self::RestJson,
            "rest-xml" => Self::RestXml,
            _ => return None,
        })
    }

    /// AWS JSON, either version.
    pub const fn is_json_rpc(self) -> bool {
        matches!(self, Self::Json10 | Self::Json11)
    }

    /// Method and path name the operation.
    pub const fn is_rest(self) -> bool {
        matches!(self, Self::RestJson | Self::RestXml)
    }

    /// `Action` names the operation.
    pub const fn is_query(self) -> bool {
        matches!(self, Self::Query | Self::Ec2)
    }
}

type Fields = std::str::Split<'static, char>;

fn next(fields: &mut Fields) -> Result<&'static str, &'static str> {
    fields.next().ok_or("too few fields")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Auth;

    #[test]
    fn it_is_small_in_the_executable() {
        assert!(PACKED.len() < 300_000, "{} bytes", PACKED.len());
    }

    #[test]
    fn the_embedded_catalogue_is_whole() {
        let catalogue = Catalogue::embedded();
        assert!(catalogue.services().len() > 430);
        for service in catalogue.services() {
            let operations = Operations::parse(service.lines).unwrap_or_else(|what| panic!("{}: {what}", service.id));
            assert!(!service.protocols.is_empty() && operations.all().count() > 0, "{}", service.id);
            assert!(!service.name.is_empty() && service.about.ends_with('.'), "{}", service.id);
        }
        assert_eq!(catalogue.service("ses").unwrap().name, "Simple Email Service (SES)");
        let domains = catalogue.permitted_domains();
        assert!(domains.contains(&"amazonaws.com") && domains.contains(&"api.aws"), "{domains:?}");
    }

    /// credentials.tsv says which; what matters most stands here too.
    #[test]
    fn credential_operations_are_known() {
        let hands_out = |name: &str| {
            let (service, operation) = name.split_once(':').unwrap();
            let found = Catalogue::embedded().service(service).unwrap().operation(operation);
            found.unwrap_or_else(|| panic!("{name}")).hands_out_credentials
        };
        for name in [
            "codeartifact:GetAuthorizationToken",
            "cognito-identity:GetCredentialsForIdentity",
            "ec2:CreateKeyPair",
            "ec2:GetPasswordData",
            "ecr:GetAuthorizationToken",
            "iam:CreateAccessKey",
            "iam:CreateLoginProfile",
            "lightsail:CreateBucketAccessKey",
            "lightsail:GetBucketAccessKeys",
            "redshift:GetClusterCredentials",
            "redshift:GetClusterCredentialsWithIAM",
            "s3:CreateSession",
            "ssm:StartSession",
            "sso:GetRoleCredentials",
            "sts:AssumeRole",
            "sts:AssumeRoleWithSAML",
            "sts:AssumeRoleWithWebIdentity",
            "sts:GetFederationToken",
            "sts:GetSessionToken",
        ] {
            assert!(hands_out(name), "{name}");
        }
        for name in
            ["sts:GetCallerIdentity", "redshift:DescribeClusters", "fsx:DescribeFileSystems", "s3:ListObjectsV2"]
        {
            assert!(!hands_out(name), "{name}");
        }
        let judged =
            include_str!("../../../assets/aws/credentials.tsv").lines().filter(|line| line.contains("\tyes\t"));
        let services = Catalogue::embedded().services().iter();
        let all = services.flat_map(Service::operations).filter(|operation| operation.hands_out_credentials).count();
        assert_eq!(all, judged.count(), "each was looked at");
    }

    #[test]
    fn what_is_remarkable_about_operations_is_known() {
        let operation = |service, name| Catalogue::embedded().service(service).unwrap().operation(name).unwrap();
        assert_eq!(operation("cognito-idp", "SignUp").auth, Auth::Unsigned);
        assert_eq!(operation("codecatalyst", "ListSpaces").auth, Auth::Bearer);
        assert_eq!(operation("bedrock-runtime", "Converse").auth, Auth::SignedOrBearer);
        assert_eq!(operation("dynamodb", "GetItem").auth, Auth::Signed);
        assert!(operation("bedrock-runtime", "ConverseStream").answers_events);
        let both = operation("bedrock-runtime", "InvokeModelWithBidirectionalStream");
        assert!(both.sends_events && both.answers_events);
        let speaks_h2 = |host| Catalogue::embedded().host(host).unwrap().speaks_h2();
        assert!(
            speaks_h2("transcribestreaming.us-east-1.amazonaws.com") && speaks_h2("kinesis.us-east-1.amazonaws.com")
        );
        assert!(!speaks_h2("transcribe.us-east-1.amazonaws.com") && !speaks_h2("s3.amazonaws.com"));
        let takes_sigv4a = |id| Catalogue::embedded().service(id).unwrap().takes_sigv4a;
        assert!(takes_sigv4a("s3") && takes_sigv4a("events") && !takes_sigv4a("dynamodb"));
    }

    #[test]
    fn a_line_that_makes_no_sense_is_told_by_number() {
        for (text, line) in [
            ("op\tA\t-", 1),
            ("service\ta\tc\tA\tB.\nop\tA\t-\nnonsense\tx", 3),
            ("service\ta\tc\tA\tB.\nnonsense\tx", 2),
            ("service\ta\tc\tA\tB.\nprotocol\tsoap", 2),
            ("service\ta\tc\tA\tB.\textra", 1),
            ("service\ta\tc\tA\tB.\nhost\ta.{dns}\ta\t=\tnowhere", 2),
            ("partition\tp\ta.b\tc.d\tr-1\tr-1\nservice\ta\tc\tA\tB.\nhost\ta.r-1.{dns}\ta\t=\tp", 3),
        ] {
            assert_eq!(Catalogue::parse(text).unwrap_err().line, line, "{text}");
        }
    }
}
