//! Answers a number of calls without sockets, on one thread: what `mcp-bench instructions` counts.
//!
//!     dispatch bare|full modern|legacy CALLS

use std::io;

use mcp_bench::dispatch::Bench;
use mcp_bench::servers::Who;
use mcp_bench::wire::{Era, FIRST};

fn main() -> io::Result<()> {
    let usage = || io::Error::other("usage: dispatch bare|full modern|legacy CALLS");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [who, era, calls] = &arguments[..] else { return Err(usage()) };
    let who = match who.as_str() {
        "bare" => Who::Bare,
        "full" => Who::Full,
        _ => return Err(usage()),
    };
    let era = Era::BOTH.into_iter().find(|known| known.as_str() == era).ok_or_else(usage)?;
    let calls: u64 = calls.parse().map_err(|_| usage())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut bench = Bench::new(who, era)?;
        for number in FIRST..FIRST + calls {
            bench.call(number).await?;
        }
        Ok(())
    })
}
