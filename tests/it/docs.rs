//! What the project's pages list is what there is.

use std::{fs, path::Path};

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
