//! Scaffolding, tidy checks and generated tables.
fn main() {}
