//! Packs the catalogue of AWS's services: readable in the repository, compressed in the executable.

use std::{env, error::Error, fs, io::Write, path::Path};

use flate2::{Compression, write::DeflateEncoder};

const CATALOGUE: &str = "assets/aws/catalogue.tsv";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={CATALOGUE}");
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&fs::read(CATALOGUE)?)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("catalogue.tsv.deflate"), packed.finish()?)?;
    Ok(())
}
