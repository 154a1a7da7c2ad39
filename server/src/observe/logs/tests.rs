use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_server_config::{ByteSize, LevelNames, LogFile, LogFormat, LogLevel, Logging, LoggingProcess};
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt as _;

use super::hub::{Hub, Sink};
use super::line::Format;
use super::sinks::{Sinks, planned};
use super::target::Wanted;
use super::{event, writer};
use crate::backend::Health;

fn put(sinks: &Sinks, service: &Logging, process: &LoggingProcess) {
    let mut planned = planned(service, process, true, false);
    // What tests say on the console is said by the harness.
    planned.retain(|(name, ..)| *name != "console");
    sinks.put(planned).unwrap();
    sinks.hub().set_level(service.level());
}

/// A hub without a console.
pub(crate) fn hub(service: &Logging, process: &LoggingProcess) -> Arc<Hub> {
    let sinks = Sinks::default();
    put(&sinks, service, process);
    sinks.hub().clone()
}

fn file(path: &Path) -> LoggingProcess {
    let path = Some(path.display().to_string());
    LoggingProcess { text_format: None, file: Some(LogFile { path, ..LogFile::default() }) }
}

/// What is written to a log file meanwhile.
pub(crate) fn to_file(format: LogFormat, log: impl FnOnce(&Arc<Hub>)) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let service = Logging { format: Some(format), ..Logging::default() };
    let hub = hub(&service, &file(&path));
    log(&hub);
    assert!(hub.flush());
    fs::read_to_string(&path).unwrap()
}

/// Tells events of `tracing` to a hub.
fn telling(hub: &Arc<Hub>, tell: impl FnOnce()) {
    let subscriber = tracing_subscriber::registry().with(event::ToSinks(hub.clone()));
    tracing::subscriber::with_default(subscriber, tell);
}

fn read(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn until(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !check() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn dropped(hub: &Hub) -> u64 {
    let registry = prometheus::Registry::new();
    hub.register(&registry);
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "mcp_server_log_dropped_total");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    family.map_or(0, |family| family.get_metric().iter().map(|m| m.get_counter().get_value() as u64).sum())
}

#[test]
fn events_become_lines_with_their_fields() {
    let written = to_file(LogFormat::Json, |hub| {
        telling(hub, || {
            let error = std::io::Error::other("it broke");
            tracing::warn!(number = 7, yes = true, half = 0.5, what = "a\nb", %error, "something happened");
        });
    });
    let line: Value = serde_json::from_str(written.trim_end()).unwrap();
    for (key, expected) in [
        ("level", Value::from("WARN")),
        ("message", "something happened".into()),
        ("module", "tests".into()),
        ("function", "events_become_lines_with_their_fields".into()),
        ("number", 7.into()),
        ("yes", true.into()),
        ("half", 0.5.into()),
        ("what", "a\nb".into()),
        ("error", "it broke".into()),
    ] {
        assert_eq!(line[key], expected, "{key}");
    }
    assert!(line["line"].as_u64().unwrap() > 0);
    assert_eq!(line["logger"], "mcp_server.observe.logs.tests");
}

#[test]
fn nothing_is_lost_and_the_order_is_kept_by_many_threads() {
    const LINES: usize = 5000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let mut process = file(&path);
    let limits = process.file.as_mut().unwrap();
    (limits.max_size, limits.backups) = (Some(ByteSize::from_bytes(100_000)), Some(200));
    let hub = hub(&Logging::default(), &process);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let hub = &hub;
            scope.spawn(move || {
                telling(hub, || (0..LINES).for_each(|n| tracing::info!(thread, n, "line")));
            });
        }
    });
    assert!(hub.flush());
    assert_eq!(dropped(&hub), 0);
    let name = |number: usize| {
        if number == 0 { path.clone() } else { PathBuf::from(format!("{}.{number}", path.display())) }
    };
    let files: Vec<_> = (0..).map(name).take_while(|file| file.exists()).collect();
    assert!(files.len() > 10, "{}", files.len());
    let mut next = [0; 4];
    for file in files.iter().rev() {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.len() < 100_000 && text.ends_with('\n'));
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let thread = usize::try_from(line["thread"].as_u64().unwrap()).unwrap();
            assert_eq!(line["n"], next[thread]);
            next[thread] += 1;
        }
    }
    assert_eq!(next, [LINES; 4]);
}

#[test]
fn errors_stand_in_their_own_file_too() {
    let directory = tempfile::tempdir().unwrap();
    let (path, errors) = (directory.path().join("log"), directory.path().join("errors"));
    let mut process = file(&path);
    process.file.as_mut().unwrap().errors_path = Some(errors.display().to_string());
    let hub = hub(&Logging::default(), &process);
    telling(&hub, || {
        tracing::info!("fine");
        tracing::warn!("so so");
        tracing::error!("bad");
    });
    assert!(hub.flush());
    let messages = |path| read(path).iter().map(|line| line["message"].clone()).collect::<Vec<_>>();
    assert_eq!(messages(&path), ["fine", "so so", "bad"]);
    assert_eq!(messages(&errors), ["bad"]);
}

