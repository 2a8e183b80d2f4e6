//! Lists of access requests: which there are, who sees what in them, in which order they come.
//!
//! A page is read from the index, entry by entry, so that it costs what it shows however many requests there are.

use std::{collections::BTreeSet, ops::ControlFlow};

use super::{
    super::{Caller, Error, Page, PageRequest, Transaction, caller::sees_environment, settings},
    AccessRequestView, sees, view,
};
use crate::{
    clock::Timestamp,
    model::{
        AccessRequest, AccessRequestId, CredentialId, EnvironmentId, Permission, PolicyGroupId, ServiceId, Status,
        UserName,
    },
    store::{
        self, Key, Order, Read, Reader, Span, Table,
        tables::{
            access_requests::{
                ACCESS_REQUEST_INDEX, ACCESS_REQUESTS, Facet, IndexKey, LIVING_BY_CREDENTIAL, LIVING_BY_POLICY_GROUP,
                PENDING,
            },
            environments::ENVIRONMENTS,
        },
    },
};

/// Which access requests; all that is given must fit.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    /// In one of these states; in any if empty.
    pub statuses: BTreeSet<Status>,
    /// In this environment.
    pub environment: Option<EnvironmentId>,
    /// Made by this person.
    pub requested_by: Option<UserName>,
    /// For this service, among others.
    pub service: Option<ServiceId>,
}

/// A stretch of a list: what comes in one order. Its name begins the cursors that lie in it.
struct Part {
    name: &'static str,
    order: Order,
    statuses: &'static [Status],
}

const NEWEST_FIRST: [Part; 1] = [Part { name: "", order: Order::Descending, statuses: &Status::ALL }];

/// What waits longest is first; what is decided, only looked back at.
const QUEUE: [Part; 2] = [
    Part { name: "waiting.", order: Order::Ascending, statuses: &[Status::Pending] },
    Part {
        name: "decided.",
        order: Order::Descending,
        statuses: &[
            Status::Approved,
            Status::Active,
            Status::Denied,
            Status::Withdrawn,
            Status::Revoked,
            Status::Expired,
            Status::Archived,
        ],
    },
];

/// More than this are not counted to say that something is in use.
const COUNTED: usize = 100;

impl Caller {
    /// Everybody's access requests, the newest first: needs `access_requests.manage`, account-wide.
    pub fn all_access_requests(
        &self,
        filter: &RequestFilter,
        page: &PageRequest,
    ) -> Result<Page<AccessRequestView>, Error> {
        self.demand(Permission::AccessRequestsManage, None)?;
        self.access_requests(filter, page)
    }

    /// The access requests of an environment, the newest first: all of them for who may decide there, or the caller's.
    pub fn environment_access_requests(
        &self,
        environment: &EnvironmentId,
        filter: &RequestFilter,
        page: &PageRequest,
    ) -> Result<Page<AccessRequestView>, Error> {
        let exists = self.workflow.read()?.find(&ENVIRONMENTS, environment)?.is_some();
        if !exists || !sees_environment(&self.user, environment) {
            return Err(Error::NotFound("environment"));
        }
        self.access_requests(&RequestFilter { environment: Some(environment.clone()), ..filter.clone() }, page)
    }

    /// The access requests that the caller may see, wherever they are, the newest first.
    pub fn access_requests(
        &self,
        filter: &RequestFilter,
        page: &PageRequest,
    ) -> Result<Page<AccessRequestView>, Error> {
        self.list(&NEWEST_FIRST, &self.seen_facets(filter), filter, page, view)
    }

    /// The same without their keys: for whoever looks through many.
    pub fn plain_access_requests(
        &self,
        filter: &RequestFilter,
        page: &PageRequest,
    ) -> Result<Page<AccessRequest>, Error> {
        self.list(&NEWEST_FIRST, &self.seen_facets(filter), filter, page, |_, request, _| Ok(request))
    }

    /// The access that stands on a credential now, where the caller decides on access, the newest first.
    pub fn standing_on(&self, credential: &CredentialId, page: &PageRequest) -> Result<Page<AccessRequest>, Error> {
        self.living(&LIVING_BY_CREDENTIAL, credential, page)
    }

