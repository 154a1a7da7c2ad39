//! operator/src/lib.rs
