//! A server that shows everything that a server can do, under the names that the protocol's conformance suite asks for.
//! `cargo run -p mcp-server --example everything` starts it on 127.0.0.1:8001.

use std::process::ExitCode;

mod fixtures;

fn main() -> ExitCode {
    let mut config = fixtures::config();
    config.process.http.address = Some("127.0.0.1:8001".into());
    config.process.http.admin_address = Some("127.0.0.1:0".into());
    fixtures::server(&config).run()
}
