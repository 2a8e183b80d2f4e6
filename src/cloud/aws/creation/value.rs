//! A body as far as names are looked for in it, whatever format it came in, and the way to a name in it.

use std::borrow::Cow;

use super::{Doubt, place::Step};

/// So many values, and no more, are taken from a body: it is looked at for a few names.
pub(super) const MOST_VALUES: u32 = 100_000;

/// Nor does anything that names something lie deeper.
pub(super) const DEEPEST: u32 = 100;

/// One value of a body.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'b> {
    List(Vec<Self>),
    /// Members in their order, a name as often as it came.
    Members(Vec<Member<'b>>),
    Null,
    /// A number, a truth, bytes: no name.
    Other,
    /// Elements of XML, where those of one name are a list.
    Tree(Vec<Member<'b>>),
    Text(Cow<'b, str>),
    /// What the query protocol writes with dots: `1` and `2` are items, and a word of its own may stand before them.
    Dotted(Vec<Member<'b>>),
}

pub(super) type Member<'b> = (Cow<'b, str>, Value<'b>);

/// How many values may still be taken.
pub(super) struct Allowance(u32);

impl Default for Allowance {
    fn default() -> Self {
        Self(MOST_VALUES)
    }
}

impl Allowance {
    pub(super) fn take(&mut self) -> Result<(), Doubt> {
        self.0 = self.0.checked_sub(1).ok_or(Doubt)?;
        Ok(())
    }
}

/// All texts that `steps` lead to. With `each`, every item of a list on the way must have one.
pub(super) fn found<'v>(value: &'v Value<'_>, steps: &[Step], each: bool) -> Result<Vec<Cow<'v, str>>, Doubt> {
    let mut found = Vec::new();
    walk(value, steps, each, &mut found)?;
    Ok(found.into_iter().map(Cow::Borrowed).collect())
}

fn walk<'v>(value: &'v Value<'_>, steps: &[Step], each: bool, found: &mut Vec<&'v str>) -> Result<(), Doubt> {
    if *value == Value::Null {
        return Ok(());
    }
    let Some((step, rest)) = steps.split_first() else {
        let Value::Text(text) = value else { return Err(Doubt) };
        found.push(text);
        return Ok(());
    };
    match step {
        Step::Member(name) => match (value, rest.first()) {
            // Repeated elements are the items of a list, so the next step is taken with this one.
            (Value::Tree(all), Some(Step::Each | Step::Having(..))) => items(named(all, name)?, rest, each, found),
            (Value::Members(all) | Value::Tree(all) | Value::Dotted(all), _) => {
                let mut named = named(all, name)?.into_iter();
                match (named.next(), named.next()) {
                    (None, _) => Ok(()),
                    (Some(one), None) => walk(one, rest, each, found),
                    _ => Err(Doubt),
                }
            }
            // An element without anything in it.
            (Value::Text(text), _) if text.is_empty() => Ok(()),
            _ => Err(Doubt),
        },
        Step::Each | Step::Having(..) => match value {
            Value::List(all) => items(all.iter().collect(), steps, each, found),
            Value::Dotted(all) => items(dotted(all)?, steps, each, found),
            Value::Text(text) if text.is_empty() => Ok(()),
            _ => Err(Doubt),
        },
    }
}

/// Goes on with those of `all` that the first of `steps` means.
fn items<'v>(all: Vec<&'v Value<'_>>, steps: &[Step], each: bool, found: &mut Vec<&'v str>) -> Result<(), Doubt> {
    let Some((step, rest)) = steps.split_first() else { return Err(Doubt) };
    for item in all {
        if let Step::Having(key, wanted) = step {
            let mut told = Vec::new();
            walk(item, &[Step::Member(key)], true, &mut told)?;
            let [told] = told[..] else { return Err(Doubt) };
            if told != *wanted {
                // A pointer may be read with less care than it is written with.
                if wanted.starts_with('/')
                    && told.trim().trim_matches('/').eq_ignore_ascii_case(wanted.trim_matches('/'))
                {
                    return Err(Doubt);
                }
                continue;
            }
        }
        let before = found.len();
        walk(item, rest, each, found)?;
        // Where it is said that this one names something, the name has to be there, too.
        let pointed = matches!(step, Step::Having(..)) && rest.len() == 1;
        if found.len() == before && (pointed || (each && *step == Step::Each)) {
            return Err(Doubt);
        }
    }
    Ok(())
}

/// The members called `name`; a doubt if there are any that are called so but for the case of letters.
fn named<'v, 'b>(all: &'v [Member<'b>], name: &str) -> Result<Vec<&'v Value<'b>>, Doubt> {
    let mut found = Vec::new();
    for (key, value) in all.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)) {
        if key != name {
            return Err(Doubt);
        }
        found.push(value);
    }
    Ok(found)
}

