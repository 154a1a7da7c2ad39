//! crds/src/lib.rs
