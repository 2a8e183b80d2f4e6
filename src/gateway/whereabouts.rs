//! Where is the bucket? SigV2 names no region, and at a host that serves buckets of all regions nothing else does: so S3 is
//! asked before such a call is signed anew, and the call goes where its bucket is.
//!
//! Only for a call that may go: nobody without a key and a grant makes us ask. Each bucket is asked for once, for all who
//! wait for it, few buckets at a time, and fewer still for one address, so that who makes up buckets holds up nobody else;
//! answers are kept for a while. If none is to be had, the call goes as it came, signed for us-east-1: right for every
//! bucket there, and of another S3 says itself where it is.

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::{HeaderValue, Method, Request, header, request::Parts};
use quick_cache::sync::{Cache, EntryAction, EntryResult};
use tokio::time::{Instant, timeout};

use super::{
    Deps,
    authorize::Permitted,
    body::RequestBody,
    intercept::{Intercepted, Target},
    ledger::Ledger,
    room::Room,
    upstream::{CallError, CloudResponse, causes, in_origin_form},
    verify::Proof,
};
use crate::{cloud::aws, sigv4::Algorithm};

/// Buckets that are remembered, in some hundred bytes each.
const BUCKETS: usize = 4096;

/// So many calls ask, or wait for one that does, at one time; a quarter of them from one address.
const PLACES: usize = 16;

/// For S3's answer, which takes tenths of a second with all that it needs.
const PATIENCE: Duration = Duration::from_secs(2);

/// For a call in all, others that ask before it included.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// A bucket moves only by being deleted and made anew, which AWS lets its name rest for.
const GOOD_FOR: Duration = Duration::from_mins(10);

/// How long it is not asked again where nothing could be learnt: a bucket may be made any moment.
const VAIN_FOR: Duration = Duration::from_secs(10);

/// What S3 has told of buckets.
pub(super) struct Whereabouts {
    known: Cache<String, Answer>,
    places: Room,
}

#[derive(Clone, Copy)]
struct Answer {
    /// None if it told none that can be.
    region: Option<&'static str>,
    until: Instant,
}

/// The question that has to be asked before `permitted` can be signed; none for nearly all calls.
pub(super) fn question(target: &Target, permitted: &Permitted<'_>, parts: &Parts) -> Option<String> {
    let Proof::Signature(signature) = &permitted.proof else { return None };
    match signature.claim().scope.algorithm() {
        Algorithm::EcdsaP256 | Algorithm::HmacSha256 => None,
        Algorithm::HmacSha1 => target.host.asks_where(&target.name, parts.uri.path(), &permitted.call),
    }
}

/// Has `permitted` signed for the region that the answer to `question` tells, and sent there: to the host that is given
/// back, if it is another than `connection`'s.
pub(super) async fn locate<'t>(
    deps: &Deps,
    connection: &'t Intercepted,
    question: &str,
    permitted: &mut Permitted<'t>,
    parts: &mut Parts,
    ledger: &mut Ledger,
) -> Option<Arc<str>> {
    let target = &connection.target;
    let ask = ask(deps, connection, question);
    let region = deps.whereabouts.region(question, connection.accepted.address, ask).await?;
    // Of the same partition, as the host's is the only one that its calls may be signed for.
    let scope = target.host.claim(permitted.scope.signing_name(), region).ok()?;
    let elsewhere = if region == target.host.home() { None } else { target.host.in_region(&target.name, region) };
    let elsewhere = elsewhere.filter(|name| deps.catalogue.host(name).is_some_and(|host| host.is_s3()));
    if let Some(name) = &elsewhere {
        parts.headers.insert(header::HOST, HeaderValue::from_str(name).ok()?);
    }
    permitted.scope = scope;
    let elsewhere = elsewhere.map(Arc::from);
    ledger.goes_to(region, elsewhere.as_ref());
    elsewhere
}

impl Whereabouts {
    pub(super) fn new() -> Self {
        Self { known: Cache::new(BUCKETS), places: Room::new(PLACES, 1) }
    }

