use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mcp_server_config::Tool;
use mcp_server_config::compile::{CompiledTools, compile};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pool::{Pool, PoolLimits};
use super::{DeclaredTools, answer};
use crate::backend::{Answer, Backend, Call, CallError, Cx, Health, Outcome};
use crate::protocol::raw::Raw;

fn compiled(tools: &[Tool]) -> CompiledTools {
    compile(tools).unwrap_or_else(|violations| panic!("{violations:?}"))
}

fn cel(name: &str, source: &str) -> Tool {
    Tool { name: name.to_owned(), cel: Some(source.to_owned()), ..Tool::default() }
}

fn text(name: &str, text: &str) -> Tool {
    Tool { name: name.to_owned(), text: Some(text.to_owned()), ..Tool::default() }
}

fn schema(schema: &Value) -> Option<serde_json::Map<String, Value>> {
    schema.as_object().cloned()
}

fn cx() -> Cx {
    Cx::new(
        crate::auth::principal::Caller::default(),
        Instant::now() + Duration::from_secs(60),
        CancellationToken::new(),
    )
}

fn call(tool: &str, arguments: &str) -> Call {
    Call::tool(tool, Some(Raw::check(Bytes::copy_from_slice(arguments.as_bytes())).unwrap()))
}

async fn answer_of(tools: &Arc<DeclaredTools>, tool: &str, arguments: &str) -> Answer {
    match Arc::clone(tools).call(call(tool, arguments), cx()).await.unwrap() {
        Outcome::Complete(answer) => answer,
        other => panic!("{other:?}"),
    }
}

/// The result of a tool, as JSON.
async fn result(tool: Tool, arguments: &str) -> Value {
    let name = tool.name.clone();
    let tools = DeclaredTools::new(compiled(&[tool]));
    let answer = answer_of(&tools, &name, arguments).await;
    let result: Value = serde_json::from_str(answer.result.as_str()).unwrap();
    assert_eq!(answer.is_error, result.get("isError") == Some(&json!(true)));
    result
}

