//! The list of headers that a signature covers.

use super::{byte_set::Set, header::AUTHORITY};

/// The names of the headers that a signature covers: lower-case, sorted, no repeats. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignedHeaders {
    list: String,
    /// Where each name ends in the list.
    ends: Vec<usize>,
}

impl SignedHeaders {
    /// Takes `host;x-amz-date` if it is lower-case, sorted and without repeats.
    pub fn parse(list: &str) -> Option<Self> {
        let mut ends: Vec<usize> = Vec::with_capacity(8);
        let separators = list.bytes().enumerate().filter(|&(_, byte)| byte == b';').map(|(at, _)| at);
        ends.extend(separators.chain([list.len()]));
        let parsed = Self { list: list.to_owned(), ends };
        (parsed.iter().all(|name| name == AUTHORITY || is_lower_case_name(name))
            && parsed.iter().is_sorted_by(|a, b| a < b))
        .then_some(parsed)
    }

    /// These names, in the order of the list.
    pub(super) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        Self::of_names(names)
    }

    fn of_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut list, mut ends) = (String::with_capacity(128), Vec::with_capacity(8));
        for name in names {
            if !ends.is_empty() {
                list.push(';');
            }
            list.push_str(name);
            ends.push(list.len());
        }
        Self { list, ends }
    }

    /// Is `name` (lower-case) on the list?
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|signed| signed == name)
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().filter_map(move |&end| {
            let name = self.list.get(start..end);
            start = end + 1;
            name
        })
    }

    /// `host;x-amz-date`.
    pub fn as_str(&self) -> &str {
        &self.list
    }
}

/// RFC 9110 §5.6.2 `token`, without upper case.
fn is_lower_case_name(name: &str) -> bool {
    static NAME: Set = Set::of(b"az09!!#'*+--..^`||~~");
    !name.is_empty() && NAME.holds(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_sorted_lower_case_names() {
        for list in ["host", "host;x-amz-date", "a;a-b;ab;host", ":authority;host"] {
            assert_eq!(SignedHeaders::parse(list).unwrap().iter().collect::<Vec<_>>().join(";"), list);
        }
        for list in [
            "",
            ";",
            "host;",
            ";host",
            "Host",
            "x-amz-date;host",
            "host;host",
            "host; x-amz-date",
            "a b",
            "a:b",
            ":path",
            "host;:authority",
        ] {
            assert_eq!(SignedHeaders::parse(list), None, "{list}");
        }
    }
}
