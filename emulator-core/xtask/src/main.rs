//! Generated tables: `cargo run -p xtask` writes them.
#![allow(clippy::print_stdout, reason = "it is a program of the command line")]

mod support;

use std::path::Path;

fn main() -> std::io::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(support::FILE);
    std::fs::write(&path, support::table())?;
    println!("{}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_support_table_is_what_the_rows_and_tests_make() {
        let current = include_str!("../../SUPPORT.md");
        assert!(current == super::support::table(), "it is out of date: cargo run -p xtask");
    }
}