/// The text of an error result.
async fn error(tool: Tool, arguments: &str) -> String {
    let result = result(tool, arguments).await;
    assert_eq!(result["isError"], true, "{result}");
    assert_eq!(result.get("structuredContent"), None);
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

fn text_block(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

#[tokio::test]
async fn a_string_is_a_text_block() {
    let greet = cel("greet", r#""Hello, " + args.name + "!""#);
    assert_eq!(result(greet, r#"{"name": "Ada \"é\" \n"}"#).await, text_block("Hello, Ada \"é\" \n!"));
}

#[tokio::test]
async fn any_other_value_is_structured_content_and_its_json_as_text() {
    for (source, arguments, expected) in [
        ("args.n + 1", r#"{"n": 41}"#, json!(42)),
        ("args.n - 1", r#"{"n": -41}"#, json!(-42)),
        ("args.n * 2", r#"{"n": 21.0}"#, json!(42)),
        ("args.n + 1", r#"{"n": 1e3}"#, json!(1001)),
        ("args.n", r#"{"n": 9223372036854775807}"#, json!(i64::MAX)),
        ("args.n", r#"{"n": -9223372036854775808}"#, json!(i64::MIN)),
        ("args.n", r#"{"n": 18446744073709551615}"#, json!(u64::MAX)),
        ("args.n - 1u", r#"{"n": 18446744073709551615}"#, json!(u64::MAX - 1)),
        ("args.n", r#"{"n": 1e300}"#, json!(1e300)),
        ("double(args.n) * 1.5", r#"{"n": 2}"#, json!(3.0)),
        ("args.n * 1.5", r#"{"n": 2.5}"#, json!(3.75)),
        ("args.list.map(x, x * 2)", r#"{"list": [1, 2, 3]}"#, json!([2, 4, 6])),
        ("args.list.filter(x, x in [1, 3]).map(x, x + 1)", r#"{"list": [1, 2, 3]}"#, json!([2, 4])),
        (
            "{'b': args.x, 'a': [1u, null, true, b'hi']}",
            r#"{"x": {"y": 1.25}}"#,
            json!({"a": [1, null, true, "aGk="], "b": {"y": 1.25}}),
        ),
        ("{1: 'one', true: 'yes'}", "{}", json!({"1": "one", "true": "yes"})),
        ("args", r#"{"z": 1, "a": {}}"#, json!({"a": {}, "z": 1})),
        ("has(args.name)", "{}", json!(false)),
        ("args.?n.orValue(7)", "{}", json!(7)),
        ("args['a-b'] == null", r#"{"a-b": null}"#, json!(true)),
        ("type(args.n) == int", r#"{"n": 3}"#, json!(true)),
        ("null", "{}", json!(null)),
    ] {
        let result = result(cel("t", source), arguments).await;
        let json = serde_json::to_string(&expected).unwrap();
        assert_eq!(
            result,
            json!({"content": [{"type": "text", "text": json}], "structuredContent": expected}),
            "{source}"
        );
    }
}

#[tokio::test]
async fn legacy_clients_see_structured_content_only_if_it_is_an_object() {
    let tools =
        DeclaredTools::new(compiled(&[cel("list", "[1]"), cel("map", "{'a': 1}"), cel("text", "'a'")]));
    let list = answer_of(&tools, "list", "{}").await;
    assert_eq!(list.for_legacy().as_str(), r#"{"content":[{"type":"text","text":"[1]"}]}"#);
    for tool in ["map", "text"] {
        assert!(answer_of(&tools, tool, "{}").await.legacy.is_none(), "{tool}");
    }
}

#[tokio::test]
async fn errors_of_evaluation_are_results_that_say_why() {
    for (source, arguments, expected) in [
        ("'a' + args.name", "{}", "there is no \"name\"; perhaps an argument is missing"),
        ("'a' + args.n", r#"{"n": 1}"#, "+ does not work on (string, int)"),
        ("args.n + 0.5", r#"{"n": 2.0}"#, "+ does not work on (int, double)"),
        ("1 / args.n", r#"{"n": 0}"#, "division by zero"),
        ("1 % args.n", r#"{"n": 0}"#, "division by zero"),
        ("args.n + 1", r#"{"n": 9223372036854775807}"#, "a number is too large"),
        ("args.list[3]", r#"{"list": [1]}"#, "an index is beyond the end of its list"),
        ("{'a': 1, args.k: 2}", r#"{"k": "a"}"#, "a map has the same key twice"),
        ("int(args.s)", r#"{"s": "x"}"#, "int: "),
        ("args.x.map(y, y)", r#"{"x": 1}"#, "instead of iterable"),
        ("args.x > 1", r#"{"x": "a"}"#, "> does not work on (string, int)"),
        ("args.x / 0.0", r#"{"x": 1.5}"#, "which JSON cannot express"),
        ("args.?x", "{}", "JSON cannot express; an optional is opened with orValue()"),
        ("{1: 'a', '1': 'b'}", "{}", "two keys are written \"1\" in JSON"),
    ] {
        let message = error(cel("t", source), arguments).await;
        assert!(message.contains(expected), "{source}: {message}");
        assert!(message.chars().count() < 400, "{message}");
    }
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_named_with_what_was_expected() {
    let strict = || Tool {
        input_schema: schema(&json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 2},
                "count": {"type": "integer", "maximum": 9},
                "items": {"type": "array", "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}}
            },
            "required": ["name"],
            "additionalProperties": false
        })),
        ..cel("strict", "'fine'")
    };
    assert_eq!(
        result(strict(), r#"{"name": "Ada", "count": 3.0, "items": [{"id": 1}]}"#).await,
        text_block("fine")
    );
    let message =
        error(strict(), r#"{"count": "a", "items": [{"id": 1}, {"id": "two"}, {}], "extra": 1}"#).await;
    for line in [
        "The arguments do not fit the tool's input schema:",
        "- arguments: \"name\" is a required property",
        "- arguments.count: the value is not of type \"integer\"",
        "- arguments.items[1].id: the value is not of type \"integer\"",
        "- arguments.items[2]: \"id\" is a required property",
        "'extra' was unexpected",
        "Correct them and call the tool again.",
    ] {
        assert!(message.contains(line), "{line:?} is not in {message}");
    }
    let many: Vec<Value> = (0..30).map(|n| json!({"id": n.to_string()})).collect();
    let message = error(strict(), &json!({"name": "Ada", "items": many}).to_string()).await;
    assert_eq!(message.lines().count(), 13, "{message}");
    assert!(message.contains("- and more"), "{message}");
}

#[tokio::test]
async fn arguments_must_be_an_object() {
    for arguments in ["[]", "1", "null", "\"x\""] {
        for tool in [cel("t", "'x'"), text("t", "x")] {
            assert!(error(tool, arguments).await.contains("must be a JSON object"), "{arguments}");
        }
    }
    let tools = DeclaredTools::new(compiled(&[text("t", "x"), cel("c", "args")]));
    for (tool, expected) in [
        ("t", text_block("x")),
        ("c", json!({"content": [{"type": "text", "text": "{}"}], "structuredContent": {}})),
    ] {
        let call = Call::tool(tool, None);
        let Ok(Outcome::Complete(answer)) = Arc::clone(&tools).call(call, cx()).await else {
            panic!("{tool} has no answer")
        };
        assert_eq!(serde_json::from_str::<Value>(answer.result.as_str()).unwrap(), expected);
    }
}

#[tokio::test]
async fn texts_are_filled_with_arguments() {
    for (template, arguments, expected) in [
        ("Hello", "{}", "Hello"),
        ("Hello, {{args.name}}!", r#"{"name": "Ada \u00e9 {{args.x}}"}"#, "Hello, Ada é {{args.x}}!"),
        ("{{args.n}} {{args.b}} {{args.z}}", r#"{"n": 1.50, "b": true, "z": null}"#, "1.50 true null"),
        ("{{args.big}}", r#"{"big": 123456789012345678901234567890}"#, "123456789012345678901234567890"),
        (
            "{{args.o}} {{args.o.x.y}}",
            r#"{"o": {"x": {"y": "deep"}, "a": [1]}}"#,
            r#"{"x": {"y": "deep"}, "a": [1]} deep"#,
        ),
        ("{{args.list.1}} {{ args.list }}", r#"{"list": ["a", "b"]}"#, r#"b ["a", "b"]"#),
        ("{{args}}", r#"{"a":1}"#, r#"{"a":1}"#),
        (r"\{{args.x}}", "{}", "{{args.x}}"),
    ] {
        assert_eq!(result(text("t", template), arguments).await, text_block(expected), "{template}");
    }
}

#[tokio::test]
async fn missing_arguments_of_a_text_are_all_named() {
    for (template, arguments, expected) in [
        ("{{args.a}} {{args.b}} {{args.c.d}} {{args.b}}", r#"{"a": 1}"#, "Missing arguments: b, c.d."),
        ("{{args.list.3}} {{args.list.x}}", r#"{"list": [1]}"#, "Missing arguments: list.3, list.x."),
        ("{{args.s.x}}", r#"{"s": "text"}"#, "Missing arguments: s.x."),
    ] {
        assert!(error(text("t", template), arguments).await.contains(expected), "{template}");
    }
}

#[tokio::test]
async fn a_promised_structure_is_checked() {
    let promised = |source: &str| Tool {
        output_schema: schema(
            &json!({"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}),
        ),
        ..cel("t", source)
    };
    let kept = result(promised("{'sum': args.a + 1}"), r#"{"a": 1}"#).await;
    assert_eq!(kept["structuredContent"], json!({"sum": 2}));
    let broken = error(promised("{'sum': string(args.a)}"), r#"{"a": 1}"#).await;
    assert!(broken.contains("- result.sum: the value is not of type \"integer\""), "{broken}");
    assert!(error(promised("[1]"), "{}").await.contains("- result: the value is not of type \"object\""));
    assert!(error(promised("'text'"), "{}").await.contains("worked out a text"));
}

#[tokio::test]
async fn sizes_are_bounded() {
    let long = |bytes: usize| json!({"s": "x".repeat(bytes), "list": vec![1; bytes / 32]}).to_string();
    // Large arguments that cost little are served, by the pool.
    let answer = result(cel("t", "args.s.size() + args.list.size()"), &long(320_000)).await;
    assert_eq!(answer["structuredContent"], 330_000);
    let heavy = error(cel("t", "args.s.size()"), &long(2_000_000)).await;
    assert!(heavy.contains("The arguments are too large: they weigh"), "{heavy}");
    let squared = error(cel("t", "args.list.filter(x, x in args.list)"), &long(300_000)).await;
    assert!(squared.contains("too large for what it does with them"), "{squared}");
    let result = error(cel("t", "args.s + args.s"), &json!({"s": "x".repeat(600_000)}).to_string()).await;
    assert!(result.contains("The result is larger than"), "{result}");
    let result =
        error(text("t", "{{args.s}}{{args.s}}"), &json!({"s": "x".repeat(600_000)}).to_string()).await;
    assert!(result.contains("The result is larger than"), "{result}");
}

/// The cost model promises that whatever it accepts ends soon: try the worst that it accepts.
#[tokio::test]
async fn the_heaviest_accepted_calls_end_soon() {
    for source in [
        "args.a.filter(x, x in args.a).size()",
        "args.a.map(x, args.s).size()",
        "args.a.map(x, [x, x, x, x]).map(y, [y, y, y, y]).size()",
        "args.a.filter(x, args.s.matches('a.*b.*c')).size()",
        "args.a.map(x, args.a == args.a).size()",
        "[args.s + args.s + args.s + args.s].map(a, a + a + a + a + a + a + a + a + a + a).size()",
        "args.a.map(x, string(x) + args.s).all(y, y != args.s)",
    ] {
        let tools = compiled(&[cel("t", source)]);
        let mcp_server_config::compile::Body::Cel(program) = tools.iter().next().unwrap().body() else {
            panic!("not cel")
        };
        let half = (program.limits().accepted - 200) / 2;
        let arguments = json!({"s": "a".repeat(half), "a": (0..half / 32).collect::<Vec<_>>()}).to_string();
        let tools = DeclaredTools::new(tools);
        let started = Instant::now();
        let answer = answer_of(&tools, "t", &arguments).await;
        assert!(
            !answer.is_error,
            "{source}: {}",
            &answer.result.as_str()[..200.min(answer.result.as_str().len())]
        );
        println!("{:>10} {:?} {source}", 2 * half, started.elapsed());
        assert!(started.elapsed() < Duration::from_secs(15), "{source}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn calls_that_no_tool_can_answer_are_errors() {
    let tools = DeclaredTools::new(compiled(&[text("t", "x")]));
    let unknown = Arc::clone(&tools).call(call("nope", "{}"), cx()).await;
    assert!(matches!(unknown, Err(CallError::Unknown)));
    let late = Cx { deadline: Instant::now(), ..cx() };
    assert!(matches!(Arc::clone(&tools).call(call("t", "{}"), late).await, Err(CallError::Timeout)));
    let gone = cx();
    gone.cancel.cancel();
    assert!(matches!(Arc::clone(&tools).call(call("t", "{}"), gone).await, Err(CallError::Cancelled)));
}

#[tokio::test]
async fn the_catalogue_lists_tools_as_declared_and_changes_with_them() {
    let names = |tools: &DeclaredTools| {
        tools.catalogue().borrow().tools.iter().map(|tool| tool.name.to_string()).collect::<Vec<_>>()
    };
    let tools = DeclaredTools::new(compiled(&[text("z", "1"), text("a", "2")]));
    let mut catalogue = tools.catalogue();
    assert_eq!(names(&tools), ["z", "a"]);
    assert_eq!(
        catalogue.borrow_and_update().tools[0].definition.as_str(),
        r#"{"name":"z","inputSchema":{"type":"object"}}"#
    );
    // Another text is another answer, and the same list.
    tools.replace(compiled(&[text("z", "new"), text("a", "2")]));
    assert!(!catalogue.has_changed().unwrap());
    assert!(answer_of(&tools, "z", "{}").await.result.as_str().contains("new"));
    tools.replace(compiled(&[text("a", "2"), text("z", "new")]));
    assert!(catalogue.has_changed().unwrap());
    assert_eq!(names(&tools), ["a", "z"]);
    tools.replace(CompiledTools::default());
    assert!(matches!(Arc::clone(&tools).call(call("a", "{}"), cx()).await, Err(CallError::Unknown)));
}

#[tokio::test]
async fn draining_waits_for_calls_and_no_longer_than_told() {
    let tools = DeclaredTools::new(compiled(&[text("t", "x")]));
    tools.drain(Instant::now() + Duration::from_secs(60)).await;
    let running = Arc::clone(&tools).call(call("t", "{}"), cx());
    let started = Instant::now();
    tools.drain(started + Duration::from_millis(50)).await;
    assert!(started.elapsed() >= Duration::from_millis(50));
    let drained = tokio::spawn({
        let tools = Arc::clone(&tools);
        async move { tools.drain(Instant::now() + Duration::from_secs(60)).await }
    });
    tokio::task::yield_now().await;
    running.await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), drained).await.unwrap().unwrap();
}

// === the pool ===

const ONE: PoolLimits = PoolLimits { threads: 1, queue: 2, abandoned: 1, stack: 1 << 20 };

fn done() -> Answer {
    answer::text("done", answer::MAX_RESULT)
}

/// Work that goes on until it is let go.
fn stuck() -> (Arc<AtomicBool>, super::Work) {
    let let_go = Arc::new(AtomicBool::new(false));
    let waits_for = Arc::clone(&let_go);
    let work = Box::new(move || {
        while !waits_for.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        done()
    });
    (let_go, work)
}

#[tokio::test]
async fn an_abandoned_evaluation_blocks_nobody() {
    let pool = Pool::new(ONE);
    let mut health = pool.health();
    let (let_go, work) = stuck();
    let pending = pool.submit(work).unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(200), pending).await.is_err());
    assert!(
        matches!(&*health.borrow_and_update(), Health::Degraded(why) if why.contains("overran its deadline"))
    );
    // As many as may be are abandoned: no more is taken on.
    assert!(matches!(pool.submit(Box::new(done)), Err(CallError::Overloaded)));
    let_go.store(true, Ordering::SeqCst);
    tokio::time::timeout(Duration::from_secs(5), health.changed()).await.unwrap().unwrap();
    assert_eq!(*health.borrow_and_update(), Health::Healthy);
    pool.submit(Box::new(done)).unwrap().await.unwrap();
}

#[tokio::test]
async fn another_thread_serves_while_one_is_abandoned() {
    let pool = Pool::new(PoolLimits { abandoned: 2, ..ONE });
    let (let_go, work) = stuck();
    let pending = pool.submit(work).unwrap();
    let waiting = pool.submit(Box::new(done)).unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(200), pending).await.is_err());
    tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    let_go.store(true, Ordering::SeqCst);
}

#[tokio::test]
async fn what_waits_is_bounded_and_leaves_when_nobody_waits_for_it() {
    let pool = Pool::new(ONE);
    let (let_go, work) = stuck();
    let first = pool.submit(work).unwrap();
    // The thread has taken the first once the queue is empty again.
    while !format!("{pool:?}").contains("queued: 0") {
        tokio::task::yield_now().await;
    }
    let ran = Arc::new(AtomicUsize::new(0));
    let count = || -> super::Work {
        let ran = Arc::clone(&ran);
        Box::new(move || {
            ran.fetch_add(1, Ordering::SeqCst);
            done()
        })
    };
    let second = pool.submit(count()).unwrap();
    let third = pool.submit(count()).unwrap();
    assert!(matches!(pool.submit(count()), Err(CallError::Overloaded)));
    drop(second);
    let fourth = pool.submit(count()).unwrap();
    let_go.store(true, Ordering::SeqCst);
    for pending in [first, third, fourth] {
        pending.await.unwrap();
    }
    assert_eq!(ran.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_panic_costs_one_call() {
    let pool = Pool::new(ONE);
    let panics = pool.submit(Box::new(|| panic!("on purpose"))).unwrap();
    assert!(matches!(panics.await, Err(CallError::Panicked(_))));
    pool.submit(Box::new(done)).unwrap().await.unwrap();
}

#[tokio::test]
async fn a_call_that_overruns_its_deadline_times_out() {
    let tools = DeclaredTools::with_limits(
        compiled(&[cel("slow", "args.a.filter(x, x in args.a).size()")]),
        PoolLimits { threads: 1, queue: 8, abandoned: 1, stack: 8 << 20 },
    );
    // Millions of comparisons: on a busy machine, too, they take longer than the timer is late.
    let arguments = json!({"a": (0..4000).collect::<Vec<_>>()}).to_string();
    let cx = Cx { deadline: Instant::now() + Duration::from_micros(300), ..cx() };
    let outcome = Arc::clone(&tools).call(call("slow", &arguments), cx).await;
    assert!(matches!(outcome, Err(CallError::Timeout)), "{outcome:?}");
    let gone = CancellationToken::new();
    let cancelled =
        Arc::clone(&tools).call(call("slow", &arguments), Cx { cancel: gone.clone(), ..self::cx() });
    gone.cancel();
    assert!(matches!(cancelled.await, Err(CallError::Cancelled)));
}
