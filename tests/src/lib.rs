//! Tests that look at several crates at once; see `tests/`.
