//! What `docs/troubleshooting.md` has to say of which message.

use std::{collections::BTreeMap, fs};

use super::root;

pub(super) const PAGE: &str = "docs/troubleshooting.md";
/// Below this heading of the page stand the words of other programs, which are not in our source.
const FOREIGN: &str = "## In the words of other programs";

/// One message of the page.
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) meaning: String,
    pub(super) is_foreign: bool,
}

pub(super) fn lines() -> BTreeMap<String, Line> {
    read_lines(&fs::read_to_string(root().join(PAGE)).unwrap())
}

/// The items of the page: one or more messages in code, a colon, and what they mean.
pub(super) fn read_lines(page: &str) -> BTreeMap<String, Line> {
    let mut found = BTreeMap::new();
    let mut is_foreign = false;
    let all: Vec<_> = page.lines().collect();
    for (index, line) in all.iter().enumerate() {
        is_foreign |= *line == FOREIGN;
        let Some(item) = line.strip_prefix("- `") else { continue };
        let more = all[index + 1..].iter().take_while(|line| line.starts_with("  "));
        let whole = [format!("`{item}")].into_iter().chain(more.map(|line| line.trim().to_owned()));
        let whole = whole.collect::<Vec<_>>().join(" ");
        let mut rest = whole.as_str();
        let mut texts = Vec::new();
        while rest.starts_with('`') {
            let ticks = rest.len() - rest.trim_start_matches('`').len();
            let fence = &rest[..ticks];
            let (text, tail) =
                rest[ticks..].split_once(fence).unwrap_or_else(|| panic!("{PAGE}:{}: {line}", index + 1));
            texts.push(text.trim().to_owned());
            rest = tail.trim_start_matches([' ', '·']);
        }
        let meaning = rest.strip_prefix(':').unwrap_or_else(|| panic!("{PAGE}:{}: no colon: {rest}", index + 1)).trim();
        for text in texts {
            let line = Line { number: index + 1, meaning: meaning.to_owned(), is_foreign };
            assert!(found.insert(text.clone(), line).is_none(), "{PAGE}:{}: twice: {text}", index + 1);
        }
    }
    found
}
