//! Expressions: what compiles, what is refused, and what they cost.

use super::{assert_wrong, cel, wrong};
use crate::compile::cost::MAX_WEIGHT;
use crate::compile::{Body, CelProgram, compile};

#[test]
fn sound_expressions_compile() {
    for source in [
        r#""Hello, " + args.name + "!""#,
        "args.n + 1",
        "{'sum': args.a + args.b, 'list': [1, 2u, 3.5, true, null, b'x']}",
        "args.list.map(x, x * 2)",
        "args.list.filter(x, x > 2).map(x, x + 1)",
        "args.list.exists(x, x == args.wanted) && args.list.all(x, x > 0) && args.list.exists_one(x, x == 1)",
        "has(args.name) ? args.name : 'you'",
        "args.?name.orValue('you')",
        "optional.of(1).hasValue()",
        "args['a-name'].size() + size(args.list)",
        "args.s.matches('^[a-z]+$') && args.s.startsWith('a') && args.s.endsWith('z') && args.s.contains('m')",
        "type(args.x) == int ? string(args.x) : string(double(args.x))",
        "1 in args.list // with a comment (((((",
        r#"r"\(((((((((((((((((((((((((((((((((((((((((((" + '"((((((((((((((((((((((((((((((((((((((((("'"#,
        "'''\n((((((((((((((((((((((((((((((((((((\n'''",
        r#""\a\b\f\n\r\t\v\"\'\\\?\`\x41é\U0001F600\101""#,
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
        "args.n in\n  [1,\n   2]",
    ] {
        assert_eq!(wrong(&cel(source)), [""; 0], "{source}");
    }
}

#[test]
fn broken_expressions_are_refused_with_position_and_reason() {
    for (source, expected) in [
        ("", "tools[0].cel: is empty"),
        (" \n ", "tools[0].cel: is empty"),
        (
            "1 +",
            "is not a CEL expression: the expression ends too early; correct it there (line 1, column 4)",
        ),
        ("(1", "the expression ends too early, ')' is missing;"),
        ("{\"a\" 1}", "':' is missing before what stands here;"),
        ("1 2", "what stands here does not belong there;"),
        ("1 + )", "')' does not belong there;"),
        ("args.", "nothing that fits follows here;"),
        ("args.a ? 1", "a part of the expression is missing;"),
        ("args.a @ 1", "'@' is not part of the language;"),
        ("\"a\" +\n  + args.n", "(line 2, column 3)"),
        ("name", "names an unknown variable; only args is known, as in args.name (line 1, column 1)"),
        ("arg.name", "names an unknown variable; did you mean args? (line 1, column 1)"),
        ("args.list.map(x, y)", "unknown variable"),
        ("[1].map(x, x)[0] + x", "unknown variable"),
        (".args", "unknown variable"),
        ("args.name.upper()", "calls an unknown function"),
        ("now()", "calls an unknown function"),
        ("math.max(1, 2)", "unknown"),
        ("timestamp('2026-01-01T00:00:00Z')", "calls an unknown function"),
        ("args.list.map(x, y, z, x)", "calls an unknown function"),
        ("has(args)", "invalid argument to has() macro"),
        ("google.Thing{name: 1}", "there are no message types"),
        ("args.s.matches(args.pattern)", "computes the pattern of matches"),
        ("args.s.matches('(')", "has a bad regular expression: unclosed group"),
        ("matches(args.s, '(?=a)')", "has a bad regular expression: look-around"),
        (r"args.s.matches('(\\w{200}){200}')", "has a bad regular expression: it is too large"),
        ("args.l.map(x, args.l.map(y, y))", "has a comprehension inside another"),
        ("args.l.all(x, x.exists(y, y == 1))", "has a comprehension inside another"),
        ("\"abc", "has a string that does not end"),
        ("'a\nb'", "has a string that does not end"),
        ("'''abc", "has a string that does not end"),
        (r#""\q""#, "has an unknown escape"),
        (r#""\u12""#, "has an unknown escape"),
        (r#""\400""#, "has an unknown escape"),
        (r#"1r"\" + (((""#, "has a string right behind a name or number"),
        ("args.`a-b`", "has a backtick"),
    ] {
        assert_wrong(&cel(source), expected);
    }
}

#[test]
fn what_grows_without_end_is_refused() {
    let doubled = |times: usize| cel(&format!("[1]{}", ".map(a, [a, a])".repeat(times)));
    assert_eq!(wrong(&doubled(6)), [""; 0]);
    assert_wrong(&doubled(30), "tools[0].cel: costs too much even with small arguments");
    // A pattern that is compiled for each item of a list is dear, and not out of the question.
    assert_eq!(wrong(&cel("args.list.filter(x, x.matches('^a'))")), [""; 0]);
}

/// The deepest and longest that is allowed, on half of the smallest stack in use: evaluating needs it as well.
#[test]
fn the_deepest_allowed_fits_a_small_stack() {
    let nested = |open: &str, core: &str, close: &str, times: usize| {
        cel(&format!("{}{core}{}", open.repeat(times), close.repeat(times)))
    };
    let tools = vec![
        nested("(", "1", ")", 32),
        nested("[", "1", "]", 32),
        nested("{1:", "1", "}", 32),
        nested("int(", "1", ")", 32),
        nested("true?1:", "1", "", 32),
        nested("-(", "1", ")", 16),
        nested("", "1", "+1", 256),
        nested("", "args", ".a", 256),
        nested("", "args", "[0]", 256),
        nested("((((((((", "1", "+1+1+1+1+1+1)+1+1+1)+1+1+1)+1+1+1)+1+1+1)+1+1+1)+1+1+1)+1+1+1)", 4),
    ];
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
        for tool in &tools {
            let program =
                CelProgram::compile_over(tool.cel.as_deref().unwrap(), &[crate::compile::cel::ARGUMENTS])
                    .unwrap_or_else(|problems| panic!("{tool:?}: {problems:?}"));
            let mut context = ::cel::Context::with_env(crate::compile::cel::environment());
            context.add_variable_from_value("args", ::cel::Value::Null);
            drop(program.program().execute(&context));
        }
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn limits_follow_from_what_an_expression_does() {
    let limits = |source: &str| {
        let tools = compile(&[cel(source)]).unwrap_or_else(|violations| panic!("{source}: {violations:?}"));
        let tool = tools.iter().next().unwrap();
        let Body::Cel(program) = tool.body() else { panic!("not cel") };
        program.limits()
    };
    let greet = limits(r#""Hello, " + args.name + "!""#);
    assert_eq!(greet.accepted, MAX_WEIGHT);
    assert!((2_000..20_000).contains(&greet.cheap), "{greet:?}");
    // One loop still takes nearly all there is, and is cheap for a few items.
    let once = limits("args.list.map(x, x * 2)");
    assert!(once.accepted > MAX_WEIGHT / 2, "{once:?}");
    assert!((200..5_000).contains(&once.cheap), "{once:?}");
    // A list looked through for each item of another does not.
    let squared = limits("args.a.filter(x, x in args.b)");
    assert!((10_000..100_000).contains(&squared.accepted), "{squared:?}");
    // Neither does one that multiplies a text.
    let doubled = limits("[args.s + args.s + args.s + args.s].map(a, a + a + a + a + a + a + a + a + a + a)");
    assert!(doubled.accepted < MAX_WEIGHT, "{doubled:?}");
}
