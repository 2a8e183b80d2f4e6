//! Where a request says the name of what it creates, as the catalogue writes it.
//!
//! `/Label` of the path, `?key` of the query, `@header`, else a path in the body: `Tags[Key=Name].Value` is the member
//! `Value` of those items of `Tags` whose `Key` is `Name`, `names[]` is each item of a list. `^` stands before what the
//! name begins with and what is no part of it; `^arn` says that an ARN may stand there.

/// Where an operation says names.
#[derive(Debug, Default)]
pub(in crate::cloud::aws) struct Places {
    /// At least one of these must be there: without a name the cloud makes one up.
    pub(super) must: Vec<Place>,
    /// These may be left out: nothing is renamed then.
    pub(super) may: Vec<Place>,
}

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cloud::aws) struct Place {
    pub(super) stands: Where,
    lead: Lead,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Where {
    Body(Vec<Step>),
    Header(&'static str),
    /// Which segment of the path.
    Label(usize),
    Query(&'static str),
}

/// One step into a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Each item of a list.
    Each,
    /// Those items whose member has this value.
    Having(&'static str, &'static str),
    /// A member.
    Member(&'static str),
}

/// What may stand before the name.
#[derive(Debug, PartialEq, Eq)]
enum Lead {
    Arn,
    Nothing,
    Text(&'static str),
}

impl Places {
    /// Takes the remark `name=…` or `also=…` of an operation with the path template `template`; false if it is no such
    /// remark.
    pub(in crate::cloud::aws) fn take(&mut self, remark: &'static str, template: &str) -> bool {
        let Some((kind, place)) = remark.split_once('=') else { return false };
        let Some(place) = Place::parse(place, template) else { return false };
        match kind {
            "also" => self.may.push(place),
            "name" => self.must.push(place),
            _ => return false,
        }
        true
    }

    pub(in crate::cloud::aws) fn is_empty(&self) -> bool {
        self.must.is_empty() && self.may.is_empty()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Place> {
        self.must.iter().chain(&self.may)
    }
}

impl Place {
    fn parse(text: &'static str, template: &str) -> Option<Self> {
        let (text, lead) = match text.split_once('^') {
            Some((text, "arn")) => (text, Lead::Arn),
            Some((text, lead)) => (text, Lead::Text(lead)),
            None => (text, Lead::Nothing),
        };
        let stands = if let Some(label) = text.strip_prefix('/') {
            let is_it =
                |segment: &str| segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(label);
            let path = template.split('?').next().unwrap_or_default();
            Where::Label(path.split('/').filter(|segment| !segment.is_empty()).position(is_it)?)
        } else if let Some(key) = text.strip_prefix('?') {
            Where::Query(key)
        } else if let Some(name) = text.strip_prefix('@') {
            Where::Header(name)
        } else {
            Where::Body(steps(text)?)
        };
        Some(Self { stands, lead })
    }

    pub(super) const fn is_in_body(&self) -> bool {
        matches!(self.stands, Where::Body(_))
    }

    /// The name in `text`.
    pub(super) fn name<'t>(&self, text: &'t str) -> &'t str {
        match self.lead {
            Lead::Arn => resource(text).unwrap_or(text),
            Lead::Nothing => text,
            Lead::Text(lead) => text.strip_prefix(lead).unwrap_or(text),
        }
    }
}

fn steps(text: &'static str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for part in text.split('.') {
        let (name, mut rest) = part.split_at_checked(part.find('[').unwrap_or(part.len()))?;
        if name.is_empty() {
            return None;
        }
        steps.push(Step::Member(name));
        while let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            steps.push(inside.split_once('=').map_or(Step::Each, |(key, value)| Step::Having(key, value)));
            rest = after;
        }
        rest.is_empty().then_some(())?;
    }
    Some(steps)
}

/// `name` of `arn:aws:lambda:us-east-1:123456789012:function:name`. What follows a name (a version) is left in it: it can
/// make no other name of it.
fn resource(text: &str) -> Option<&str> {
    let resource = text.strip_prefix("arn:")?.splitn(5, ':').nth(4)?;
    Some(resource.split_once([':', '/']).map_or(resource, |(_, name)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        let place = |text, template| Place::parse(text, template).map(|place| place.stands);
        assert_eq!(place("Name", ""), Some(Where::Body(vec![Step::Member("Name")])));
        assert_eq!(
            place("Specs[Kind=vpc].Tags[Key=Name].Value", ""),
            Some(Where::Body(vec![
                Step::Member("Specs"),
                Step::Having("Kind", "vpc"),
                Step::Member("Tags"),
                Step::Having("Key", "Name"),
                Step::Member("Value"),
            ]))
        );
        assert_eq!(place("names[]", ""), Some(Where::Body(vec![Step::Member("names"), Step::Each])));
        assert_eq!(place("/Name", "/v1/{Id}/things/{Name}?create"), Some(Where::Label(3)));
        assert_eq!(place("/Other", "/v1/{Name}"), None);
        assert_eq!(place("?name", "/v1"), Some(Where::Query("name")));
        for nonsense in ["", "a..b", "[]", "a[", "a[]b"] {
            assert_eq!(place(nonsense, ""), None, "{nonsense}");
        }
    }

    #[test]
    fn a_name_stands_behind_what_leads_to_it() {
        for (written, text, name) in [
            ("Name", "arn:aws:x:y:z:team-1", "arn:aws:x:y:z:team-1"),
            ("Name^alias/", "alias/team-1", "team-1"),
            ("Name^alias/", "alias/alias/team-1", "alias/team-1"),
            ("Name^alias/", "team-1", "team-1"),
            ("Name^arn", "team-1", "team-1"),
            ("Name^arn", "arn:aws:lambda:us-east-1:123456789012:function:team-1", "team-1"),
            ("Name^arn", "arn:aws:lambda:us-east-1:123456789012:function:evil:team-1", "evil:team-1"),
            ("Name^arn", "arn:aws:cloudformation:us-east-1:123456789012:stack/team-1/8", "team-1/8"),
            ("Name^arn", "123456789012:function:team-1", "123456789012:function:team-1"),
            ("Name^arn", "arn:team-1", "arn:team-1"),
        ] {
            assert_eq!(Place::parse(written, "").unwrap().name(text), name, "{written} {text}");
        }
    }
}
