//! What people see: colour only where a terminal shows it, errors in one line.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
};

/// An error that tells what to do; each line of it is a mistake of its own.
pub(super) fn complain(message: &str) {
    let mut to = io::stderr().lock();
    for line in message.lines() {
        // Nobody is left to be told if even this fails.
        drop(writeln!(to, "csg: {line}"));
    }
}

/// Writes to standard output; an error there is the caller's, a closed pipe among them.
pub(super) fn print(text: impl fmt::Display) -> io::Result<()> {
    let mut to = io::stdout().lock();
    write!(to, "{text}")?;
    to.flush()
}

/// How a piece of text stands out on a terminal.
#[derive(Clone, Copy, Debug)]
pub(super) enum Style {
    Bad,
    Bold,
    Dim,
    Good,
    Link,
}

/// Puts styles on, or leaves them out: not a terminal, `NO_COLOR` (<https://no-color.org>), or a dumb one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette(bool);

impl Palette {
    pub(super) fn for_stdout() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self(io::stdout().is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb"))
    }

    pub(super) fn paint(self, style: Style, text: impl fmt::Display) -> String {
        let code = match style {
            Style::Bad => "1;31",
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "1;32",
            Style::Link => "4;36",
        };
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}
