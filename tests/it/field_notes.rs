//! Each test that `tests/FIELD_NOTES.md` names is there, and each of its lines names one or says that there is none yet.

use std::{fs, path::Path};

const PAGE: &str = "tests/FIELD_NOTES.md";
/// Instead of a test.
const NOT_YET: &str = "not yet";

#[test]
fn every_line_names_tests_that_are_there() {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let wrong = faults(&page, |file| fs::read_to_string(root().join(file)).ok());
    assert!(wrong.is_empty(), "{PAGE}\n{}", wrong.join("\n"));
    let named = rows(&page).map(|(_, row)| tests(row).count()).sum::<usize>();
    assert!(named > 100, "{named} tests are found in it");
}

/// The test above finds nothing in a good page, so this one shows that it would.
#[test]
fn a_line_that_is_wrong_would_be_noticed() {
    let python = "def test_there(key: Key):\n    def test_within():\n";
    let rust = "#[test]\nfn here() {}\n\n#[tokio::test]\n#[expect(clippy::panic, reason = \"x\")]\nasync fn later() {}\n\n\
                fn helper() {}\n";
    let read = |file: &str| match file {
        "tests/clients/test_a.py" | "tests/clients/a.py" => Some(python.to_owned()),
        "src/a.rs" => Some(rust.to_owned()),
        _ => None,
    };
    for (tests, wrong) in [
        ("`clients/test_a.py::test_there`, `src/a.rs::here`, `src/a.rs::later`", 0),
        ("not yet", 0),
        ("one half: `src/a.rs::here`; not yet the other", 0),
        ("", 1),
        ("to be done", 1),
        ("`clients/test_a.py`", 1),
        ("`clients/test_a.py::test_the`", 1),
        ("`clients/test_a.py::test_within`", 1),
        ("`clients/a.py::test_there`", 1),
        ("`clients/test_b.py::test_there`", 1),
        ("`src/a.rs::helper`, `src/a.rs::gone`", 2),
    ] {
        let page = format!("| what | tests |\n| --- | --- |\n| it `a::b` | {tests} |\n");
        assert_eq!(faults(&page, read).len(), wrong, "{tests}");
    }
}

fn faults(page: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, row) in rows(page) {
        if tests(row).next().is_none() && !row.contains(NOT_YET) {
            wrong.push(format!("{number}: no test, and no word of that: {row}"));
        }
        for (file, name) in tests(row) {
            let path = if file.starts_with("src/") { file.to_owned() } else { format!("tests/{file}") };
            if !read(&path).is_some_and(|source| has_test(&path, &source, name)) {
                wrong.push(format!("{number}: {path} has no test {name}"));
            }
        }
    }
    wrong
}

/// The last cell of each row, with its line's number.
fn rows(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let cells = page.lines().zip(1..).filter_map(|(line, number)| {
        let row = line.strip_prefix("| ")?.strip_suffix('|')?.trim_end();
        Some((number, row.rsplit_once('|').map_or("", |(_, last)| last.trim())))
    });
    cells.filter(|(_, last)| !matches!(*last, "tests" | "---"))
}

/// The tests that a cell names: file and name.
fn tests(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    cell.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::"))
}

/// Is it one that pytest or cargo runs?
fn has_test(path: &str, source: &str, name: &str) -> bool {
    let lines: Vec<_> = source.lines().collect();
    let Some(at) = lines.iter().position(|line| line.split_once(&format!("{name}(")).is_some_and(|it| is_fn(it.0)))
    else {
        return false;
    };
    if Path::new(path).extension().is_some_and(|kind| kind == "py") {
        // A function within another one is none.
        let is_suite = path.rsplit('/').next().is_some_and(|file| file.starts_with("test_"));
        return is_suite && name.starts_with("test_") && lines[at].starts_with("def ");
    }
    let above = lines[..at].iter().rev().map(|line| line.trim());
    let mut attributes = above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    attributes.any(|line| line == "#[test]" || line.starts_with("#[tokio::test"))
}

fn is_fn(before: &str) -> bool {
    matches!(before.trim(), "def" | "fn" | "async fn")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