    /// The access that a policy group's rules hold for now, where the caller decides on access, the newest first.
    pub fn bound_by(&self, group: &PolicyGroupId, page: &PageRequest) -> Result<Page<AccessRequest>, Error> {
        self.living(&LIVING_BY_POLICY_GROUP, group, page)
    }

    fn living<I: Key + Clone>(
        &self,
        table: &Table<(I, AccessRequestId), EnvironmentId>,
        by: &I,
        page: &PageRequest,
    ) -> Result<Page<AccessRequest>, Error> {
        let key = |id: &str| Some((by.clone(), AccessRequestId::new(id).ok()?));
        let span = page.rest(Span::of(by), Order::Descending, key)?;
        let (reader, limit) = (self.workflow.read()?, page.limit.clamp(1, 1000));
        let mut ids = Vec::new();
        reader.visit(table, &span, Order::Descending, |(_, id), environment| {
            if self.user.may(Permission::AccessRequestsManage, Some(&environment)) {
                ids.push(id);
            }
            Ok::<_, Error>(if ids.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        let is_last = ids.len() <= limit;
        ids.truncate(limit);
        let next_cursor = ids.last().filter(|_| !is_last).map(ToString::to_string);
        let items = ids.iter().filter_map(|id| reader.find(&ACCESS_REQUESTS, id).transpose());
        Ok(Page { items: items.collect::<Result<_, _>>()?, next_cursor })
    }

    /// The access requests on which the caller may decide: those that wait, the oldest first, then all others, the
    /// newest first. Needs `access_requests.manage`, account-wide or in some environment, and tells of no other.
    pub fn access_request_queue(
        &self,
        filter: &RequestFilter,
        page: &PageRequest,
    ) -> Result<Page<AccessRequestView>, Error> {
        if !self.decides_somewhere() {
            return Err(Error::Forbidden { permission: Permission::AccessRequestsManage });
        }
        self.list(&QUEUE, &self.decided_facets(filter), filter, page, view)
    }

    /// How many access requests wait for a decision that the caller may make.
    pub fn waiting(&self) -> Result<usize, Error> {
        if !self.decides_somewhere() {
            return Ok(0);
        }
        let reader = self.workflow.read()?;
        let filter = RequestFilter::default();
        let (mut waiting, mut own) = (0, 0);
        for facet in self.decided_facets(&filter) {
            waiting += match &facet.environment {
                Some(environment) => reader.find(&PENDING, environment)?.unwrap_or(0),
                None => reader.all(&PENDING, &Span::all(), Order::Ascending)?.iter().map(|(_, count)| count).sum(),
            };
            let mine = Facet { requested_by: Some(self.user.name.clone()), ..facet };
            own += reader.all(&ACCESS_REQUEST_INDEX, &Span::of(&(mine, Status::Pending)), Order::Ascending)?.len();
        }
        let own = if settings::read(&reader)?.self_approval { 0 } else { own };
        Ok(usize::try_from(waiting).unwrap_or(usize::MAX).saturating_sub(own))
    }

    /// Does the caller decide on access requests, in whatever environment?
    pub fn decides_somewhere(&self) -> bool {
        self.user.roles.iter().any(|held| self.user.may(Permission::AccessRequestsManage, held.environment.as_ref()))
    }

    /// Does the caller ask for access, in whatever environment?
    pub fn asks_somewhere(&self) -> bool {
        self.user.roles.iter().any(|held| self.user.may(Permission::CloudServicesRequest, held.environment.as_ref()))
    }

    /// Where to look for what the caller may see.
    fn seen_facets(&self, filter: &RequestFilter) -> BTreeSet<Facet> {
        let mut facets = self.decided_facets(filter);
        if filter.requested_by.as_ref().is_none_or(|name| *name == self.user.name) {
            facets.insert(Facet { requested_by: Some(self.user.name.clone()), ..facet(filter) });
        }
        facets
    }

    /// Where to look for what the caller may decide on.
    fn decided_facets(&self, filter: &RequestFilter) -> BTreeSet<Facet> {
        if self.user.may(Permission::AccessRequestsManage, None) {
            return BTreeSet::from([facet(filter)]);
        }
        let places = self.user.roles.iter().filter_map(|held| held.environment.as_ref());
        places
            .filter(|&id| filter.environment.as_ref().is_none_or(|wanted| wanted == id))
            .filter(|&id| self.user.may(Permission::AccessRequestsManage, Some(id)))
            .map(|id| Facet { environment: Some(id.clone()), ..facet(filter) })
            .collect()
    }

    fn list<T>(
        &self,
        parts: &[Part],
        facets: &BTreeSet<Facet>,
        filter: &RequestFilter,
        page: &PageRequest,
        show: impl Fn(&Reader, AccessRequest, Timestamp) -> Result<T, Error>,
    ) -> Result<Page<T>, Error> {
        let (first, mut after) = begin(parts, page.cursor.as_deref())?;
        let (reader, now) = (self.workflow.read()?, self.workflow.0.clock.now());
        let limit = page.limit.clamp(1, 1000);
        let (mut items, mut last) = (Vec::new(), None);
        for part in parts.iter().skip(first) {
            let wanted = |status: &&Status| filter.statuses.is_empty() || filter.statuses.contains(*status);
            let statuses = part.statuses.iter().filter(wanted);
            let mut ids = Ids::new(&reader, part.order, facets, statuses, after.take().as_ref())?;
            while let Some(id) = ids.next()? {
                let found = reader.find(&ACCESS_REQUESTS, &id)?;
                // The index says what fits; who may see it is asked of the request itself.
                let Some(request) = found.filter(|request| sees(&self.user, request)) else { continue };
                if items.len() == limit {
                    return Ok(Page { items, next_cursor: last });
                }
                items.push(show(&reader, request, now)?);
                last = Some(format!("{}{id}", part.name));
            }
        }
        Ok(Page { items, next_cursor: None })
    }
}

fn facet(filter: &RequestFilter) -> Facet {
    Facet {
        environment: filter.environment.clone(),
        requested_by: filter.requested_by.clone(),
        service: filter.service.clone(),
    }
}

/// In which part a page begins, and after which request.
fn begin(parts: &[Part], cursor: Option<&str>) -> Result<(usize, Option<AccessRequestId>), Error> {
    let Some(cursor) = cursor else { return Ok((0, None)) };
    let found = parts.iter().enumerate().find_map(|(place, part)| {
        let id = AccessRequestId::new(cursor.strip_prefix(part.name)?).ok()?;
        Some((place, Some(id)))
    });
    found.ok_or_else(|| Error::invalid("cursor", "is not one that a list has returned"))
}

/// The ids of several runs of the index in one order, each once.
struct Ids<'r, R> {
    read: &'r R,
    order: Order,
    runs: Vec<Run>,
}

struct Run {
    of: (Facet, Status),
    next: Option<AccessRequestId>,
}

impl<'r, R: Read> Ids<'r, R> {
    fn new<'s>(
        read: &'r R,
        order: Order,
        facets: &BTreeSet<Facet>,
        statuses: impl Iterator<Item = &'s Status>,
        after: Option<&AccessRequestId>,
    ) -> Result<Self, Error> {
        let mut runs = Vec::new();
        for &status in statuses {
            for facet in facets {
                let of = (facet.clone(), status);
                let next = next(read, order, &of, after)?;
                runs.push(Run { of, next });
            }
        }
        Ok(Self { read, order, runs })
    }

    fn next(&mut self) -> Result<Option<AccessRequestId>, Error> {
        let heads = self.runs.iter().filter_map(|run| run.next.as_ref());
        let first = match self.order {
            Order::Ascending => heads.min(),
            Order::Descending => heads.max(),
        };
        let Some(id) = first.cloned() else { return Ok(None) };
        for run in self.runs.iter_mut().filter(|run| run.next.as_ref() == Some(&id)) {
            run.next = next(self.read, self.order, &run.of, Some(&id))?;
        }
        Ok(Some(id))
    }
}

/// The first id of a run, or the first after `after`.
fn next(
    read: &impl Read,
    order: Order,
    of: &(Facet, Status),
    after: Option<&AccessRequestId>,
) -> Result<Option<AccessRequestId>, store::Error> {
    let mut span: Span<IndexKey> = Span::of(of);
    if let Some(after) = after {
        let key = (of.clone(), after.clone());
        span = match order {
            Order::Ascending => span.after(&key),
            Order::Descending => span.before(&key),
        };
    }
    Ok(read.first(&ACCESS_REQUEST_INDEX, &span, order)?.map(|((_, id), ())| id))
}

/// Refuses to take away an environment in which access requests wait or live.
pub(in super::super) fn refuse_if_environment_in_use(tx: &Transaction<'_>, id: &EnvironmentId) -> Result<(), Error> {
    let facets = BTreeSet::from([Facet { environment: Some(id.clone()), ..Facet::default() }]);
    let statuses = [Status::Pending, Status::Approved, Status::Active];
    let mut ids = Ids::new(tx.writer, Order::Ascending, &facets, statuses.iter(), None)?;
    let mut count = 0;
    while count <= COUNTED && ids.next()?.is_some() {
        count += 1;
    }
    refuse_if_any("environment", count)
}

/// Refuses to take a credential away from living access: everywhere, or but for the environments `stays`.
pub(in super::super) fn refuse_if_credential_in_use(
    tx: &Transaction<'_>,
    id: &CredentialId,
    stays: &[EnvironmentId],
) -> Result<(), Error> {
    let mut count = 0;
    tx.writer.visit(&LIVING_BY_CREDENTIAL, &Span::of(id), Order::Ascending, |_, environment| {
        count += usize::from(!stays.contains(&environment));
        Ok::<_, Error>(if count <= COUNTED { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    refuse_if_any("credential", count)
}

/// Refuses to take a policy group away from living access: its calls would keep no rules, or go no more.
pub(in super::super) fn refuse_if_policy_group_in_use(tx: &Transaction<'_>, id: &PolicyGroupId) -> Result<(), Error> {
    refuse_if_any("policy group", bound(tx.writer, id)?)
}

/// How much access a policy group's rules hold for now; not counted beyond [`COUNTED`] and one.
pub(in super::super) fn bound(read: &impl Read, id: &PolicyGroupId) -> Result<usize, Error> {
    let mut count = 0;
    read.visit(&LIVING_BY_POLICY_GROUP, &Span::of(id), Order::Ascending, |_, _| {
        count += 1;
        Ok::<_, Error>(if count <= COUNTED { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(count)
}

fn refuse_if_any(what: &str, count: usize) -> Result<(), Error> {
    Err(Error::conflict(match count {
        0 => return Ok(()),
        1 => format!("the {what} is in use by an access request: end that first"),
        2..=COUNTED => format!("the {what} is in use by {count} access requests: end those first"),
        _ => format!("the {what} is in use by more than {COUNTED} access requests: end those first"),
    }))
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::fixture::{DAY, Fixture, env, submit, user, wish},
        *,
    };
    use crate::model::Role;

    /// Requests of dora and dan in dev and prod, for one service or two, at every status.
    fn filled() -> (Fixture, Vec<AccessRequest>) {
        let fixture = Fixture::furnished();
        let people = ["dora", "dan"].map(|name| fixture.person(name, &[(Role::Developer, None)]));
        for number in 0..64 {
            fixture.advance(DAY);
            let (who, place) = (&people[number % 2], ["dev", "prod"][number / 2 % 2]);
            let services: &[&str] = if number / 4 % 2 == 0 { &["dynamodb"] } else { &["dynamodb", "lambda"] };
            let made = who.requester(&env(place)).unwrap().submit(&wish(services, None)).unwrap();
            let mut request = made.request;
            request.status = Status::ALL[number / 8];
            fixture.workflow.commit(None, |tx| tx.put_request(&mut request)).unwrap();
        }
        let reader = fixture.workflow.read().unwrap();
        let all = reader.all(&ACCESS_REQUESTS, &Span::all(), Order::Ascending).unwrap();
        (fixture, all.into_iter().map(|(_, request)| request).collect())
    }

    fn filters() -> Vec<RequestFilter> {
        let statuses: [&[Status]; 4] =
            [&[], &[Status::Pending], &[Status::Approved, Status::Active], &[Status::Pending, Status::Archived]];
        let mut filters = Vec::new();
        for statuses in statuses {
            for environment in [None, Some(env("dev"))] {
                for requested_by in [None, Some(user("dora")), Some(user("nobody"))] {
                    for service in ["", "lambda", "dynamodb", "sts"].map(|id| ServiceId::new(id).ok()) {
                        filters.push(RequestFilter {
                            statuses: statuses.iter().copied().collect(),
                            environment: environment.clone(),
                            requested_by: requested_by.clone(),
                            service,
                        });
                    }
                }
            }
        }
        filters
    }

    fn walked(list: impl Fn(&PageRequest) -> Result<Page<AccessRequestView>, Error>) -> Vec<AccessRequestId> {
        let (mut page, mut ids) = (PageRequest { limit: 3, cursor: None }, Vec::new());
        loop {
            let part = list(&page).unwrap();
            assert!(part.items.len() <= 3);
            ids.extend(part.items.into_iter().map(|view| view.request.id));
            page.cursor = part.next_cursor;
            if page.cursor.is_none() {
                return ids;
            }
        }
    }

    #[test]
    fn every_list_holds_what_a_look_at_all_requests_finds_for_each_person() {
        let (fixture, all) = filled();
        let people: [&[(Role, Option<&str>)]; 5] = [
            &[(Role::Approver, None)],
            &[(Role::Approver, Some("prod"))],
            &[(Role::Approver, Some("prod")), (Role::Admin, Some("dev")), (Role::Approver, Some("dev"))],
            &[(Role::Developer, Some("dev"))],
            &[(Role::Approver, Some("dev")), (Role::Developer, None)],
        ];
        for (roles, filter) in people.iter().flat_map(|roles| filters().into_iter().map(move |filter| (roles, filter)))
        {
            let caller = fixture.person("dora", roles);
            let fits = |request: &&AccessRequest| {
                (filter.statuses.is_empty() || filter.statuses.contains(&request.status))
                    && filter.environment.as_ref().is_none_or(|id| request.environment == *id)
                    && filter.requested_by.as_ref().is_none_or(|name| request.requested_by == *name)
                    && filter.service.as_ref().is_none_or(|id| request.services.contains(id))
            };
            let seen = all.iter().filter(fits).filter(|request| sees(&caller.user, request));
            let newest_first: Vec<_> = seen.rev().map(|request| request.id.clone()).collect();
            assert_eq!(walked(|page| caller.access_requests(&filter, page)), newest_first, "{roles:?} {filter:?}");

            let decides =
                |request: &&AccessRequest| caller.may(Permission::AccessRequestsManage, Some(&request.environment));
            let (waiting, others): (Vec<_>, Vec<_>) =
                all.iter().filter(fits).filter(decides).partition(|request| request.status == Status::Pending);
            let queue: Vec<_> =
                waiting.into_iter().chain(others.into_iter().rev()).map(|request| request.id.clone()).collect();
            if caller.decides_somewhere() {
                assert_eq!(walked(|page| caller.access_request_queue(&filter, page)), queue, "{roles:?} {filter:?}");
            } else {
                let refused = caller.access_request_queue(&filter, &PageRequest::default());
                assert!(matches!(refused, Err(Error::Forbidden { .. })));
            }
        }
    }

    #[test]
    fn what_waits_for_somebody_is_what_they_may_decide() {
        let (fixture, _) = filled();
        let count = |name: &str, roles: &[(Role, Option<&str>)]| fixture.person(name, roles).waiting().unwrap();
        assert_eq!(count("ann", &[(Role::Approver, None)]), 8);
        assert_eq!(count("ann", &[(Role::Approver, Some("prod")), (Role::Admin, Some("prod"))]), 4);
        assert_eq!(count("ann", &[(Role::Developer, None)]), 0);
        assert_eq!(count("dora", &[(Role::Approver, None)]), 4, "without her own");
        assert_eq!(count("dora", &[(Role::Approver, Some("dev"))]), 2);
        let settings = super::super::super::Settings { self_approval: true };
        let root = fixture.person("root", &[(Role::Admin, None)]);
        root.administrator().unwrap().change_settings(&settings).unwrap();
        assert_eq!(count("dora", &[(Role::Approver, None)]), 8);
        submit(&root, "dev", None);
        assert_eq!(count("ann", &[(Role::Approver, None)]), 9);
    }

    #[test]
    fn only_cursors_of_the_list_itself_are_taken() {
        let (fixture, _) = filled();
        let ann = fixture.person("ann", &[(Role::Approver, None)]);
        for cursor in ["", "../..", "waiting.", "waiting./", "decided.A", "other.a"] {
            let page = PageRequest { limit: 3, cursor: Some(cursor.into()) };
            let refused = ann.access_request_queue(&RequestFilter::default(), &page);
            assert!(matches!(refused, Err(Error::Invalid(_))), "{cursor}");
        }
    }
}
