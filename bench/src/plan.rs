//! What is measured, in which order. Servers take turns within each round, so that whatever else the machine does hits
//! all of them.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::load::{Outcome, Pace, Run, Until};
use crate::machine;
use crate::servers::{Programs, Server, Who};
use crate::wire::{Era, FIRST};

/// How long and how often.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub rounds: u32,
    pub warm_up_ms: u64,
    pub measured_ms: u64,
    pub connections: usize,
    /// Callers with a key of their own, where keys are asked for.
    pub keys: usize,
    /// The rate of the open loop, as a part of what the reference answered in the closed one.
    pub open_share: f64,
    /// Calls after which memory is read first, and last; none where it is not measured.
    pub memory_calls: Option<(u64, u64)>,
    pub server_processor: usize,
    pub generator_processor: usize,
}

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Shape {
    /// As many calls as the server answers, over several connections.
    Closed,
    /// The same over one.
    One,
    /// At a constant rate, the same for all servers.
    Open,
}

/// One run of a server under a load.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    pub who: Who,
    pub era: Era,
    pub shape: Shape,
    pub round: u32,
    pub calls: u64,
    pub rate: f64,
    pub cpu_us: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub generator_share: f64,
    /// Why it does not count, where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
}

/// Resident memory of the server with everything on, in bytes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    pub few_calls: u64,
    pub after_few: u64,
    pub many_calls: u64,
    pub after_many: u64,
}

/// Everything that was found out.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Results {
    pub machine: String,
    pub plan: Plan,
    pub samples: Vec<Sample>,
    /// Resident memory of each server before its first call, in bytes.
    pub idle: BTreeMap<Who, u64>,
    /// From the start of each to its first connection, in milliseconds.
    pub start_ms: BTreeMap<Who, f64>,
    pub memory: Option<Memory>,
}

/// A figure of a sample.
pub type Figure = fn(&Sample) -> f64;

impl Results {
    /// The median over the rounds that count.
    #[must_use]
    pub fn median(&self, who: Who, era: Era, shape: Shape, figure: Figure) -> Option<f64> {
        let samples = self.samples.iter();
        let mine = samples.filter(|sample| (sample.who, sample.era, sample.shape) == (who, era, shape));
        let mut values: Vec<f64> = mine.filter(|sample| sample.void.is_none()).map(figure).collect();
        values.sort_by(f64::total_cmp);
        match values.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(values[odd / 2]),
            even => Some(f64::midpoint(values[even / 2 - 1], values[even / 2])),
        }
    }
}

/// Callers with a key of their own in the comparison: enough for none to reach the largest limit there is.
const CALLERS: usize = 64;

struct Bench<'a> {
    plan: &'a Plan,
    results: Results,
    next: u64,
}

/// Runs the plan.
///
/// # Errors
/// Where a server does not start, breaks, or the kernel does not let itself be asked.
pub fn run(plan: &Plan, programs: &Programs) -> io::Result<Results> {
    let place = tempfile::tempdir()?;
    let machine = machine::describe();
    machine::pin(plan.generator_processor)?;
    let results = Results {
        machine,
        plan: plan.clone(),
        samples: Vec::new(),
        idle: BTreeMap::new(),
        start_ms: BTreeMap::new(),
        memory: None,
    };
    let mut bench = Bench { plan, results, next: FIRST };
    bench.compare(programs, place.path())?;
    if let Some((few, many)) = plan.memory_calls {
        bench.memory(programs, place.path(), few, many)?;
    }
    Ok(bench.results)
}

impl Bench<'_> {
    fn compare(&mut self, programs: &Programs, place: &Path) -> io::Result<()> {
        let mut servers = Vec::new();
        for who in Who::ALL {
            servers.push(Server::start(who, programs, place, self.plan.server_processor, CALLERS)?);
        }
        // Started is not settled: threads are still being made.
        std::thread::park_timeout(Duration::from_millis(500));
        for server in &servers {
            self.results.idle.insert(server.who, machine::resident(server.pid())?);
            self.results.start_ms.insert(server.who, server.started_in.as_secs_f64() * 1e3);
        }
        for shape in [Shape::Closed, Shape::One, Shape::Open] {
            for round in 0..self.plan.rounds {
                for era in Era::BOTH {
                    // Nobody is always first.
                    let first = round as usize % servers.len();
                    for server in servers.iter().cycle().skip(first).take(servers.len()) {
                        self.sample(server, era, shape, round)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn sample(&mut self, server: &Server, era: Era, shape: Shape, round: u32) -> io::Result<()> {
        let pace = match shape {
            Shape::Closed | Shape::One => Pace::Closed,
            Shape::Open => {
                let rate = self.results.median(Who::Rmcp, era, Shape::Closed, |sample| sample.rate);
                let rate = rate.ok_or_else(|| io::Error::other("no run of the reference counts"))?;
                Pace::Open((rate * self.plan.open_share).round())
            }
        };
        let plan = self.plan;
        let until = Until::Time {
            warm_up: Duration::from_millis(plan.warm_up_ms),
            measured: Duration::from_millis(plan.measured_ms),
        };
        let connections = if shape == Shape::One { 1 } else { plan.connections };
        let outcome = self.go(server, era, connections, pace, until)?;
        let sample = Sample {
            who: server.who,
            era,
            shape,
            round,
            calls: outcome.calls,
            rate: outcome.rate(),
            cpu_us: outcome.cpu_per_call(),
            p50_us: outcome.latency.micros(0.5),
            p99_us: outcome.latency.micros(0.99),
            p999_us: outcome.latency.micros(0.999),
            generator_share: outcome.generator_share(),
            void: outcome.void(),
        };
        writeln!(
            io::stderr(),
            "{shape:?} {:6} round {round} {:26} {:7.0}/s {:6.1} us CPU, p50 {:7.1} p99 {:7.1} us, generator {:3.0} %{}",
            era.as_str(),
            server.who.label(),
            sample.rate,
            sample.cpu_us,
            sample.p50_us,
            sample.p99_us,
            sample.generator_share * 100.0,
            sample.void.as_deref().map_or_else(String::new, |why| format!("  VOID: {why}"))
        )?;
        self.results.samples.push(sample);
        Ok(())
    }

    fn go(
        &mut self,
        server: &Server,
        era: Era,
        connections: usize,
        pace: Pace,
        until: Until,
    ) -> io::Result<Outcome> {
        let run = Run {
            server: server.address,
            pid: server.pid(),
            era,
            connections,
            pace,
            until,
            keys: &server.keys,
            expect: server.who.expect(),
            first: self.next,
        };
        let outcome = run
            .go()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", server.who.label())))?;
        self.next = outcome.next;
        Ok(outcome)
    }

    /// Calls by many callers, none of them twice the same, and what they leave in memory.
    fn memory(&mut self, programs: &Programs, place: &Path, few: u64, many: u64) -> io::Result<()> {
        let plan = self.plan;
        let server = Server::start(Who::Full, programs, place, plan.server_processor, plan.keys)?;
        let mut after = [0; 2];
        for (calls, after) in [few, many.saturating_sub(few)].into_iter().zip(&mut after) {
            let outcome =
                self.go(&server, Era::Modern, plan.connections, Pace::Closed, Until::Calls(calls))?;
            if outcome.bad > 0 {
                return Err(io::Error::other(outcome.void().unwrap_or_default()));
            }
            *after = machine::resident(server.pid())?;
        }
        self.results.memory =
            Some(Memory { few_calls: few, after_few: after[0], many_calls: many, after_many: after[1] });
        Ok(())
    }
}
