//! operator/desired/src/lib.rs
