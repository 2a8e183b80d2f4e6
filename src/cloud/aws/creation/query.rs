//! Forms of the query protocol and of EC2's: `Tag.1.Key=Name`, from the query string and the body together, as the cloud
//! reads them.

use std::borrow::Cow;

use super::{
    Doubt, Places,
    place::{Step, Where},
    value::{Allowance, DEEPEST, Member, Value},
};
use crate::cloud::aws::form::{self, Decoded};

/// Of the parameters that are looked at, each is compared with those before it.
const MOST_PARAMETERS: usize = 2_000;

/// Reads the parameters that `places` might be about.
pub(super) fn read<'b>(query: &'b [u8], body: &'b [u8], places: &Places) -> Result<Value<'b>, Doubt> {
    let mut all = Vec::new();
    let mut allowance = Allowance::default();
    let mut taken = 0;
    for (key, value) in form::pairs(query).chain(form::pairs(body)) {
        let key = text(key)?;
        let first = key.split('.').next().unwrap_or_default();
        if !places.all().any(|place| matches!(&place.stands, Where::Body(steps) if begins(steps, first))) {
            continue;
        }
        taken += 1;
        if taken > MOST_PARAMETERS || key.split('.').count() > DEEPEST as usize {
            return Err(Doubt);
        }
        put(&mut all, &key, text(value)?, &mut allowance)?;
    }
    Ok(Value::Dotted(all))
}

/// One value as it was meant.
pub(super) fn text(raw: &[u8]) -> Result<Cow<'_, str>, Doubt> {
    Ok(match form::decode(raw).ok_or(Doubt)? {
        Decoded::AsItWas(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_| Doubt)?),
        Decoded::New(bytes) => Cow::Owned(String::from_utf8(bytes.into_vec()).map_err(|_| Doubt)?),
    })
}

fn begins(steps: &[Step], first: &str) -> bool {
    matches!(steps.first(), Some(Step::Member(name)) if name.eq_ignore_ascii_case(first))
}

/// Puts a value where its key says, beside what is there already: a place that is taken has two values then.
fn put<'b>(all: &mut Vec<Member<'b>>, key: &str, value: Cow<'b, str>, allowance: &mut Allowance) -> Result<(), Doubt> {
    let Some((first, rest)) = key.split_once('.') else {
        allowance.take()?;
        all.push((Cow::Owned(key.to_owned()), Value::Text(value)));
        return Ok(());
    };
    let known = all.iter().position(|(name, value)| name == first && matches!(value, Value::Dotted(_)));
    let at = known.unwrap_or(all.len());
    if known.is_none() {
        allowance.take()?;
        all.push((Cow::Owned(first.to_owned()), Value::Dotted(Vec::new())));
    }
    match all.get_mut(at) {
        Some((_, Value::Dotted(inner))) => put(inner, rest, value, allowance),
        _ => Err(Doubt),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::value::found, *};

    fn names(place: &'static str, query: &str, body: &str) -> Result<Vec<String>, Doubt> {
        let mut places = Places::default();
        assert!(places.take(place, ""));
        let value = read(query.as_bytes(), body.as_bytes(), &places)?;
        let Where::Body(steps) = &places.all().next().unwrap().stands else { panic!("{place}") };
        Ok(found(&value, steps, true)?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn names_are_found_in_forms() {
        const NAME: &str = "name=Name";
        const TAG: &str = "name=Tag[Key=Name].Value";
        const INNER: &str = "name=Spec[Kind=vpc].Tag[Key=Name].Value";
        const EACH: &str = "name=Entries[].Name";
        let ok = |names: &[&str]| Ok(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        for (place, query, body, expected) in [
            (NAME, "", "Action=X&Name=a", ok(&["a"])),
            (NAME, "Name=a", "Action=X", ok(&["a"])),
            (NAME, "", "Action=X", ok(&[])),
            (NAME, "", "Name=a+b%2Bc", ok(&["a b+c"])),
            (NAME, "", "N%61me=a", ok(&["a"])),
            (NAME, "Name=a", "Name=b", Err(Doubt)),
            (NAME, "", "Name=a&Name=a", Err(Doubt)),
            (NAME, "", "Name=a&N%61me=b", Err(Doubt)),
            (NAME, "", "Name=a&name=b", Err(Doubt)),
            (NAME, "", "name=a", Err(Doubt)),
            (NAME, "", "Name=a;Name=b", Err(Doubt)),
            (NAME, "", "Name=a&Name.1=b", Err(Doubt)),
            (NAME, "", "Name.member.1=b", Err(Doubt)),
            (NAME, "", "Name=%ff", Err(Doubt)),
            (NAME, "", "Name=%zz", Err(Doubt)),
            (NAME, "", "%ff=x&Name=a", Err(Doubt)),
            (TAG, "", "Tag.1.Key=x&Tag.1.Value=b&Tag.2.Key=Name&Tag.2.Value=a", ok(&["a"])),
            (TAG, "", "Tag.1.Value=a&Other=x&Tag.1.Key=Name", ok(&["a"])),
            (TAG, "Tag.1.Key=Name", "Tag.1.Value=a", ok(&["a"])),
            (TAG, "", "Tag.7.Key=Name&Tag.7.Value=a", ok(&["a"])),
            (TAG, "", "Tag.member.1.Key=Name&Tag.member.1.Value=a", ok(&["a"])),
            (TAG, "", "Tag=", ok(&[])),
            (TAG, "", "Tag.1.Key=Name&Tag.01.Value=a", Err(Doubt)),
            (TAG, "", "Tag.1.Key=Name&Tag.1.Value=a&Tag.01.Value=b", Err(Doubt)),
            (TAG, "", "Tag.1.Key=Name&Tag.1.Value=a&Tag.1.Key=x", Err(Doubt)),
            (TAG, "", "Tag.1.Key=Name&Tag.1.Value=a&tag.2.Key=Name", Err(Doubt)),
            (TAG, "", "Tag.1.Key=Name&Tag.1.Value=a&Tag.member.1.Value=b", Err(Doubt)),
            (TAG, "", "Tag.Key=Name&Tag.Value=a", Err(Doubt)),
            (INNER, "", "Spec.1.Kind=vpc&Spec.1.Tag.1.Key=Name&Spec.1.Tag.1.Value=a", ok(&["a"])),
            (INNER, "", "Spec.1.Kind=x&Spec.1.Tag.1.Key=Name&Spec.1.Tag.1.Value=a", ok(&[])),
            (EACH, "", "Entries.member.1.Name=a&Entries.member.2.Name=b", ok(&["a", "b"])),
            (EACH, "", "Entries.entry.1.Name=a", ok(&["a"])),
            (EACH, "", "Entries.member.1.Name=a&Entries.member.2.Other=b", Err(Doubt)),
        ] {
            assert_eq!(names(place, query, body), expected, "{query} {body}");
        }
        let many = "Tag.1.Key=x&".repeat(MOST_PARAMETERS + 1);
        assert_eq!(names(TAG, "", &many), Err(Doubt));
        assert_eq!(names(NAME, "", &format!("{many}Name=a")), ok(&["a"]), "of others there may be any number");
        assert_eq!(names(NAME, "", &format!("Name{}=a", ".1".repeat(200))), Err(Doubt));
    }
}
