//! What the source can say: every text that a person may meet as an error.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{console::console_messages, root};

/// So many words make a message.
pub(super) const MESSAGE: usize = 3;

/// Files whose texts nobody meets as an error.
const NO_MESSAGES: [(&str, &str); 7] = [
    ("cli/demo/stand_in.rs", "speaks as AWS does, to the demo alone"),
    ("cli/demo/walk.rs", "tells what the demo does"),
    ("cloud/aws/catalogue.rs", "the catalogue is part of the program, and a test reads it"),
    ("cloud/aws/error/body.rs", "what stands around a message"),
    ("cloud/aws/labels.rs", "as the catalogue"),
    ("cloud/aws/operations.rs", "as the catalogue"),
    ("console/pages/snippets", "set-up to copy"),
];

/// Pages that word errors outside of any construct that says so.
const PAGES_OF_ERRORS: [&str; 5] = [
    "console/pages/problem.rs",
    "console/pages/setup.rs",
    "console/pages/several.rs",
    "console/pages/sign_in.rs",
    "console/pages/sign_in_code.rs",
];

/// What the program, its console's pages and `install.sh` can say in `least` words or more, with a place of each.
pub(super) fn messages(least: usize) -> BTreeMap<String, String> {
    let source = root().join("src");
    let mut found = BTreeMap::new();
    let tests = test_modules(&source);
    for path in files(&source) {
        let name = path.strip_prefix(&source).unwrap().to_str().unwrap();
        if tests.iter().any(|test| path == *test || path.starts_with(test.with_extension(""))) {
            continue;
        }
        for (text, line) in read_file(name, &fs::read_to_string(&path).unwrap(), least) {
            found.entry(text).or_insert(format!("src/{name}:{line}"));
        }
    }
    for (text, line) in read_script(&fs::read_to_string(root().join("install.sh")).unwrap()) {
        found.entry(text).or_insert(format!("install.sh:{line}"));
    }
    for (text, place) in console_messages(root(), least) {
        found.entry(text).or_insert(place);
    }
    assert!(found.len() > 200, "only {} messages are found", found.len());
    found
}

/// Reads one file of the source.
struct Reader {
    least: usize,
    found: Vec<(String, usize)>,
}

/// The messages of one file of the source, with their lines.
pub(super) fn read_file(path: &str, source: &str, least: usize) -> Vec<(String, usize)> {
    if NO_MESSAGES.iter().any(|(file, _)| path.starts_with(file)) {
        return Vec::new();
    }
    let is_mixed = path.starts_with("console/") || path.starts_with("cli/");
    let mut reader = Reader { least, found: Vec::new() };
    let tokens: TokenStream = source.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
    reader.walk(tokens, !is_mixed || PAGES_OF_ERRORS.contains(&path));
    reader.found
}

impl Reader {
    /// `counts`: whether a text here is a message.
    fn walk(&mut self, tokens: TokenStream, counts: bool) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        // Where the present statement begins, and the present arm or argument.
        let (mut statement, mut begin) = (0, 0);
        while let Some(token) = tokens.get(at) {
            let rest = &tokens[at + 1..];
            match (token, rest) {
                (TokenTree::Punct(sign), [TokenTree::Punct(inner), TokenTree::Group(_), ..])
                    if sign.as_char() == '#' && inner.as_char() == '!' =>
                {
                    at += 3;
                    continue;
                }
                (TokenTree::Punct(sign), [TokenTree::Group(attribute), tail @ ..]) if sign.as_char() == '#' => {
                    let words = attribute.stream().to_string().replace(' ', "");
                    if words == "cfg(test)" {
                        at = tokens.len() - after_item(tail).len();
                        (statement, begin) = (at, at);
                        continue;
                    }
                    if words.starts_with("error(") {
                        self.take_first(attribute.stream());
                    }
                    at += 2;
                    continue;
                }
                (TokenTree::Ident(name), [TokenTree::Punct(sign), TokenTree::Group(inner), ..])
                    if sign.as_char() == '!' =>
                {
                    match name.to_string().as_str() {
                        "warn" | "error" => self.take_message(inner.stream()),
                        "assert" | "assert_eq" | "debug" | "debug_assert" | "eprintln" | "info" | "print"
                        | "println" | "trace" | "write" | "writeln" => {}
                        _ => {
                            let counts = counts || says_error(&tokens[statement..at], &tokens[begin..=at]);
                            self.walk(inner.stream(), counts);
                        }
                    }
                    at += 3;
                    continue;
                }
                (TokenTree::Literal(literal), _) => {
                    if let Some(text) = text_of(&literal.to_string())
                        && (counts || says_error(&tokens[statement..at], &tokens[begin..at]))
                        && words(&normal(&text)) >= self.least
                        && !text.starts_with('[')
                    {
                        self.found.push((normal(&text), literal.span().start().line));
                    }
                }
                (TokenTree::Group(group), _) => {
                    let counts = counts || says_error(&tokens[statement..at], &tokens[begin..at]);
                    self.walk(group.stream(), counts);
                    let goes_on =
                        matches!(rest.first(), Some(TokenTree::Punct(sign)) if ".?=".contains(sign.as_char()));
                    if group.delimiter() == Delimiter::Brace && !goes_on {
                        (statement, begin) = (at + 1, at + 1);
                    }
                }
                (TokenTree::Punct(sign), _) if sign.as_char() == ';' => (statement, begin) = (at + 1, at + 1),
                (TokenTree::Punct(sign), _) if sign.as_char() == ',' => begin = at + 1,
                _ => {}
            }
            at += 1;
        }
    }

    fn take_first(&mut self, tokens: TokenStream) {
        let mut literals = tokens.into_iter().flat_map(|token| match token {
            TokenTree::Group(group) => group.stream().into_iter().collect(),
            other => vec![other],
        });
        self.take(literals.find_map(literal));
    }

    fn take_message(&mut self, tokens: TokenStream) {
        // What stands behind an `=` is a field.
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut arguments = tokens.split(|token| matches!(token, TokenTree::Punct(sign) if sign.as_char() == ','));
        let message = arguments.find_map(|argument| argument.first().cloned().and_then(literal));
        self.take(message);
    }

    fn take(&mut self, found: Option<(String, usize)>) {
        // `{0}` alone is another's words.
        self.found.extend(found.map(|(text, line)| (normal(&text), line)).filter(|(text, _)| words(text) > 0));
    }
}

