//! The figures as text.

use std::fmt::Write as _;

use crate::goals::{Goal, mib};
use crate::plan::{Figure, Results, Shape};
use crate::servers::Who;
use crate::wire::Era;

/// Tables in Markdown: what a call costs, how long it takes, which goals are met.
#[must_use]
pub fn tables(results: &Results, goals: &[Goal]) -> String {
    let mut text = format!("{}\n", results.machine);
    let void = results.samples.iter().filter(|sample| sample.void.is_some()).count();
    let plan = &results.plan;
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{} connections, {} rounds of {:.1} s, servers on processor {}, generator on {}; {} of {} runs do not count\n",
        plan.connections,
        plan.rounds,
        f64::from(u32::try_from(plan.measured_ms).unwrap_or(u32::MAX)) / 1e3,
        plan.server_processor,
        plan.generator_processor,
        void,
        results.samples.len(),
    );
    for era in Era::BOTH {
        text += &table(results, era);
    }
    if let Some(memory) = &results.memory {
        let _ = writeln!(
            text,
            "Memory with everything on, {} callers: {:.1} MiB after {} calls, {:.1} MiB after {}.\n",
            plan.keys,
            mib(memory.after_few),
            memory.few_calls,
            mib(memory.after_many),
            memory.many_calls
        );
    }
    text += "| goal | at most | measured | |\n|---|---|---|---|\n";
    for goal in goals {
        let met = if goal.met { "met" } else { "MISSED" };
        let _ = writeln!(text, "| {} | {:.2} | {:.2} | {met} |", goal.what, goal.at_most, goal.measured);
    }
    text
}

fn table(results: &Results, era: Era) -> String {
    let mut text = format!(
        "| {} | CPU µs a call | above the floor | of rmcp's | calls/s | p50, p99 µs at the open loop's rate | p50 µs, one connection | idle MiB | start ms |\n|---|---|---|---|---|---|---|---|---|\n",
        era.as_str()
    );
    let cpu = |who| results.median(who, era, Shape::Closed, |sample| sample.cpu_us);
    for who in Who::ALL {
        let of = |shape, figure: Figure| results.median(who, era, shape, figure);
        let above = cpu(who).zip(cpu(Who::Floor)).map(|(mine, floor)| mine - floor);
        let rmcp = cpu(Who::Rmcp).zip(cpu(Who::Floor)).map(|(rmcp, floor)| rmcp - floor);
        let share = above.zip(rmcp).map(|(above, rmcp)| above / rmcp);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {}, {} | {} | {} | {} |",
            who.label(),
            show(cpu(who), 1),
            show(above, 1),
            show(share, 2),
            show(of(Shape::Closed, |sample| sample.rate), 0),
            show(of(Shape::Open, |sample| sample.p50_us), 0),
            show(of(Shape::Open, |sample| sample.p99_us), 0),
            show(of(Shape::One, |sample| sample.p50_us), 0),
            show(results.idle.get(&who).map(|bytes| mib(*bytes)), 1),
            show(results.start_ms.get(&who).copied(), 0),
        );
    }
    text + "\n"
}

fn show(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}
