//! Bodies of the REST services that speak XML.

use std::borrow::Cow;

use roxmltree::{Document, Node, ParsingOptions};

use super::{
    Doubt,
    value::{DEEPEST, MOST_VALUES, Value},
};

/// Reads a whole body; one of no length has no members. Neither DTDs nor entities of its own.
pub(super) fn read(body: &[u8]) -> Result<Value<'static>, Doubt> {
    if body.is_empty() {
        return Ok(Value::Tree(Vec::new()));
    }
    let text = std::str::from_utf8(body).map_err(|_| Doubt)?;
    if declares_another_encoding(text) {
        return Err(Doubt);
    }
    let options = ParsingOptions { nodes_limit: MOST_VALUES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|_| Doubt)?;
    match value(document.root_element(), 0)? {
        Value::Text(text) if text.trim().is_empty() => Ok(Value::Tree(Vec::new())),
        tree @ Value::Tree(_) => Ok(tree),
        _ => Err(Doubt),
    }
}

/// An element's own elements, or its text if it has none. What stands between elements is space, or is in doubt.
fn value(element: Node<'_, '_>, depth: u32) -> Result<Value<'static>, Doubt> {
    if depth > DEEPEST {
        return Err(Doubt);
    }
    let mut members = Vec::new();
    let mut text = String::new();
    for child in element.children() {
        if child.is_element() {
            members.push((Cow::Owned(child.tag_name().name().to_owned()), value(child, depth + 1)?));
        } else if child.is_text() {
            text.push_str(child.text().unwrap_or_default());
        } else {
            // Some parsers end a text at a comment, others go on behind it.
            return Err(Doubt);
        }
    }
    match members.is_empty() {
        true => Ok(Value::Text(Cow::Owned(text))),
        false if text.trim().is_empty() => Ok(Value::Tree(members)),
        false => Err(Doubt),
    }
}

/// The bytes are read as UTF-8; who believes the declaration reads others.
fn declares_another_encoding(text: &str) -> bool {
    let declaration =
        text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")).map_or("", |(inside, _)| inside);
    let encoding =
        declaration.split_once("encoding").map(|(_, value)| value.trim_matches(|c: char| " =\t\r\n".contains(c)));
    encoding.is_some_and(|value| {
        let value = value.trim_matches(|c| "\"'".contains(c));
        !value.eq_ignore_ascii_case("utf-8") && !value.eq_ignore_ascii_case("us-ascii")
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            place::Step::{self, Each, Member as M},
            value::found,
        },
        *,
    };

    fn names(body: &str, steps: &[Step]) -> Result<Vec<String>, Doubt> {
        let value = read(body.as_bytes())?;
        Ok(found(&value, steps, true)?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn names_are_found_in_xml() {
        let ok = |names: &[&str]| Ok(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        let list = [M("Batch"), M("Changes"), M("Change"), Each, M("Set"), M("Name")];
        let one = &[M("Name")][..];
        for (body, steps, expected) in [
            ("<R><Name>a</Name></R>", one, ok(&["a"])),
            ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"urn:x\">\n <Name>a</Name>\n</R>", one, ok(&["a"])),
            ("<x:R xmlns:x=\"urn:x\"><x:Name>a</x:Name></x:R>", one, ok(&["a"])),
            ("<R><Name>a&#45;b</Name></R>", one, ok(&["a-b"])),
            ("<R><Name><![CDATA[a]]>b</Name></R>", one, ok(&["ab"])),
            ("<R></R>", one, ok(&[])),
            ("<R><Other>a</Other></R>", one, ok(&[])),
            ("", one, ok(&[])),
            ("<R><Name>a</Name><Name>b</Name></R>", one, Err(Doubt)),
            ("<R><Name>a</Name><name>b</name></R>", one, Err(Doubt)),
            ("<R xmlns:x=\"urn:x\"><Name>a</Name><x:Name>b</x:Name></R>", one, Err(Doubt)),
            ("<R><Name>a<!-- -->b</Name></R>", one, Err(Doubt)),
            ("<R><Name>a<?x y?></Name></R>", one, Err(Doubt)),
            ("<R><Name>a<B/></Name></R>", one, Err(Doubt)),
            ("<R>text</R>", one, Err(Doubt)),
            ("<!DOCTYPE R [<!ENTITY e \"a\">]><R><Name>&e;</Name></R>", one, Err(Doubt)),
            ("<?xml version=\"1.0\" encoding=\"UTF-7\"?><R><Name>a</Name></R>", one, Err(Doubt)),
            ("<R><Name>a</Name></R><R/>", one, Err(Doubt)),
            (
                "<R><Batch><Changes><Change><Set><Name>a</Name></Set></Change><Change><Set><Name>b</Name></Set></Change>\
                 </Changes></Batch></R>",
                &list,
                ok(&["a", "b"]),
            ),
            ("<R><Batch><Changes><Change><Set/></Change></Changes></Batch></R>", &list, Err(Doubt)),
            ("<R><Batch><Changes/></Batch></R>", &list, ok(&[])),
            ("<R><Batch><Changes/><Changes/></Batch></R>", &list, Err(Doubt)),
        ] {
            assert_eq!(names(body, steps), expected, "{body}");
        }
        assert_eq!(names(&"<a>".repeat(10_000), one), Err(Doubt));
        let many = format!("<R>{}<Name>a</Name></R>", "<b/>".repeat(MOST_VALUES as usize));
        assert_eq!(names(&many, one), Err(Doubt));
    }
}