fn literal(token: TokenTree) -> Option<(String, usize)> {
    let TokenTree::Literal(literal) = token else { return None };
    Some((text_of(&literal.to_string())?, literal.span().start().line))
}

/// Do these tokens, which stand before a text, speak of an error? The head of a function says nothing of its body.
fn says_error(statement: &[TokenTree], before: &[TokenTree]) -> bool {
    const NAMES: [&str; 22] = [
        "Err",
        "Error",
        "FieldError",
        "Problem",
        "anyhow",
        "bail",
        "blocked",
        "busy",
        "context",
        "error",
        "errors",
        "invalid",
        "malformed",
        "map_err",
        "missing",
        "ok_or",
        "ok_or_else",
        "problem",
        "problems",
        "warning",
        "with_context",
        "wrong",
    ];
    let is_function = statement.iter().any(|token| matches!(token, TokenTree::Ident(name) if name == "fn"));
    !is_function && names(before).iter().any(|name| NAMES.contains(&name.as_str()))
}

fn names(tokens: &[TokenTree]) -> Vec<String> {
    let each = |token: &TokenTree| match token {
        TokenTree::Ident(name) => vec![name.to_string()],
        TokenTree::Group(group) if group.delimiter() != Delimiter::Brace => {
            names(&group.stream().into_iter().collect::<Vec<_>>())
        }
        _ => Vec::new(),
    };
    tokens.iter().flat_map(each).collect()
}

fn after_item(tokens: &[TokenTree]) -> &[TokenTree] {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(sign) => sign.as_char() == ';',
        _ => false,
    };
    let end = tokens.iter().position(is_end).map_or(tokens.len(), |end| end + 1);
    &tokens[end..]
}

/// What a literal of text holds.
fn text_of(literal: &str) -> Option<String> {
    if let Some(raw) = literal.strip_prefix('r') {
        return Some(raw.trim_matches('#').strip_prefix('"')?.strip_suffix('"')?.to_owned());
    }
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::new();
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match rest.next()? {
            'n' | 'r' | 't' => text.push(' '),
            '\n' => rest = rest.as_str().trim_start().chars(),
            'x' => {
                let (code, tail) = rest.as_str().split_at(2);
                text.push(char::from(u8::from_str_radix(code, 16).ok()?));
                rest = tail.chars();
            }
            'u' => {
                let (code, tail) = rest.as_str().strip_prefix('{')?.split_once('}')?;
                text.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
                rest = tail.chars();
            }
            other => text.push(other),
        }
    }
    Some(text)
}

/// How many words of two letters or more there are.
pub(super) fn words(text: &str) -> usize {
    text.split_whitespace().filter(|word| word.chars().filter(|c| c.is_alphabetic()).count() > 1).count()
}

/// As the page writes it: `…` for each placeholder, one space where there is any.
pub(super) fn normal(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '{' | '}' if rest.next_if_eq(&c).is_some() => out.push(c),
            '{' => {
                rest.by_ref().find(|c| *c == '}');
                out.push('…');
            }
            c => out.push(c),
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What `fail` and `wrong` say in a shell script.
pub(super) fn read_script(script: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (number, line) in script.lines().enumerate() {
        for say in ["fail \"", "wrong \""] {
            let Some((_, rest)) = line.split_once(say) else { continue };
            let mut text = String::new();
            let mut rest = rest.chars();
            while let Some(c) = rest.next() {
                match c {
                    '"' => break,
                    '\\' => text.extend(rest.next()),
                    '$' => {
                        let tail = rest.as_str();
                        let end = match tail.chars().next() {
                            Some('(') => tail.find(')').map(|end| end + 1),
                            Some('{') => tail.find('}').map(|end| end + 1),
                            _ => tail.find(|c: char| !c.is_alphanumeric() && c != '_'),
                        };
                        rest = tail[end.unwrap_or(tail.len())..].chars();
                        text.push('…');
                    }
                    c => text.push(c),
                }
            }
            found.push((text, number + 1));
        }
    }
    found
}

/// The files of modules that are there for tests alone.
fn test_modules(source: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in files(source) {
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split("#[cfg(test)]").skip(1) {
            let item = rest.split([';', '{']).next().unwrap_or_default();
            if let Some((_, name)) = item.split_once("mod ")
                && rest[item.len()..].starts_with(';')
            {
                let folder = match path.file_stem().unwrap().to_str().unwrap() {
                    "mod" | "lib" => path.parent().unwrap().to_owned(),
                    _ => path.with_extension(""),
                };
                found.push(folder.join(format!("{}.rs", name.trim())));
            }
        }
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
