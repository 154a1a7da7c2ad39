//! A server with two tools of its own. Keys, limits and everything else are set in `production.json`.

use std::process::ExitCode;
use std::time::Duration;

use mcp_server::Server;
use mcp_server::tool::{Context, CpuTool, Json, Tool, ToolError, ToolInfo};

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
struct Number {
    number: u64,
}

/// Waits, and says so.
struct Countdown;

impl Tool for Countdown {
    type Arguments = Number;
    type Output = String;

    fn info(&self) -> ToolInfo {
        ToolInfo::new("countdown").description("Counts down, ten numbers a second.").read_only()
    }

    async fn call(&self, from: Number, context: Context) -> Result<String, ToolError> {
        for done in 0..from.number {
            context.progress(done as f64, Some(from.number as f64), None);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok("Lift-off!".to_owned())
    }
}

/// Computes: on threads of its own.
struct NextPrime;

impl CpuTool for NextPrime {
    type Arguments = Number;
    type Output = Json<Number>;

    fn info(&self) -> ToolInfo {
        ToolInfo::new("next_prime").description("Finds the next prime above a number.").read_only()
    }

    fn call(&self, above: Number, context: &Context) -> Result<Json<Number>, ToolError> {
        let is_prime = |n: u64| n > 1 && (2..).take_while(|d| *d <= n / d).all(|d| !n.is_multiple_of(d));
        for number in above.number.saturating_add(1).. {
            context.check()?; // nobody may be waiting any more
            if is_prime(number) {
                return Ok(Json(Number { number }));
            }
        }
        Err(ToolError::new("no prime above it fits 64 bits"))
    }
}

fn main() -> ExitCode {
    Server::builder().config_file("production.json").tool(Countdown).cpu_tool(NextPrime).run()
}
