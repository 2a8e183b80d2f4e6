//! What the console's templates and scripts can say of an error by themselves.
//!
//! In a template that is the text of an element that is marked as such: by its class, or by its role. It is cut where a
//! block of the page or a tag of the template stands, and each piece is a message. In a script it is each text that
//! begins as a sentence does.

use std::{fs, path::Path};

use super::source::words;

/// Classes that say that something is wrong, or may go wrong.
const CLASSES: [&str; 4] = ["bad", "error", "secret-warning", "warn"];
/// Attributes that do.
const ATTRIBUTES: [&str; 2] = ["aria-labelledby=\"failed\"", "role=\"alert\""];
/// Elements within a sentence.
const INLINE: [&str; 6] = ["a", "code", "em", "span", "strong", "time"];
/// Elements that are there to be used, not read.
const CONTROLS: [&str; 5] = ["button", "label", "option", "table", "textarea"];
const VOID: [&str; 7] = ["br", "hr", "img", "input", "link", "meta", "wbr"];

/// The messages in these folders of the sources, each with its place.
pub(super) fn console_messages(root: &Path, least: usize) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["assets/templates", "assets/templates/admin", "assets/js"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let texts = match path.extension().and_then(|extension| extension.to_str()) {
                Some("html") => read_template(&text),
                Some("js") => read_browser_script(&text),
                _ => panic!("{}: what can it say?", path.display()),
            };
            let place = path.strip_prefix(root).unwrap().display();
            let long = texts.into_iter().filter(|(text, _)| words(text) >= least);
            found.extend(long.map(|(text, line)| (text, format!("{place}:{line}"))));
        }
    }
    assert!(found.len() > 10, "only {} messages are found in the console's pages", found.len());
    found
}

struct Element {
    name: String,
    /// Is what it holds said of an error?
    counts: bool,
    is_read: bool,
}

/// The texts of one template, with their lines.
pub(super) fn read_template(template: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut open: Vec<Element> = Vec::new();
    let mut text = String::new();
    let mut rest = template;
    let end = |text: &mut String, rest: &str, found: &mut Vec<(String, usize)>| {
        let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
        text.clear();
        if words(&said) > 0 {
            found.push((said, template[..template.len() - rest.len()].lines().count().max(1)));
        }
    };
    while let Some(next) = rest.chars().next() {
        if rest.starts_with("{{") {
            if is_said(&open) {
                text.push('…');
            }
            rest = behind(rest, "}}");
        } else if rest.starts_with("{%") || rest.starts_with("{#") {
            end(&mut text, rest, &mut found);
            rest = behind(rest, if rest.starts_with("{%") { "%}" } else { "#}" });
        } else if next == '<' {
            let (tag, tail) = tag(rest);
            let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
            if !INLINE.contains(&name.as_str()) {
                end(&mut text, rest, &mut found);
            }
            if tag.starts_with('/') {
                // The one element of ours that may be left open.
                while name != "option" && open.last().is_some_and(|element| element.name == "option") {
                    open.pop();
                }
                let opened = open.pop().map(|element| element.name);
                assert_eq!(opened.as_deref(), Some(name.as_str()), "what does this close? {rest:.60}");
            } else if !(tag.starts_with('!') || tag.ends_with('/') || VOID.contains(&name.as_str())) {
                let inherited = open.last().is_some_and(|element| element.counts);
                let is_read = open.last().is_none_or(|element| element.is_read)
                    && !tag.contains("aria-hidden=\"true\"")
                    && !CONTROLS.contains(&name.as_str());
                open.push(Element { name, counts: inherited || says_error(tag), is_read });
            }
            rest = tail;
        } else {
            if is_said(&open) {
                text.push(next);
            }
            rest = &rest[next.len_utf8()..];
        }
    }
    assert!(open.is_empty(), "{} is left open", open[0].name);
    found
}

fn is_said(open: &[Element]) -> bool {
    open.last().is_some_and(|element| element.counts && element.is_read)
}

/// The inside of the tag at the beginning of `text`, and what follows it. A `>` may stand in a template's own tag.
fn tag(text: &str) -> (&str, &str) {
    let mut at = 1;
    while !text[at..].starts_with('>') {
        let inside = &text[at..];
        let skipped = match inside.get(..2) {
            Some("{{") => inside.len() - behind(inside, "}}").len(),
            Some("{%") => inside.len() - behind(inside, "%}").len(),
            _ => inside.chars().next().unwrap_or_else(|| panic!("no end: {text:.60}")).len_utf8(),
        };
        at += skipped;
    }
    (&text[1..at], &text[at + 1..])
}

fn says_error(tag: &str) -> bool {
    let class = tag.split_once("class=\"").map(|(_, class)| class.split('"').next().unwrap_or_default());
    // What stands there only sometimes counts.
    let class = class.unwrap_or_default().replace("{%", " ").replace("%}", " ");
    class.split_whitespace().any(|class| CLASSES.contains(&class))
        || ATTRIBUTES.iter().any(|attribute| tag.contains(attribute))
}

fn behind<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).unwrap_or_else(|| panic!("no {end}: {text:.60}")).1
}

/// The texts of one script of a page, with their lines.
pub(super) fn read_browser_script(script: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (number, line) in script.lines().enumerate() {
        let mut rest = if line.trim_start().starts_with("//") { "" } else { line };
        while let Some(at) = rest.find(['"', '\'', '`']) {
            let quote = &rest[at..=at];
            let Some((text, tail)) = rest[at + 1..].split_once(quote) else { break };
            if text.starts_with(char::is_uppercase) {
                found.push((placeholders(text), number + 1));
            }
            rest = tail;
        }
    }
    found
}

fn placeholders(text: &str) -> String {
    let mut pieces = text.split("${");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |said, piece| said + "…" + piece.split_once('}').map_or("", |(_, tail)| tail))
}

#[test]
fn messages_are_found_in_templates_and_scripts() {
    for (template, expected) in [
        ("<p>All is very well.</p>", vec![]),
        ("<p class=\"note bad\"><strong>It {{ a }}\n failed.</strong> So {{ b }}.</p>", vec!["It … failed. So …."]),
        (
            "<div role=\"alert\"><p>One.</p>{% if a > b %}Two{% else %}Three {% endif %}</div>",
            vec!["One.", "Two", "Three"],
        ),
        (
            "<p class=\"a{% if b %} warn{% endif %}\"><span aria-hidden=\"true\">x</span>No <br>good</p><p>y</p>",
            vec!["No", "good"],
        ),
        (
            "<section aria-labelledby=\"failed\"><label>z</label><table><tr><td>z</td></tr></table>Not done</section>",
            vec!["Not done"],
        ),
    ] {
        let found: Vec<_> = read_template(template).into_iter().map(|(text, _)| text).collect();
        assert_eq!(found, expected, "{template}");
    }
    let script = "// \"No message here\"\nfind(\"input:not(x)\"); say(a, \"It is gone.\", `Of ${n} none`, 'x')";
    assert_eq!(read_browser_script(script), [("It is gone.".to_owned(), 2), ("Of … none".to_owned(), 2)]);
}
