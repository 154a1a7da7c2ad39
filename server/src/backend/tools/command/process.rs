//! One run of a program: in a process group of its own, so that all that it starts ends with it.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpgid};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// How much of the end of standard error is kept, in bytes.
const TAIL: usize = 4096;
/// How often, and how many times, orphans of a killed group are looked for.
const REAP: Duration = Duration::from_millis(10);
const REAPS: usize = 100;

/// What to run.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) program: &'a str,
    pub(super) arguments: &'a [String],
    /// All that it gets of the server's environment.
    pub(super) environment: Vec<(&'a str, &'a str)>,
    /// Where a program is looked for that is no path.
    pub(super) path: &'a str,
    pub(super) directory: Option<&'a str>,
    pub(super) input: Option<String>,
    pub(super) bounds: Bounds,
}

/// What a run may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of standard output.
    pub(super) output: usize,
    /// Bytes of address space of each process.
    pub(super) memory: u64,
}

/// A run that came to its end by itself.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) exit: Exit,
    pub(super) output: Vec<u8>,
    /// The end of standard error.
    pub(super) errors: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
}

/// Why a run did not come to its end by itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error("there is no program {0}")]
    NotFound(String),
    #[error("{program} cannot be started")]
    Start { program: String, source: io::Error },
    #[error("its memory cannot be bounded")]
    Limit(#[source] io::Error),
    #[error("its end cannot be waited for")]
    Wait(#[source] io::Error),
    #[error("it wrote more than {limit} bytes")]
    TooMuch { limit: usize },
}

/// Runs a program to its end. Dropping the future kills it.
pub(super) async fn run(run: Run<'_>) -> Result<Ended, RunError> {
    let program = find(run.program, run.path).ok_or_else(|| RunError::NotFound(run.program.to_owned()))?;
    let mut command = Command::new(&program);
    command.args(run.arguments).env_clear().envs(run.environment.iter().copied());
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if run.input.is_some() { Stdio::piped() } else { Stdio::null() });
    if let Some(directory) = run.directory {
        command.current_dir(directory);
    }
    let start = |source| RunError::Start { program: run.program.to_owned(), source };
    let mut child = command.spawn().map_err(start)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut group = Group::of(child).ok_or_else(|| start(io::ErrorKind::NotFound.into()))?;
    // The program has just begun: what it holds by now is little more than its own code. From here on neither it nor
    // what it starts grows beyond the bound.
    bound(group.leader, run.bounds.memory).map_err(RunError::Limit)?;

    let feed = async {
        if let (Some(mut stdin), Some(input)) = (stdin, run.input) {
            // A program that does not read its input may have good reasons.
            drop(stdin.write_all(input.as_bytes()).await);
        }
        Ok(())
    };
    let tail = async { Ok(tail(stderr).await) };
    let wait = async { group.wait().await.map_err(RunError::Wait) };
    // The first that fails ends it all.
    let (status, output, errors, ()) =
        tokio::try_join!(wait, bounded(stdout, run.bounds.output), tail, feed)?;
    let exit = status.signal().map_or_else(|| Exit::Code(status.code().unwrap_or(-1)), Exit::Signal);
    Ok(Ended { exit, output, errors })
}

/// Where a program is: at its path, or in the first directory of `path` that has it.
fn find(program: &str, path: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return std::path::absolute(program).ok();
    }
    std::env::split_paths(path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// Bounds the address space of a process that runs.
#[cfg(target_os = "linux")]
fn bound(process: Pid, memory: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, prlimit};
    let limit = Rlimit { current: Some(memory), maximum: Some(memory) };
    match prlimit(Some(process), Resource::As, limit) {
        // One that has ended already needs no bound.
        Ok(_) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Elsewhere nobody can bound another process.
#[cfg(not(target_os = "linux"))]
fn bound(_: Pid, _: u64) -> io::Result<()> {
    Ok(())
}

/// Everything that is written, unless it is more than `limit`.
async fn bounded(from: Option<impl AsyncRead + Unpin>, limit: usize) -> Result<Vec<u8>, RunError> {
    let mut output = Vec::new();
    if let Some(from) = from {
        // A pipe that breaks has ended.
        drop(from.take(limit as u64 + 1).read_to_end(&mut output).await);
    }
    if output.len() > limit { Err(RunError::TooMuch { limit }) } else { Ok(output) }
}

/// The end of what is written; all of it is read, so that nobody waits for a full pipe.
async fn tail(from: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut from) = from else { return kept };
    let mut piece = vec![0; TAIL];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        kept.extend_from_slice(&piece[..read]);
        kept.drain(..kept.len().saturating_sub(TAIL));
    }
    kept
}

