//! What surrounds every page of somebody who is signed in: where they can go, where they are, who they are.

use super::visitor::Visitor;
use crate::model::{EnvironmentId, Permission};

/// The frame, as `app.html` shows it.
pub(crate) struct Frame {
    pub(crate) user: String,
    pub(crate) csrf: String,
    /// Where the news begin that the page does not show yet.
    pub(crate) since: String,
    pub(crate) flash: Option<String>,
    pub(crate) environment: Option<Place>,
    pub(crate) environments: Vec<Place>,
    pub(crate) groups: Vec<Group>,
}

/// An environment of the switcher.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) current: bool,
}

/// A part of the navigation.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) items: Vec<Item>,
}

/// A page that can be gone to.
pub(crate) struct Item {
    pub(crate) label: &'static str,
    pub(crate) href: String,
    /// How many things wait there for the person.
    pub(crate) count: usize,
    pub(crate) current: bool,
}

impl Frame {
    pub(super) fn new(visitor: &Visitor, here: Option<&EnvironmentId>) -> Self {
        let place = |environment: &crate::model::Environment| Place {
            id: environment.id.to_string(),
            name: environment.name.clone(),
            href: cloud_services(&environment.id),
            current: here == Some(&environment.id),
        };
        let environments: Vec<_> = visitor.environments.iter().map(place).collect();
        let mut groups = Vec::new();
        if let Some(id) = here {
            groups.push(Group { title: "Environment", items: environment_items(id) });
        }
        let account = account_items(visitor);
        if !account.is_empty() {
            groups.push(Group { title: "Account", items: account });
        }
        let frame = Self {
            user: visitor.name().to_string(),
            csrf: visitor.csrf(),
            since: visitor.since.clone(),
            flash: visitor.flash.clone(),
            environment: environments.iter().find(|place| place.current).cloned(),
            environments,
            groups,
        };
        frame.at(&visitor.path)
    }

    /// Marks the page of the navigation that `path` belongs to: of several, the nearest.
    pub(crate) fn at(mut self, path: &str) -> Self {
        let holds = |item: &Item| {
            let below = path.strip_prefix(item.href.as_str());
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let items = self.groups.iter().flat_map(|group| &group.items);
        let nearest = items.filter(|item| holds(item)).map(|item| item.href.clone()).max_by_key(String::len);
        for item in self.groups.iter_mut().flat_map(|group| &mut group.items) {
            item.current = nearest.as_ref() == Some(&item.href);
        }
        self
    }

    /// Everything that can be gone to, for the bar at the bottom of a phone: the first four, then the rest.
    pub(crate) fn bar(&self) -> (Vec<&Item>, Vec<&Item>) {
        let all: Vec<_> = self.groups.iter().flat_map(|group| &group.items).collect();
        // "More" takes a place itself, so it is worth it for two.
        let first = if all.len() <= 5 { all.len() } else { 4 };
        let (first, rest) = all.split_at(first);
        (first.to_vec(), rest.to_vec())
    }

    /// Does anything among `items` wait? For the "more" that hides them.
    pub(crate) fn any_waits(items: &[&Item]) -> bool {
        items.iter().any(|item| item.count > 0)
    }
}

impl Item {
    /// The label with places where the bar of a phone may break it: its words are as wide as its fields.
    pub(crate) fn breakable(&self) -> String {
        self.label.replace("Environments", "Environ\u{ad}ments").replace("Credentials", "Creden\u{ad}tials")
    }
}

/// The page of an environment.
pub(crate) fn cloud_services(id: &EnvironmentId) -> String {
    format!("/environments/{id}/cloud-services")
}

/// How an environment is used.
pub(crate) fn usage(id: &EnvironmentId) -> String {
    format!("/environments/{id}/usage")
}

fn environment_items(id: &EnvironmentId) -> Vec<Item> {
    vec![item("Cloud Services", cloud_services(id)), item("Usage", usage(id))]
}

/// The account-wide pages, for whom they are. An entry appears here together with its page.
fn account_items(visitor: &Visitor) -> Vec<Item> {
    // (label, address, needed permission, also where it is held for one environment only)
    const PAGES: [(&str, &str, Permission, bool); 8] = [
        ("Requests", "/access-requests", Permission::AccessRequestsManage, true),
        ("Environments", "/environments", Permission::EnvironmentsManage, true),
        ("Credentials", "/credentials", Permission::CredentialsManage, false),
        ("Policy groups", "/policy-groups", Permission::PoliciesManage, false),
        ("People", "/people", Permission::UsersManage, false),
        ("Audit log", "/audit", Permission::AuditRead, true),
        ("System", "/system", Permission::UsersManage, false),
        ("Settings", "/settings", Permission::UsersManage, false),
    ];
    const FOR_EVERYBODY: [(&str, &str); 2] = [("API tokens", "/tokens"), ("CA certificate", "/ca")];
    let shown = PAGES.iter().filter(|(_, _, permission, somewhere)| {
        visitor.may(*permission, None) || (*somewhere && visitor.may_somewhere(*permission))
    });
    let shown = shown.map(|(label, href, _, _)| (*label, *href)).chain(FOR_EVERYBODY);
    let mut items: Vec<_> = shown.map(|(label, href)| item(label, href.to_owned())).collect();
    for item in &mut items {
        if item.href == "/access-requests" {
            item.count = visitor.waiting;
        }
    }
    items
}

fn item(label: &'static str, href: String) -> Item {
    Item { label, href, count: 0, current: false }
}
