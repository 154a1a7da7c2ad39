//! The figures as a picture: what a call costs, and how long it takes at the same rate.

use std::fmt::Write as _;

use crate::plan::{Figure, Results, Shape};
use crate::servers::Who;
use crate::wire::Era;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 210.0;
const RIGHT: f64 = 80.0;
const BAR: f64 = 20.0;
const GAP: f64 = 7.0;
const HEAD: f64 = 58.0;
const ERA: f64 = 24.0;

const FONT: &str = "font-family=\"system-ui, Helvetica, Arial, sans-serif\"";

fn colour(who: Who) -> &'static str {
    match who {
        Who::Floor => "#9aa5b1",
        Who::Rmcp => "#c2762c",
        Who::Bare => "#2f6f9f",
        Who::Full => "#1d4e70",
    }
}

/// An SVG document.
#[must_use]
pub fn svg(results: &Results) -> String {
    let mut body = String::new();
    let mut top = 0.0;
    for (title, shape, figure) in [
        (
            "CPU time of the server for one tools/call, µs (closed loop)",
            Shape::Closed,
            (|sample| sample.cpu_us) as Figure,
        ),
        ("99th percentile of latency, µs (open loop, the same rate for all)", Shape::Open, |sample| {
            sample.p99_us
        }),
        ("Median of latency on one connection, µs", Shape::One, |sample| sample.p50_us),
    ] {
        top = panel(&mut body, results, (title, shape, figure), top);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{top}\" viewBox=\"0 0 {WIDTH} {top}\" \
         {FONT} font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

/// Draws a group of bars below `top`; says where it ends.
fn panel(body: &mut String, results: &Results, what: (&str, Shape, Figure), top: f64) -> f64 {
    let (title, shape, figure) = what;
    let value = |who, era| results.median(who, era, shape, figure);
    let all = Era::BOTH.into_iter().flat_map(|era| Who::ALL.map(|who| value(who, era)));
    let largest = all.flatten().fold(0.0, f64::max);
    if largest <= 0.0 {
        return top;
    }
    let scale = (WIDTH - LEFT - RIGHT) / largest;
    // Writing to a String cannot fail.
    let _ = writeln!(
        body,
        "<text x=\"20\" y=\"{:.0}\" font-size=\"15\" font-weight=\"600\" fill=\"#1f2933\">{title}</text>",
        top + 32.0
    );
    let mut y = top + HEAD;
    for era in Era::BOTH {
        let _ = writeln!(
            body,
            "<text x=\"20\" y=\"{:.0}\" fill=\"#52606d\" font-style=\"italic\">{}</text>",
            y + 6.0,
            match era {
                Era::Modern => "revision 2026-07-28",
                Era::Legacy => "revision 2025-11-25, without sessions",
            }
        );
        y += ERA - 8.0;
        for who in Who::ALL {
            if let Some(value) = value(who, era) {
                bar(body, who, value, scale, y);
                y += BAR + GAP;
            }
        }
        y += ERA - 6.0;
    }
    y
}

fn bar(body: &mut String, who: Who, value: f64, scale: f64, y: f64) {
    let length = value * scale;
    let middle = y + BAR * 0.72;
    let digits = usize::from(value < 100.0);
    let _ = writeln!(
        body,
        "<text x=\"{:.0}\" y=\"{middle:.0}\" text-anchor=\"end\" fill=\"#1f2933\">{}</text>\n\
         <rect x=\"{LEFT}\" y=\"{y:.0}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{}\" rx=\"2\"/>\n\
         <text x=\"{:.1}\" y=\"{middle:.0}\" fill=\"#1f2933\">{value:.digits$}</text>",
        LEFT - 10.0,
        who.label(),
        colour(who),
        LEFT + length + 7.0,
    );
}
