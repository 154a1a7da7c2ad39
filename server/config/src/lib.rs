//! server/config/src/lib.rs
