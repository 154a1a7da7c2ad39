//! What a run found out, and whether it counts.

use std::time::Duration;

use crate::histogram::Histogram;

/// What a run found out.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Calls that were answered rightly within the measured time.
    pub calls: u64,
    /// Answers that were wrong, and connections that broke, over the whole run.
    pub bad: u64,
    pub first_wrong: Option<String>,
    pub elapsed: Duration,
    pub server_cpu: Duration,
    /// How long the generator had something to do; the rest of the time it looked for something.
    pub worked: Duration,
    /// How long the generator was ready to run while others had its processor.
    pub starved: Duration,
    pub latency: Histogram,
    /// The number of the next call.
    pub next: u64,
}

/// Busy for more of the time than this, the generator may have been what was measured.
const BUSY: f64 = 0.85;
/// Nor does a machine count that had so much else to do.
const STARVED: f64 = 0.15;

impl Outcome {
    /// Calls a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        count(self.calls) / self.elapsed.as_secs_f64()
    }

    /// Processor time that the server took for a call, in microseconds.
    #[must_use]
    pub fn cpu_per_call(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / count(self.calls.max(1))
    }

    /// The part of the time in which the generator had something to do.
    #[must_use]
    pub fn generator_share(&self) -> f64 {
        self.worked.as_secs_f64() / self.elapsed.as_secs_f64()
    }

    /// Why the run does not count, where it does not.
    #[must_use]
    pub fn void(&self) -> Option<String> {
        if self.bad > 0 {
            let example = self.first_wrong.as_deref().unwrap_or("a connection broke");
            return Some(format!("{} wrong answers, the first: {example}", self.bad));
        }
        if self.calls == 0 {
            return Some("no call was answered".to_owned());
        }
        let share = self.generator_share();
        if share > BUSY {
            return Some(format!("the generator was busy for {:.0} % of the time", share * 100.0));
        }
        let starved = self.starved.as_secs_f64() / self.elapsed.as_secs_f64();
        (starved > STARVED)
            .then(|| format!("others had the generator's processor for {:.0} % of the time", starved * 100.0))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are below 2^53")]
fn count(calls: u64) -> f64 {
    calls as f64
}