    /// The region that is known for `question`, or that `ask` brings back for `client`. If several want to know, one asks;
    /// if that one goes away, the next.
    async fn region(
        &self,
        question: &str,
        client: IpAddr,
        ask: impl Future<Output = Option<&'static str>>,
    ) -> Option<&'static str> {
        if let Some(answer) = self.known.get(question).filter(Answer::holds) {
            return answer.region;
        }
        let learn = async {
            // Before anybody waits for what this one learns: an address without a place makes no others wait for it.
            let _place = self.places.take(client, 1).await?;
            let keep = |_: &String, answer: &mut Answer| {
                if answer.holds() { EntryAction::Retain(answer.region) } else { EntryAction::ReplaceWithGuard }
            };
            match self.known.entry_async(question, keep).await {
                EntryResult::Retained(region) => region,
                EntryResult::Vacant(place) | EntryResult::Replaced(place, _) => {
                    let region = timeout(PATIENCE, ask).await.unwrap_or_else(|_| {
                        tracing::info!(question, "S3 does not say in time where a bucket is");
                        None
                    });
                    let until = Instant::now() + if region.is_some() { GOOD_FOR } else { VAIN_FOR };
                    // An error means that it was forgotten meanwhile that this is asked for.
                    let _ = place.insert(Answer { region, until });
                    region
                }
                EntryResult::Removed(..) | EntryResult::Timeout => None,
            }
        };
        timeout(LONGEST_WAIT, learn).await.ok().flatten()
    }
}

impl Answer {
    fn holds(&self) -> bool {
        Instant::now() < self.until
    }
}

/// Asks S3. What it tells counts if calls at the host of `connection` may be signed for it.
async fn ask(deps: &Deps, connection: &Intercepted, question: &str) -> Option<&'static str> {
    let answer = send(deps, connection, question).await;
    let answer = answer.inspect_err(|error| {
        let error = causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
        tracing::info!(error, question, "S3 can't be asked where a bucket is");
    });
    let answer = answer.ok()?;
    let scope = connection.target.host.claim("s3", aws::region_told(answer.headers())?);
    scope.map(|scope| scope.region()).ok()
}

/// Sends it the way that clients' calls go, without a signature: who asks has no bearing on the answer.
async fn send(deps: &Deps, connection: &Intercepted, question: &str) -> Result<CloudResponse, CallError> {
    let mut request = Request::new(RequestBody::Own(None));
    *request.method_mut() = Method::HEAD;
    *request.uri_mut() = question.parse().map_err(|_| CallError::NoHost)?;
    let host: Arc<str> = request.uri().host().ok_or(CallError::NoHost)?.into();
    request.headers_mut().insert(header::HOST, HeaderValue::from_str(&host).map_err(|_| CallError::NoHost)?);
    in_origin_form(request.uri_mut());
    let live = deps.live.load_full();
    live.upstream.call(&live.upstream.pool(&host), connection.accepted.thread, request).await
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        net::Ipv4Addr,
    };

    use tokio::task::JoinSet;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn it_remembers_so_many_and_no_more() {
        let whereabouts = Whereabouts::new();
        for bucket in 0..3 * BUCKETS {
            let told = whereabouts.region(&bucket.to_string(), HERE, ready(Some("eu-west-1"))).await;
            assert_eq!(told, Some("eu-west-1"));
        }
        assert!((BUCKETS / 2..=BUCKETS).contains(&whereabouts.known.len()), "{}", whereabouts.known.len());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_longer_than_is_said() {
        let (whereabouts, start, mut asking) = (Arc::new(Whereabouts::new()), Instant::now(), JoinSet::new());
        // As many as are asked for at a time, one that waits for its turn, and one that wants to know the same as the first.
        for (nth, bucket) in (0..=PLACES).chain([0]).enumerate() {
            let whereabouts = Arc::clone(&whereabouts);
            let client = Ipv4Addr::from_bits(u32::try_from(nth).unwrap()).into();
            asking.spawn(async move {
                assert_eq!(whereabouts.region(&bucket.to_string(), client, pending()).await, None);
                (bucket, start.elapsed())
            });
        }
        for (bucket, waited) in asking.join_all().await {
            let limit = if bucket == PLACES { LONGEST_WAIT } else { PATIENCE };
            assert!(waited < limit + Duration::from_millis(10), "{bucket}: {waited:?}");
        }
        // Of the one that had no turn nothing is known, not even that nothing can be learnt; of the others that much.
        let told = async |bucket: usize| whereabouts.region(&bucket.to_string(), HERE, ready(Some("eu-west-1"))).await;
        assert_eq!((told(PLACES).await, told(0).await), (Some("eu-west-1"), None));
        tokio::time::advance(VAIN_FOR).await;
        assert_eq!(told(0).await, Some("eu-west-1"));
        tokio::time::advance(GOOD_FOR).await;
        assert_eq!(whereabouts.region("0", HERE, ready(Some("us-west-2"))).await, Some("us-west-2"));
    }
}
