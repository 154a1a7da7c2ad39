//! The program as people and pipelines run it, with programs in the place of docker and kubectl that a test scripts.
//! With a real engine and a real cluster: `make deploy-test`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]
#![allow(clippy::needless_pass_by_value, reason = "a value is passed as it is written down: json!({…})")]

mod compose;
mod compose_rollback;
mod environments;
mod harness;
mod kubernetes;
mod kubernetes_rollback;
mod usage;
