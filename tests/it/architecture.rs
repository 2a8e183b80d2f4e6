//! The walls of the house: the table in `src/lib.rs` says who may see whom, and every path in `src/` is held to it.
//!
//! The source is read as tokens, so comments and texts do not count, and what stands inside a macro call does.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Crates that only some modules may use.
const FENCED: [(&str, &[&str]); 2] = [("anyhow", &["cli", "main"]), ("redb", &["audit", "store"])];

#[test]
fn imports_point_downwards() {
    let floors = Floors::of(&fs::read_to_string(root().join("src/lib.rs")).unwrap());
    let files = sources();
    let tests: BTreeSet<_> = files.iter().flat_map(|file| &file.test_modules).cloned().collect();
    let files: Vec<_> = files.into_iter().filter(|file| !tests.contains(&file.module)).collect();
    let objections: Vec<_> = files.iter().flat_map(|file| file.objections(&floors)).collect();
    assert!(objections.is_empty(), "\n{}", objections.join("\n"));

    let modules: BTreeSet<_> = files.iter().filter_map(|file| file.module.first().cloned()).collect();
    let in_table: BTreeSet<_> = floors.rows.iter().flatten().cloned().collect();
    assert_eq!(modules, in_table, "the modules, and the table in src/lib.rs");
}

/// The test above finds nothing in a good house, so this one shows that it would.
#[test]
fn a_wrong_import_would_be_found() {
    let floors = Floors::of(&fs::read_to_string(root().join("src/lib.rs")).unwrap());
    for (path, source, objection) in [
        ("model/call.rs", "use crate::store::Store;", "model may not see store"),
        ("sigv4/mod.rs", "use crate::{clock::Timestamp, model::{self, Call}};", "sigv4 may not see model"),
        ("store/mod.rs", "fn f() -> crate::workflow::Error { todo() }", "store may not see workflow"),
        ("policy/mod.rs", "use crate::cloud::aws;", "policy may not see cloud"),
        ("audit/day.rs", "use super::super::workflow::Error;", "audit may not see workflow"),
        ("audit/day.rs", "use super::{sink, super::workflow};", "audit may not see workflow"),
        ("model/mod.rs", "mod inner { use super::super::app; }", "model may not see app"),
        ("model/mod.rs", "fn f() { println!(\"{}\", crate::app::NAME) }", "model may not see app"),
        ("model/mod.rs", "#[test] fn f() {} use crate::app;", "model may not see app"),
        ("gateway/verify.rs", "use crate::workflow::Error;", "gateway may not see workflow"),
        ("gateway/verify.rs", "use crate::{store, model};", "gateway may not see store"),
        ("config/raw.rs", "pub(in crate::app) struct Raw;", "config may not see app"),
        ("main.rs", "fn main() { csg::cellar::run() }", "main may not see cellar"),
        ("model/mod.rs", "use crate::*;", "model may not see the crate as a whole"),
        ("app/mod.rs", "fn f() -> anyhow::Result<()> { Ok(()) }", "app may not use anyhow"),
        ("workflow/mod.rs", "use redb::Database;", "workflow may not use redb"),
    ] {
        let found = File::read(Path::new(path), source).objections(&floors);
        let [found] = &found[..] else { panic!("{path}: {source}: {found:?}") };
        assert!(found.ends_with(objection), "{path}: {source}: {found}");
    }
}

#[test]
fn right_imports_pass() {
    let floors = Floors::of(&fs::read_to_string(root().join("src/lib.rs")).unwrap());
    for (path, source) in [
        ("main.rs", "use csg::cli; fn main() -> anyhow::Result<()> { csg::app::start() }"),
        ("cli/mod.rs", "use crate::{app, clock::Clock, config};"),
        ("gateway/mod.rs", "use crate::{audit::Sink, ca, cloud, model::*, policy}; use super::gateway;"),
        ("ca/leaf.rs", "use super::{Error, authority::X}; use crate::{ca, clock::Timestamp}; use self::y;"),
        ("ca/leaf.rs", "mod inner { use super::super::Error; pub(super) fn f() {} pub(crate) fn g() {} }"),
        ("model/mod.rs", "/// See crate::app.\nconst TEXT: &str = \"crate::app\"; // crate::app"),
        ("model/mod.rs", "#[cfg(test)] mod tests { use crate::app; } use crate::clock;"),
        ("model/mod.rs", "#[cfg(test)] use crate::app::{a, b}; #[cfg(test)] mod testing;"),
        ("store/mod.rs", "use redb::Database;"),
    ] {
        let found = File::read(Path::new(path), source).objections(&floors);
        assert!(found.is_empty(), "{path}: {source}: {found:?}");
    }
}

/// What the page of `src/lib.rs` says.
struct Floors {
    /// The modules by row, uppermost first.
    rows: Vec<Vec<String>>,
    /// Who does not see whom although it is below.
    blind: Vec<(String, String)>,
}

impl Floors {
    fn of(lib_rs: &str) -> Self {
        let page = || lib_rs.lines().filter_map(|line| line.strip_prefix("//! "));
        let rows = page()
            .filter(|line| line.starts_with("| "))
            .skip(2)
            .map(|line| in_backticks(line.split('|').nth(2).unwrap()))
            .collect();
        let blind = page().filter(|line| line.contains("sees neither")).flat_map(|line| {
            let names = in_backticks(line);
            let (who, whom) = names.split_first().unwrap();
            whom.iter().map(|whom| (who.clone(), whom.clone())).collect::<Vec<_>>()
        });
        let floors = Self { rows, blind: blind.collect() };
        assert!(floors.rows.len() > 5 && floors.blind.len() > 1, "the page in src/lib.rs cannot be read any more");
        floors
    }

