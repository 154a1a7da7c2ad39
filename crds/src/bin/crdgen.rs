//! `make generate`.
fn main() {}
