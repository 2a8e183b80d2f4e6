//! What the project's pages list is what there is.

use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn every_dependency_has_its_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let (_, section) = page.split_once("## Dependencies").unwrap();
    for kind in ["dependencies", "dev-dependencies"] {
        for name in manifest[kind].as_table().unwrap().keys() {
            assert!(section.contains(&format!("`{name}`")), "ARCHITECTURE.md does not say why {name} is used");
        }
    }
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        for name in line.split('|').nth(1).unwrap().split(',') {
            let name = name.trim().trim_matches('`');
            assert!(manifest["dependencies"].get(name).is_some(), "ARCHITECTURE.md still has a line for {name}");
        }
    }
}

#[test]
fn every_setting_has_its_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/configuration.md")).unwrap();
    let told: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).map(str::to_owned).collect();
    let mut section = String::new();
    let mut known = BTreeSet::new();
    for line in fs::read_to_string(root.join("packaging/csg.toml")).unwrap().lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
            // A section whose keys are the user's own.
            if name.contains('.') {
                known.insert(name.to_owned());
            }
        } else if let Some((key, _)) = line.strip_prefix('#').and_then(|rest| rest.split_once(" = "))
            && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            known.insert(format!("{section}{key}"));
        }
    }
    assert!(known.len() > 15, "{known:?}");
    assert_eq!(told, known, "docs/configuration.md, and packaging/csg.toml");
}