/// A process and all that it started, killed when this is dropped.
struct Group {
    child: Option<Child>,
    leader: Pid,
}

impl Group {
    /// None where the process has ended and is gone already.
    fn of(child: Child) -> Option<Self> {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Some(Self { leader: Pid::from_raw(id?)?, child: Some(child) })
    }

    /// Waits for the leader's end and ends whatever it left behind, which would live on and hold its output open.
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        let Some(child) = self.child.as_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        // Seen, but not yet collected: until then nobody else can get its number, and the right group is killed.
        let seen = exited(self.leader).await;
        if seen {
            kill(self.leader);
        }
        let status = child.wait().await?;
        if !seen {
            kill(self.leader);
        }
        self.child = None;
        collect(self.leader);
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        kill(self.leader);
        let leader = self.leader;
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                drop(child.wait().await);
                collect(leader);
            });
        }
    }
}

fn kill(group: Pid) {
    // It fails where the group has ended by itself.
    let _gone = kill_process_group(group, Signal::KILL);
}

/// Resolves when a process has ended, without collecting it; false where the system has no way to say so.
#[cfg(target_os = "linux")]
async fn exited(process: Pid) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    use tokio::signal::unix::{SignalKind, signal};
    // Listening comes first: from then on no end of a child is missed.
    let Ok(mut children) = signal(SignalKind::child()) else { return false };
    loop {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(process), look) {
            Ok(Some(_)) => return true,
            Ok(None) => {
                if children.recv().await.is_none() {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
}

#[cfg(not(target_os = "linux"))]
async fn exited(_: Pid) -> bool {
    false
}

/// Collects what a killed group leaves behind where this process is the parent of orphans, as the first process of a
/// container is: else they would stay as zombies.
fn collect(group: Pid) {
    if !matches!(reap(group), Reaped::More) {
        return;
    }
    tokio::spawn(async move {
        for _ in 0..REAPS {
            sleep(REAP).await;
            if matches!(reap(group), Reaped::None) {
                return;
            }
        }
    });
}

enum Reaped {
    /// There is nobody left, or nobody of ours.
    None,
    /// Somebody of ours is still about to end.
    More,
}

fn reap(group: Pid) -> Reaped {
    loop {
        match waitpgid(group, WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => return Reaped::More,
            Err(_) => return Reaped::None,
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn shell<'a>(script: &'a [String], bounds: Bounds) -> Run<'a> {
        Run {
            program: "sh",
            arguments: script,
            environment: vec![("PATH", "/usr/bin:/bin")],
            path: "/usr/bin:/bin",
            directory: None,
            input: None,
            bounds,
        }
    }

    fn script(text: &str) -> Vec<String> {
        vec!["-c".to_owned(), text.to_owned()]
    }

    const AMPLE: Bounds = Bounds { output: 1 << 20, memory: 1 << 30 };

    /// Whether a process exists that is not a zombie.
    fn lives(id: &str) -> bool {
        std::fs::read_to_string(format!("/proc/{id}/stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
    }

    async fn dies(id: &str) {
        while lives(id) {
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn says_how_it_ended_and_what_it_wrote() {
        let text = script("echo out; echo err >&2; exit 3");
        let ended = run(shell(&text, AMPLE)).await.unwrap();
        assert_eq!(
            (ended.exit, ended.output.as_slice(), ended.errors.as_slice()),
            (Exit::Code(3), &b"out\n"[..], &b"err\n"[..])
        );
        let text = script("kill -TERM $$");
        assert_eq!(run(shell(&text, AMPLE)).await.unwrap().exit, Exit::Signal(15));
    }

    #[tokio::test]
    async fn gets_only_the_environment_it_is_given() {
        let text = script("env | cut -d= -f1 | sort | tr '\n' ' '");
        let ended = run(shell(&text, AMPLE)).await.unwrap();
        let names = String::from_utf8(ended.output).unwrap();
        // The shell adds some of its own.
        assert!(
            names.split(' ').all(|name| ["PATH", "PWD", "SHLVL", "_", "OLDPWD", ""].contains(&name)),
            "{names}"
        );
    }

    #[tokio::test]
    async fn what_it_leaves_behind_is_ended_and_does_not_hold_it_up() {
        let text = script("sleep 1000 & echo $!");
        let ended = run(shell(&text, AMPLE)).await.unwrap();
        let left = String::from_utf8(ended.output).unwrap();
        dies(left.trim()).await;
    }

    #[tokio::test]
    async fn dropping_it_kills_all_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ids");
        let text =
            script(&format!("sleep 1000 & echo $! $$ > {0}.new; mv {0}.new {0}; sleep 1000", file.display()));
        let running = tokio::spawn(async move { run(shell(&text, AMPLE)).await.map(|_| ()) });
        while !file.exists() {
            sleep(Duration::from_millis(5)).await;
        }
        let ids = std::fs::read_to_string(&file).unwrap();
        assert!(ids.split_whitespace().all(lives));
        running.abort();
        for id in ids.split_whitespace() {
            dies(id).await;
        }
        // The leader is ours, and is collected.
        let leader = ids.split_whitespace().last().unwrap();
        while Path::new(&format!("/proc/{leader}")).exists() {
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn writes_and_holds_no_more_than_it_may() {
        let text = script("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done");
        let error = run(shell(&text, Bounds { output: 4096, ..AMPLE })).await.unwrap_err();
        assert!(matches!(error, RunError::TooMuch { limit: 4096 }), "{error}");
        let text = script("while [ $(ulimit -v) = unlimited ]; do :; done; ulimit -v");
        let ended = run(shell(&text, Bounds { memory: 64 << 20, ..AMPLE })).await.unwrap();
        assert_eq!(String::from_utf8(ended.output).unwrap().trim(), "65536");
        let text = script(
            "while [ $(ulimit -v) = unlimited ]; do :; done; head -c 300000000 /dev/zero | tail -c 200000000 | wc -c",
        );
        let ended = run(shell(&text, Bounds { memory: 64 << 20, ..AMPLE })).await.unwrap();
        assert_ne!(String::from_utf8(ended.output).unwrap().trim(), "200000000");
        let text = script("for i in 1 2 3 4 5 6 7 8; do head -c 1000 /dev/zero >&2; done; echo end >&2");
        let ended = run(shell(&text, AMPLE)).await.unwrap();
        assert!(ended.errors.len() == TAIL && ended.errors.ends_with(b"end\n"));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there() {
        let none = Run { program: "no-such-program", ..shell(&[], AMPLE) };
        assert!(matches!(run(none).await, Err(RunError::NotFound(_))));
        let none = Run { program: "/no/such/program", ..shell(&[], AMPLE) };
        assert!(matches!(run(none).await, Err(RunError::Start { .. })));
    }

    #[tokio::test]
    async fn reads_what_it_is_given() {
        let text = script("cat");
        let input = Some("x".repeat(200_000));
        let ended = run(Run { input, ..shell(&text, AMPLE) }).await.unwrap();
        assert_eq!(ended.output.len(), 200_000);
        let text = script("exit 0");
        let input = Some("x".repeat(200_000));
        assert_eq!(run(Run { input, ..shell(&text, AMPLE) }).await.unwrap().exit, Exit::Code(0));
    }
}
