//! One policy group: what its rules demand, for which access they hold, other rules in their place, and its end.

use askama::Template;
use axum::response::Response;

use super::{
    PAGE, attempt,
    confirm::Confirm,
    environment::{NAMED, blocked},
    environments::After,
    policy_groups::bound_words,
    rules_form::{Pressed, RulesForm, services},
};
use crate::{
    console::{
        error::Problem,
        extract::{Id, Query},
        pages::{form::Submitted, frame::Frame, line::Line, rules::RuleWords, visitor::Visitor, words::When},
    },
    model::{Permission, PolicyGroupId},
    workflow::{PageRequest, PolicyGroupView},
};

#[derive(Template)]
#[template(path = "admin/policy_group.html")]
struct Details {
    frame: Frame,
    id: PolicyGroupId,
    title: String,
    made: When,
    rules: Vec<RuleWords>,
    /// For who may know it.
    bound: Option<String>,
    /// May the person look through all groups?
    lists: bool,
    uses: Vec<Line>,
    /// Where more of them are.
    next: Option<String>,
    first: String,
    is_first_page: bool,
    /// For who may change it.
    form: Option<RulesForm>,
    services: Vec<(&'static str, &'static str)>,
}

pub(crate) async fn show(
    visitor: Visitor,
    Id(id): Id<PolicyGroupId>,
    Query(query): Query<After>,
) -> Result<Response, Problem> {
    Ok(visitor.page(&details(&visitor, id, query.after, None).await?))
}

async fn details(
    visitor: &Visitor,
    id: PolicyGroupId,
    after: Option<String>,
    sent: Option<RulesForm>,
) -> Result<Details, Problem> {
    let (wanted, is_first_page) = (id.clone(), after.is_none());
    let (PolicyGroupView { group, bound }, uses, lists) = visitor
        .run(move |caller| {
            let uses = caller.bound_by(&wanted, &PageRequest { limit: PAGE, cursor: after })?;
            Ok((caller.policy_group(&wanted)?, uses, caller.lists_policy_groups()))
        })
        .await?;
    let may_manage = visitor.may(Permission::PoliciesManage, None);
    Ok(Details {
        frame: visitor.frame().at("/policy-groups"),
        made: visitor.when(group.created_at),
        rules: group.policies.iter().map(RuleWords::new).collect(),
        bound: bound.map(bound_words),
        lists,
        uses: uses.items.iter().map(|request| Line::new(visitor, request)).collect(),
        next: uses.next_cursor.map(|cursor| format!("/policy-groups/{id}?after={cursor}#uses")),
        first: format!("/policy-groups/{id}#uses"),
        is_first_page,
        form: may_manage.then(|| sent.unwrap_or_else(|| RulesForm::of(&group))),
        services: if may_manage { services() } else { Vec::new() },
        title: group.name,
        id,
    })
}

pub(crate) async fn change(
    Id(id): Id<PolicyGroupId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Problem> {
    let (mut form, pressed) = (RulesForm::sent(&fields)?, Pressed::of(&fields));
    if !matches!(pressed, Pressed::Save) {
        visitor.run(|caller| caller.policy_administrator().map(drop)).await?;
        form.pressed(&pressed);
        return Ok(visitor.page(&details(&visitor, id, None, Some(form)).await?));
    }
    let (wanted, read) = (id.clone(), form.read());
    match attempt(&visitor, move |caller| caller.policy_administrator()?.replace(&wanted, &read?)).await? {
        Ok(PolicyGroupView { bound, .. }) => {
            let message = match bound.unwrap_or_default() {
                0 => "The changes are saved.".to_owned(),
                bound => format!("The changes are saved, and hold from the next call on for {}.", bound_words(bound)),
            };
            Ok(visitor.done(&format!("/policy-groups/{id}"), &message))
        }
        Err(wrong) => Ok(visitor.again(&details(&visitor, id, None, Some(form.wrong(&wrong))).await?)),
    }
}

pub(crate) async fn ask_delete(visitor: Visitor, Id(id): Id<PolicyGroupId>) -> Result<Response, Problem> {
    let wanted = id.clone();
    let (group, uses) = visitor
        .run(move |caller| {
            caller.policy_administrator()?;
            let uses = caller.bound_by(&wanted, &PageRequest { limit: NAMED, cursor: None })?;
            Ok((caller.policy_group(&wanted)?.group, uses.items))
        })
        .await?;
    let address = format!("/policy-groups/{id}");
    Ok(visitor.page(&Confirm {
        frame: visitor.frame().at("/policy-groups"),
        title: format!("Delete the policy group “{}”?", group.name),
        tells: vec![
            "It can no longer be asked for, nor picked when a request is approved. No access has it now, so nobody's calls \
             change. Requests that ask for it and wait stay: whoever approves them has to pick another, or none."
                .into(),
            "Its rules stay in the audit log as they were written. This can't be undone.".into(),
        ],
        blocked: blocked(
            uses.iter(),
            "It can't be deleted while access has it: nobody would know which rules these calls must keep. End these first, \
             or take the rules out of the group instead:",
        ),
        action: format!("{address}/delete"),
        fields: Vec::new(),
        button: "Delete the policy group",
        back: (address, group.name),
    }))
}

pub(crate) async fn delete(
    Id(id): Id<PolicyGroupId>,
    Submitted { visitor, .. }: Submitted,
) -> Result<Response, Problem> {
    visitor.run(move |caller| caller.policy_administrator()?.delete(&id)).await?;
    Ok(visitor.done("/policy-groups", "The policy group is deleted."))
}
