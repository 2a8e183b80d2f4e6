//! The policy groups, and the form that makes one.

use askama::Template;
use axum::response::Response;

use super::{
    PAGE, attempt,
    environments::After,
    rules_form::{Pressed, RulesForm, services},
};
use crate::{
    console::{
        error::Problem,
        extract::Query,
        pages::{form::Submitted, frame::Frame, visitor::Visitor},
    },
    model::{Permission, PolicyStatus},
    workflow::{PageRequest, PolicyGroupView},
};

#[derive(Template)]
#[template(path = "admin/policy_groups.html")]
struct PolicyGroups {
    frame: Frame,
    may_make: bool,
    rows: Vec<Row>,
    /// Does the person know for how much access each holds?
    tells_use: bool,
    next: Option<String>,
    is_first_page: bool,
}

struct Row {
    id: String,
    name: String,
    enforced: usize,
    disabled: usize,
    bound: Option<String>,
}

pub(crate) async fn show(visitor: Visitor, Query(query): Query<After>) -> Result<Response, Problem> {
    let is_first_page = query.after.is_none();
    let page =
        visitor.run(move |caller| caller.policy_groups(&PageRequest { limit: PAGE, cursor: query.after })).await?;
    Ok(visitor.page(&PolicyGroups {
        frame: visitor.frame().at("/policy-groups"),
        may_make: visitor.may(Permission::PoliciesManage, None),
        tells_use: page.items.iter().any(|view| view.bound.is_some()),
        rows: page.items.iter().map(row).collect(),
        next: page.next_cursor.map(|cursor| format!("/policy-groups?after={cursor}")),
        is_first_page,
    }))
}

fn row(PolicyGroupView { group, bound }: &PolicyGroupView) -> Row {
    let enforced = group.policies.iter().filter(|policy| policy.status == PolicyStatus::Enforced).count();
    Row {
        id: group.id.to_string(),
        name: group.name.clone(),
        enforced,
        disabled: group.policies.len() - enforced,
        bound: bound.map(bound_words),
    }
}

/// How much access its rules hold for.
pub(super) fn bound_words(bound: usize) -> String {
    match bound {
        0 => "no access".into(),
        1 => "1 access request".into(),
        2..=100 => format!("{bound} access requests"),
        _ => "more than 100 access requests".into(),
    }
}

/// The form of a new group.
#[derive(Template)]
#[template(path = "admin/new_policy_group.html")]
struct New {
    frame: Frame,
    form: RulesForm,
    services: Vec<(&'static str, &'static str)>,
}

pub(crate) async fn form(visitor: Visitor) -> Result<Response, Problem> {
    visitor.run(|caller| caller.policy_administrator().map(drop)).await?;
    Ok(visitor.page(&new(&visitor, RulesForm::empty())))
}

fn new(visitor: &Visitor, form: RulesForm) -> New {
    New { frame: visitor.frame().at("/policy-groups"), form, services: services() }
}

pub(crate) async fn make(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    let (mut form, pressed) = (RulesForm::sent(&fields)?, Pressed::of(&fields));
    if !matches!(pressed, Pressed::Save) {
        visitor.run(|caller| caller.policy_administrator().map(drop)).await?;
        form.pressed(&pressed);
        return Ok(visitor.page(&new(&visitor, form)));
    }
    let read = form.read();
    match attempt(&visitor, move |caller| caller.policy_administrator()?.create(&read?)).await? {
        Ok(PolicyGroupView { group, .. }) => {
            let message =
                format!("The policy group “{}” is made. It can be picked when access is approved.", group.name);
            Ok(visitor.done(&format!("/policy-groups/{}", group.id), &message))
        }
        Err(wrong) => Ok(visitor.again(&new(&visitor, form.wrong(&wrong)))),
    }
}
