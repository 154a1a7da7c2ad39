//! The rules of the Model Context Protocol, in both of its eras. Nothing here reads a socket or knows a tool.

pub mod answer;
pub mod capabilities;
pub mod envelope;
pub mod era;
pub mod errors;
pub mod headers;
pub mod methods;
pub mod raw;
pub(crate) mod reader;