    fn permit(&self, from: &str, to: &str) -> bool {
        let row = |module: &str| self.rows.iter().position(|row| row.iter().any(|name| name == module));
        let below = matches!((row(from), row(to)), (Some(from), Some(to)) if from < to);
        from == to || below && !self.blind.iter().any(|(who, whom)| who == from && whom == to)
    }
}

fn in_backticks(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches(".rs").to_owned()).collect()
}

/// What one file of `src/` reaches for.
struct File {
    path: PathBuf,
    /// Its place among the modules: `["ca", "leaf"]`.
    module: Vec<String>,
    /// Paths into this crate, from its root, with their lines.
    paths: Vec<(Vec<String>, usize)>,
    /// The [`FENCED`] crates that are named, with their lines.
    fenced: Vec<(&'static str, usize)>,
    /// The modules in other files that are only there for tests.
    test_modules: Vec<Vec<String>>,
}

impl File {
    fn read(path: &Path, source: &str) -> Self {
        let mut module: Vec<_> = path.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if module.last().is_some_and(|name| name == "mod" || name == "lib") {
            module.pop();
        }
        let tokens: TokenStream = source.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path.to_owned();
        let mut file = Self { path, module, paths: Vec::new(), fenced: Vec::new(), test_modules: Vec::new() };
        let module = file.module.clone();
        file.walk(&tokens.into_iter().collect::<Vec<_>>(), &module);
        file
    }

    fn walk(&mut self, tokens: &[TokenTree], module: &[String]) {
        let mut rest = tokens;
        while let Some((token, tail)) = rest.split_first() {
            rest = tail;
            if let [TokenTree::Group(attribute), tail @ ..] = rest
                && is_punct(token, '#')
                && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
            {
                rest = self.skip_item(tail, module);
            } else if is_path_start(token, &self.module)
                && let Some(tail) = after_colons(rest)
            {
                let base = if token.to_string() == "super" { &module[..module.len() - 1] } else { &[] };
                self.follow(tail, base, token.span().start().line);
            } else if let TokenTree::Ident(name) = token {
                let fenced = FENCED.iter().find(|(fenced, _)| name == fenced);
                self.fenced.extend(fenced.map(|(fenced, _)| (*fenced, name.span().start().line)));
                if let [TokenTree::Ident(inner), TokenTree::Group(body), tail @ ..] = rest
                    && name == "mod"
                {
                    let inner = [module, &[inner.to_string()]].concat();
                    self.walk(&body.stream().into_iter().collect::<Vec<_>>(), &inner);
                    rest = tail;
                }
            } else if let TokenTree::Group(group) = token {
                self.walk(&group.stream().into_iter().collect::<Vec<_>>(), module);
            }
        }
    }

    /// Notes the paths that go on from `base` with `tokens`: a name, a `super`, a `*`, or several in braces.
    fn follow(&mut self, tokens: &[TokenTree], base: &[String], line: usize) {
        match tokens {
            [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                for branch in inner.split(|token| is_punct(token, ',')).filter(|branch| !branch.is_empty()) {
                    self.follow(branch, base, branch[0].span().start().line);
                }
            }
            [TokenTree::Ident(name), rest @ ..] => {
                let mut path = base.to_vec();
                match name.to_string().as_str() {
                    "super" => drop(path.pop()),
                    "self" => {}
                    name => path.push(name.to_owned()),
                }
                match after_colons(rest) {
                    Some(rest) => self.follow(rest, &path, line),
                    None => self.paths.push((path, line)),
                }
            }
            _ => self.paths.push((base.to_vec(), line)),
        }
    }

    /// Passes over the item that starts here, and notes it if it is a module in another file.
    fn skip_item<'a>(&mut self, tokens: &'a [TokenTree], module: &[String]) -> &'a [TokenTree] {
        let is_end = |token: &TokenTree| match token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            other => is_punct(other, ';'),
        };
        let end = tokens.iter().position(is_end).map_or(tokens.len(), |end| end + 1);
        let (item, rest) = tokens.split_at(end);
        if let [.., TokenTree::Ident(keyword), TokenTree::Ident(name), TokenTree::Punct(_)] = item
            && keyword == "mod"
        {
            self.test_modules.push([module, &[name.to_string()]].concat());
        }
        rest
    }

    fn objections(&self, floors: &Floors) -> Vec<String> {
        // What stands in lib.rs belongs to nobody.
        let Some(from) = self.module.first() else { return Vec::new() };
        let place = |line: &usize| format!("src/{}:{line}", self.path.display());
        let paths = self.paths.iter().filter_map(|(path, line)| match path.first() {
            None => Some(format!("{}: {from} may not see the crate as a whole", place(line))),
            Some(to) if floors.permit(from, to) => None,
            Some(to) => Some(format!("{}: {from} may not see {to}", place(line))),
        });
        let fenced = self.fenced.iter().filter_map(|(name, line)| {
            let (_, users) = FENCED.iter().find(|(fenced, _)| fenced == name)?;
            (!users.contains(&from.as_str())).then(|| format!("{}: {from} may not use {name}", place(line)))
        });
        let mut objections: Vec<_> = paths.chain(fenced).collect();
        objections.dedup();
        objections
    }
}

fn is_path_start(token: &TokenTree, file: &[String]) -> bool {
    // The binary sees the library under its name.
    let in_main = file == ["main"];
    matches!(token, TokenTree::Ident(name) if name == "crate" || name == "super" || in_main && name == "csg")
}

fn after_colons(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    match tokens {
        [one, two, rest @ ..] if is_punct(one, ':') && is_punct(two, ':') => Some(rest),
        _ => None,
    }
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<File> {
    let source = root().join("src");
    let mut folders = vec![source.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(File::read(path.strip_prefix(&source).unwrap(), &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}