/// The items of a list in the query protocol: `1`, `2`, or all of them behind one word, as in `member.1`.
fn dotted<'v, 'b>(all: &'v [Member<'b>]) -> Result<Vec<&'v Value<'b>>, Doubt> {
    let is_index = |(key, _): &Member<'_>| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
    match all {
        [one @ (_, Value::Dotted(inner))] if !is_index(one) && inner.iter().all(is_index) => {
            Ok(inner.iter().map(|(_, value)| value).collect())
        }
        _ if all.iter().all(is_index) => Ok(all.iter().map(|(_, value)| value).collect()),
        _ => Err(Doubt),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            json,
            place::Step::{self, Each, Having, Member as M},
        },
        *,
    };

    fn in_json(body: &str, steps: &[Step], each: bool) -> Result<Vec<String>, Doubt> {
        let value = json::read(body.as_bytes())?;
        Ok(found(&value, steps, each)?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn names_are_found_where_the_steps_lead() {
        let tag = [M("Tags"), Having("Key", "Name"), M("Value")];
        let entries = [M("Entries"), Each, M("Name")];
        let patch = [M("ops"), Having("path", "/name"), M("value")];
        let kind = [M("Specs"), Having("Kind", "vpc"), M("Tags"), Having("Key", "Name"), M("Value")];
        let ok = |names: &[&str]| Ok(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        for (body, steps, expected) in [
            (r#"{"Name":"a"}"#, &[M("Name")][..], ok(&["a"])),
            (r#"{"Name":null}"#, &[M("Name")], ok(&[])),
            ("{}", &[M("Name")], ok(&[])),
            (r#"{"Input":{"Name":"a"}}"#, &[M("Input"), M("Name")], ok(&["a"])),
            (r#"{"Input":null}"#, &[M("Input"), M("Name")], ok(&[])),
            (r#"{"Other":{"Name":"b"},"Name":"a"}"#, &[M("Name")], ok(&["a"])),
            (r#"{"Name":7}"#, &[M("Name")], Err(Doubt)),
            (r#"{"Name":["a"]}"#, &[M("Name")], Err(Doubt)),
            (r#"{"Name":{"S":"a"}}"#, &[M("Name")], Err(Doubt)),
            (r#"{"Name":"a","Name":"a"}"#, &[M("Name")], Err(Doubt)),
            (r#"{"Name":"a","name":"b"}"#, &[M("Name")], Err(Doubt)),
            (r#"{"name":"a"}"#, &[M("Name")], Err(Doubt)),
            (r#"{"Name":"a","N\u0061me":"b"}"#, &[M("Name")], Err(Doubt)),
            (r#"{"Input":[{"Name":"a"}]}"#, &[M("Input"), M("Name")], Err(Doubt)),
            (r#"["a"]"#, &[M("Name")], Err(Doubt)),
            (r#"{"names":["a","b"]}"#, &[M("names"), Each], ok(&["a", "b"])),
            (r#"{"names":"a"}"#, &[M("names"), Each], Err(Doubt)),
            (r#"{"Entries":[{"Name":"a"},{"Name":"b"}]}"#, &entries, ok(&["a", "b"])),
            (r#"{"Entries":[{"Name":"a"},{}]}"#, &entries, Err(Doubt)),
            (r#"{"Entries":[{"Name":"a"},null]}"#, &entries, Err(Doubt)),
            (r#"{"Entries":[]}"#, &entries, ok(&[])),
            (r#"{"Tags":[{"Key":"x","Value":"b"},{"Key":"Name","Value":"a"}]}"#, &tag, ok(&["a"])),
            (r#"{"Tags":[{"Key":"name","Value":"a"}]}"#, &tag, ok(&[])),
            (r#"{"Tags":[{"Key":"Name"}]}"#, &tag, Err(Doubt)),
            (r#"{"Tags":[{"Value":"a"}]}"#, &tag, Err(Doubt)),
            (r#"{"Tags":[{"Key":"x","Key":"Name","Value":"a"}]}"#, &tag, Err(Doubt)),
            (r#"{"Tags":[{"Key":"Name","Value":"a"},{"Key":"Name","Value":"b"}]}"#, &tag, ok(&["a", "b"])),
            (r#"{"Specs":[{"Kind":"vpc","Tags":[{"Key":"Name","Value":"a"}]},{"Kind":"x"}]}"#, &kind, ok(&["a"])),
            (r#"{"Specs":[{"Kind":"x","Tags":[{"Key":"Name","Value":"a"}]},{"Kind":"vpc"}]}"#, &kind, ok(&[])),
            (r#"{"ops":[{"path":"/description","value":"x"},{"path":"/name","value":"a"}]}"#, &patch, ok(&["a"])),
            (r#"{"ops":[{"op":"copy","from":"/description","path":"/name"}]}"#, &patch, Err(Doubt)),
            (r#"{"ops":[{"path":"/Name","value":"a"}]}"#, &patch, Err(Doubt)),
            (r#"{"ops":[{"path":"name/","value":"a"}]}"#, &patch, Err(Doubt)),
        ] {
            assert_eq!(in_json(body, steps, true), expected, "{body}");
        }
        assert_eq!(in_json(r#"{"Entries":[{"Name":"a"},{}]}"#, &entries, false), ok(&["a"]), "it may be left out");
    }
}
