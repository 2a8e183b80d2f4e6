//! Packs the catalogue of AWS's services: readable in the repository, compressed in the executable. And lets a release
//! know of which commit it is.

use std::{env, error::Error, fs, io::Write, path::Path, process::Command};

use flate2::{Compression, write::DeflateEncoder};

const CATALOGUE: &str = "assets/aws/catalogue.tsv";
/// What the executable is made of.
const SOURCES: [&str; 7] =
    [".cargo/config.toml", "Cargo.lock", "Cargo.toml", "assets", "build.rs", "packaging/rustc", "src"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={CATALOGUE}");
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&fs::read(CATALOGUE)?)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("catalogue.tsv.deflate"), packed.finish()?)?;

    // While one writes, only the catalogue is a reason to come here again.
    if env::var("PROFILE")? == "release" {
        name_commit();
    }
    Ok(())
}

/// `CSG_COMMIT`, if whoever builds has set it; else what git says; else, outside a repository, nothing.
fn name_commit() {
    println!("cargo::rerun-if-env-changed=CSG_COMMIT");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    if env::var_os("CSG_COMMIT").is_none()
        && let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"])
    {
        let changed =
            git(&[&["status", "--porcelain", "--"], &SOURCES[..]].concat()).is_none_or(|said| !said.is_empty());
        println!("cargo::rustc-env=CSG_COMMIT={commit}{}", if changed { "-modified" } else { "" });
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let done = Command::new("git").args(arguments).output().ok().filter(|done| done.status.success())?;
    Some(String::from_utf8(done.stdout).ok()?.trim().to_owned())
}
