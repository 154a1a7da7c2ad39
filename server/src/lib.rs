//! A server for the Model Context Protocol.
//!
//! Bytes come in by a door ([`http`] or [`stdio`]), [`protocol`] says what they mean, [`dispatch`] decides what happens
//! to them, and a [`backend`] does the work. [`app`] starts and stops all of it in order.

pub mod backend;
pub mod protocol;