#[test]
fn a_pipe_that_nobody_reads_holds_nobody_up_and_what_was_lost_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let hub = Arc::new(Hub::new());
    let queue = hub.queue("file", 64 * 1024);
    let wanted = Wanted::File { path: pipe.clone(), max_size: 1000, backups: 3 };
    // What the pipe itself holds is written before anybody reads.
    writer::start("file", queue.clone(), wanted.open().unwrap(), hub.clone()).unwrap();
    hub.replace(vec![Sink {
        name: "file",
        format: Format::Json(LevelNames::Short),
        least: LogLevel::Trace,
        queue,
    }]);
    let begun = Instant::now();
    let mut told = 0_u64;
    telling(&hub, || {
        while dropped(&hub) < 1000 {
            (0..100).for_each(|_| tracing::info!(n = told, "a line that nobody reads"));
            told += 100;
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // Now somebody reads.
    let (lines, received) = std::sync::mpsc::channel();
    let reader = fs::File::open(&pipe).unwrap();
    std::thread::spawn(move || {
        use std::io::BufRead as _;
        for line in std::io::BufReader::new(reader).lines().map_while(Result::ok) {
            let _gone = lines.send(line);
        }
    });
    let (mut got, mut lost) = (0, 0);
    while got + lost < told {
        let line = received.recv_timeout(Duration::from_secs(30)).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        match line["lost"].as_u64() {
            Some(number) => lost += number,
            None => got += 1,
        }
    }
    assert_eq!((got + lost, lost), (told, dropped(&hub)), "each line is there or among the lost");
    assert!(!directory.path().join("pipe.1").exists(), "a pipe is not rotated");
}

#[test]
fn a_full_disk_degrades_and_another_file_makes_it_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let sinks = Sinks::default();
    put(&sinks, &Logging::default(), &file(Path::new("/dev/full")));
    let hub = sinks.hub();
    telling(hub, || tracing::info!("kept"));
    let health = hub.health();
    until(
        "the health says so",
        || matches!(&*health.borrow(), Health::Degraded(why) if why.contains("/dev/full") && why.contains("space")),
    );
    put(&sinks, &Logging::default(), &file(&path));
    assert!(hub.flush());
    let messages: Vec<_> =
        read(&path).iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect();
    assert_eq!(messages[0], "kept", "what waited was not lost: {messages:?}");
    assert!(messages[1].contains("cannot be written"), "{messages:?}");
    until("and all is well", || *health.borrow() == Health::Healthy);
}

#[test]
fn formats_and_files_change_while_lines_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    let sinks = Sinks::default();
    put(&sinks, &Logging::default(), &file(&one));
    telling(sinks.hub(), || tracing::info!("first"));
    let mut text = file(&two);
    text.text_format = Some("%(levelname)s|%(message)s".into());
    put(&sinks, &Logging::default(), &text);
    telling(sinks.hub(), || tracing::info!("second"));
    assert!(sinks.hub().flush());
    assert_eq!(read(&one)[0]["message"], "first");
    assert_eq!(fs::read_to_string(&two).unwrap(), "INFO|second\n");
    put(&sinks, &Logging::default(), &LoggingProcess::default());
    telling(sinks.hub(), || tracing::info!("nowhere"));
    assert!(sinks.hub().flush());
    assert_eq!(fs::read_to_string(&two).unwrap(), "INFO|second\n");
}

#[test]
fn files_that_were_moved_away_are_reopened_when_that_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let sinks = Sinks::default();
    put(&sinks, &Logging::default(), &file(&path));
    telling(sinks.hub(), || tracing::info!("before"));
    assert!(sinks.hub().flush());
    fs::rename(&path, directory.path().join("moved")).unwrap();
    assert_eq!(sinks.reopen().unwrap(), 1);
    telling(sinks.hub(), || tracing::info!("after"));
    assert!(sinks.hub().flush());
    assert_eq!(read(&directory.path().join("moved"))[0]["message"], "before");
    assert_eq!(read(&path)[0]["message"], "after");
}

#[test]
fn a_file_that_cannot_be_opened_changes_nothing_and_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let sinks = Sinks::default();
    put(&sinks, &Logging::default(), &file(&path));
    let in_a_file = file(&path.join("below"));
    let error = sinks.put(planned(&Logging::default(), &in_a_file, true, false)).unwrap_err().to_string();
    assert!(error.contains("logging.file.path") && error.contains("/tmp"), "{error}");
    telling(sinks.hub(), || tracing::info!("still here"));
    assert!(sinks.hub().flush());
    assert_eq!(read(&path)[0]["message"], "still here");
}

#[test]
fn where_lines_go_and_how_they_look() {
    let python = |text: &str| LoggingProcess { text_format: Some(text.into()), file: None };
    let json = Logging { format: Some(LogFormat::Json), ..Logging::default() };
    let text = Logging { format: Some(LogFormat::Text), ..Logging::default() };
    let none = Logging::default();
    let shown = |service: &Logging, process: &LoggingProcess, taken, terminal| {
        let (_, place, format, _) = planned(service, process, taken, terminal).remove(0);
        let format = match format {
            Format::Json(_) => "json",
            Format::Plain { colours: true } => "colours",
            Format::Plain { colours: false } => "plain",
            Format::Python(_) => "python",
        };
        (place, format)
    };
    let plain = LoggingProcess::default();
    let message = python("%(message)s");
    for (service, process, taken, terminal, expected) in [
        (&none, &plain, false, false, (Wanted::Stdout, "json")),
        (&none, &plain, true, false, (Wanted::Stderr, "json")),
        (&none, &plain, false, true, (Wanted::Stderr, "colours")),
        (&none, &message, false, false, (Wanted::Stderr, "python")),
        (&json, &message, false, true, (Wanted::Stdout, "json")),
        (&json, &plain, true, true, (Wanted::Stderr, "json")),
        (&text, &plain, false, false, (Wanted::Stderr, "plain")),
        (&text, &message, true, true, (Wanted::Stderr, "python")),
    ] {
        assert_eq!(shown(service, process, taken, terminal), expected, "{service:?} {process:?}");
    }
}
