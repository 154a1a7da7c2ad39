//! The rules of the Model Context Protocol, in both of its eras. Nothing here reads a socket or knows a tool.

pub mod raw;
