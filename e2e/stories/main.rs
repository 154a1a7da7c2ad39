//! Stories: each is named for what a user would notice, and told on a real cluster with real pods.

mod calls;
mod drift;
mod edits;
mod quiet;
mod refusals;
mod trouble;
