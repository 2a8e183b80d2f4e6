//! The manual pages, written from the very definition of the command line: `cargo run --example manual -- FOLDER DATE`.
//!
//! A tool of whoever builds packages, not a command of the product: an installed `csg` has its pages.

use std::{
    env, fs,
    io::{self, Write},
    path::Path,
};

use clap::Command;
use clap_mangen::Man;

/// What `csg --help` does not say, for csg(1) alone.
const MORE: &str = r"
.SH FILES
.TP
\fI/etc/csg/csg.toml\fR
The configuration. It names every setting with its default and what it means.
.TP
\fI/var/lib/csg\fR
The database, the records of calls and, unless it is kept elsewhere, the master key.
.SH ENVIRONMENT
.TP
\fBCSG_CONFIG\fR
The configuration file to read instead.
.TP
\fBCSG_\fISECTION\fB__\fIKEY\fR
Any setting of the configuration file; it wins over the file.
.TP
\fBCSG_URL\fR, \fBCSG_TOKEN\fR
The console's address, and an API token in the place of \fBcsg login\fR.
.SH EXIT STATUS
0: done. 1: failed; one line on standard error says why. 2: wrong usage.
";

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let (Some(folder), Some(date)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::other("usage: manual FOLDER DATE"));
    };
    fs::create_dir_all(&folder)?;
    let mut command = csg::cli::definition();
    command.build();
    write_pages(&command, &date, Path::new(&folder))
}

/// One page for the command and one for each below it: csg-request-approve(1).
fn write_pages(command: &Command, date: &str, folder: &Path) -> io::Result<()> {
    let page = Man::new(command.clone())
        .title(command.get_display_name().unwrap_or(command.get_name()).to_uppercase())
        .manual("Cloud Service Gateway")
        .source(concat!("csg ", env!("CARGO_PKG_VERSION")))
        .date(date);
    let mut text = Vec::new();
    page.render(&mut text)?;
    if command.get_name() == "csg" {
        text.write_all(MORE.trim_start().as_bytes())?;
    }
    fs::write(folder.join(page.get_filename()), text)?;
    command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
        .try_for_each(|below| write_pages(below, date, folder))
}
