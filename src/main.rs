//! The executable `csg`: exit codes, nothing else.

fn main() {}
