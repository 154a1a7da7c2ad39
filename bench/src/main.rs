//! `mcp-bench server` compares the servers; `mcp-bench instructions` counts what a call takes without sockets.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use mcp_bench::goals::goals;
use mcp_bench::instructions::{self, Counts, grown, ratio};
use mcp_bench::plan::{Plan, run};
use mcp_bench::servers::Programs;
use mcp_bench::{machine, plot, report};

#[derive(Debug, Parser)]
#[command(name = "mcp-bench", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare this server with the reference and the floor, in one run
    Server(Server),
    /// Count the instructions of a call, and compare them with the recorded ones
    Instructions(Instructions),
}

#[derive(Debug, Args)]
struct Server {
    /// The program mcp-server; the others are looked for beside this program
    #[arg(long)]
    server: PathBuf,
    /// Where the figures go: results.json, results.md, results.svg
    #[arg(long, default_value = "bench/results")]
    out: PathBuf,
    /// How often every server has its turn
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of one turn that count
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Calls after which memory is read last; 0: not at all
    #[arg(long, default_value_t = 1_000_000)]
    memory_calls: u64,
    /// One short round: a look, not a measurement
    #[arg(long, env = "MCP_BENCH_QUICK", value_parser = clap::builder::FalseyValueParser::new())]
    quick: bool,
    /// Fail where a goal is missed
    #[arg(long)]
    enforce: bool,
}

#[derive(Debug, Args)]
struct Instructions {
    /// The recorded counts
    #[arg(long, default_value = "bench/baseline.json")]
    baseline: PathBuf,
    /// Write the counts down as the new baseline
    #[arg(long)]
    record: bool,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Server(options) => compare(&options),
        Command::Instructions(options) => count(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to hear that standard error is closed.
            let _ = writeln!(io::stderr(), "mcp-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn beside(name: &str) -> io::Result<PathBuf> {
    let file = std::env::current_exe()?.with_file_name(name);
    if file.exists() { Ok(file) } else { Err(io::Error::other(format!("{} is not built", file.display()))) }
}

fn compare(options: &Server) -> io::Result<bool> {
    let programs =
        Programs { server: options.server.clone(), floor: beside("floor")?, rmcp: beside("rmcp-echo")? };
    let processors = machine::processors()?;
    let [server_processor, generator_processor, ..] = processors[..] else {
        return Err(io::Error::other(
            "two processors are needed: one for the servers, one for the generator",
        ));
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an amount of milliseconds")]
    let measured_ms = (options.seconds.clamp(0.1, 600.0) * 1e3) as u64;
    let mut plan = Plan {
        rounds: options.rounds.max(1),
        warm_up_ms: measured_ms.min(1000) / 2,
        measured_ms,
        connections: options.connections.clamp(1, 200),
        keys: 256,
        open_share: 0.5,
        memory_calls: (options.memory_calls > 0).then_some((options.memory_calls / 10, options.memory_calls)),
        server_processor,
        generator_processor,
    };
    if options.quick {
        plan = Plan {
            rounds: 1,
            warm_up_ms: 200,
            measured_ms: 1000,
            memory_calls: plan.memory_calls.map(|_| (10_000, 100_000)),
            ..plan
        };
    }
    let results = run(&plan, &programs)?;
    let goals = goals(&results);
    let tables = report::tables(&results, &goals);
    let written = serde_json::json!({"results": results, "goals": goals});
    fs::create_dir_all(&options.out)?;
    let file = |name: &str| options.out.join(name);
    fs::write(file("results.json"), serde_json::to_string_pretty(&written)? + "\n")?;
    fs::write(file("results.md"), &tables)?;
    fs::write(file("results.svg"), plot::svg(&results))?;
    write!(io::stdout(), "\n{tables}\nwritten: {}/results.{{json,md,svg}}\n", options.out.display())?;
    Ok(!options.enforce || goals.iter().all(|goal| goal.met))
}

fn count(options: &Instructions) -> io::Result<bool> {
    let counts = instructions::count(&beside("dispatch")?)?;
    let baseline = if options.record { counts.clone() } else { read(&options.baseline)? };
    let mut out = io::stdout();
    for (name, now) in &counts {
        let change = baseline.get(name).map(|before| (ratio(*now, *before) - 1.0) * 100.0);
        let change = change.map_or_else(|| "not recorded".to_owned(), |change| format!("{change:+.2} %"));
        writeln!(out, "{name:12} {now:8} instructions a call   {change}")?;
    }
    if options.record {
        fs::write(&options.baseline, serde_json::to_string_pretty(&counts)? + "\n")?;
        return Ok(true);
    }
    let grown = grown(&baseline, &counts);
    for sentence in &grown {
        writeln!(out, "{sentence}")?;
    }
    Ok(grown.is_empty())
}

fn read(file: &Path) -> io::Result<Counts> {
    let text = fs::read_to_string(file)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot read {}: {error}", file.display())))?;
    Ok(serde_json::from_str(&text)?)
}
