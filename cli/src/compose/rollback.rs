//! Going back to what ran before a deployment that did not become healthy.

use std::collections::BTreeSet;
use std::time::Duration;

use super::deploy::{self, Outcome};
use super::engine::Compose;
use super::error::Error;
use super::previous::Previous;
use super::project::Project;
use super::state;
use crate::output::note;
use crate::program::Program;
use crate::text;

/// How it went, as a sentence.
pub(super) fn roll_back(
    compose: &Compose,
    project: &Project,
    previous: &Previous,
    timeout: Duration,
) -> String {
    match bring_back(compose, project, previous, timeout) {
        Ok(sentence) => sentence,
        Err(error) => format!(
            "Rolling back failed: {error}. Look with `{}`, and start what is missing",
            compose.program.typed(&["ps", "--all"])
        ),
    }
}

fn bring_back(
    compose: &Compose,
    project: &Project,
    previous: &Previous,
    timeout: Duration,
) -> Result<String, Error> {
    if previous.is_untouched(&compose.containers()?) && previous.ran() {
        return Ok("What ran before was not touched and runs on".to_owned());
    }
    if !previous.ran() {
        note("Rolling back: nothing ran before, so what was started is removed.");
        run(&compose.program, &["down"], None)?;
        return Ok("Nothing ran before, so what was started has been removed; volumes were kept".to_owned());
    }
    note("Rolling back to what ran before.");
    let config = previous.config(project, &give_names_back(previous));
    // The file comes over standard input; paths in it are absolute.
    let arguments = ["-f", "-", "--project-name", &project.name];
    run(
        &compose.plain.with(arguments),
        &["up", "--detach", "--no-build", "--remove-orphans"],
        Some(&config.text()),
    )?;
    let what = if previous.knows_file() {
        "Rolled back"
    } else {
        // It was started by another program, or by another user.
        "Rolled back to the images that ran before (their Compose file is not known, so its changes stay)"
    };
    Ok(match deploy::wait(compose, &config, timeout)? {
        Outcome::Healthy(containers) => {
            state::keep(&config, &containers);
            format!("{what}: what ran before is healthy again")
        }
        Outcome::Failed { reason, .. } => format!("{what}, but it is not healthy either: {reason}"),
    })
}

/// Gives each image name back to the image that ran under it, so that a later `up` without a build does not start the
/// broken one. Returns the names for which that succeeded; the others are gone back to by id.
fn give_names_back(previous: &Previous) -> BTreeSet<&str> {
    let docker = Program::new("docker");
    let give = |id: &str, name: &str| match docker.ask(&["tag", id, name], None, Duration::from_secs(15)) {
        Ok(answer) if answer.success => true,
        Ok(answer) => warn(name, &text::last_line(&answer.stderr)),
        Err(error) => warn(name, &error.to_string()),
    };
    previous.names().into_iter().filter(|(name, id)| give(id, name)).map(|(name, _)| name).collect()
}

fn warn(name: &str, reason: &str) -> bool {
    note(&format!("warning: {name} still names the new image: {reason}"));
    false
}

fn run(program: &Program, arguments: &[&str], input: Option<&str>) -> Result<(), Error> {
    let answer = program.follow(arguments, input, None)?;
    if answer.success {
        return Ok(());
    }
    let reason = text::last_line(&answer.stderr);
    Err(Error::Failed { command: program.typed(arguments), reason })
}
