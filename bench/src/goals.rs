//! What the figures should be.

use serde::Serialize;

use crate::plan::{Figure, Results, Shape};
use crate::servers::Who;
use crate::wire::Era;

/// A bound, and what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Goal {
    pub what: String,
    pub at_most: f64,
    pub measured: f64,
    pub met: bool,
}

const MIB: f64 = 1024.0 * 1024.0;

/// Every goal for which there are figures. Where both eras are measured, each has to meet it.
#[must_use]
pub fn goals(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut goal = |what: String, at_most: f64, measured: Option<f64>| {
        goals.extend(measured.map(|measured| Goal { what, at_most, measured, met: measured <= at_most }));
    };
    for era in Era::BOTH {
        let name = era.as_str();
        let cpu = |who| results.median(who, era, Shape::Closed, |sample| sample.cpu_us);
        let (floor, rmcp) = (cpu(Who::Floor), cpu(Who::Rmcp));
        let above = |who| Some((cpu(who)? - floor?) / (rmcp? - floor?));
        goal(format!("{name}: CPU above the floor, bare, beside rmcp's"), 0.25, above(Who::Bare));
        goal(format!("{name}: CPU above the floor, everything on, beside rmcp's"), 0.5, above(Who::Full));
        let total = cpu(Who::Full).zip(rmcp).map(|(full, rmcp)| full / rmcp);
        goal(format!("{name}: CPU in total, everything on, beside rmcp's"), 0.6, total);
        let ratio = |who, shape, figure: Figure| {
            Some(results.median(who, era, shape, figure)? / results.median(Who::Rmcp, era, shape, figure)?)
        };
        for who in [Who::Bare, Who::Full] {
            let on = if who == Who::Full { "everything on" } else { "bare" };
            let p99 = ratio(who, Shape::Open, |sample| sample.p99_us);
            goal(format!("{name}: p99 at rmcp's rate, {on}, beside rmcp's"), 1.0, p99);
            let p50 = ratio(who, Shape::One, |sample| sample.p50_us);
            goal(format!("{name}: p50 on one connection, {on}, beside rmcp's"), 1.0, p50);
        }
    }
    for who in [Who::Bare, Who::Full] {
        let idle = results.idle.get(&who).map(|bytes| mib(*bytes));
        goal(format!("idle memory in MiB, {}", who.label()), 15.0, idle);
    }
    let grown = results.memory.as_ref().map(|memory| {
        let what = format!("MiB more after {} calls than after {}", memory.many_calls, memory.few_calls);
        (what, mib(memory.after_many.saturating_sub(memory.after_few)))
    });
    if let Some((what, grown)) = grown {
        goal(what, 1.0, Some(grown));
    }
    goals
}

/// Bytes as MiB.
#[expect(clippy::cast_precision_loss, reason = "no process has 2^53 bytes")]
#[must_use]
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}
