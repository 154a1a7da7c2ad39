//! The command line itself.

use crate::harness::Desk;

#[test]
fn wrong_usage_is_exit_code_2_and_a_refused_task_is_1() {
    let desk = Desk::new();
    for wrong in [&["deploy"][..], &["dploy", "x"], &["deploy", "x", "--timeout", "soon"], &[]] {
        let answer = desk.run(wrong);
        assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{wrong:?}");
        assert!(answer.stderr.contains("--help") || answer.stderr.contains("Usage:"), "{}", answer.stderr);
    }
    assert_eq!(desk.run(&["deploy", "nowhere"]).code, 1);
}

#[test]
fn help_lists_the_commands_and_the_exit_codes() {
    let answer = Desk::new().run(&["--help"]);
    assert_eq!(answer.code, 0);
    for word in ["deploy", "undeploy", "status", "completions", "Exit codes:"] {
        assert!(answer.stdout.contains(word), "{word}: {}", answer.stdout);
    }
}

#[test]
fn without_json_a_failure_is_a_sentence_on_standard_error() {
    let answer = Desk::new().run(&["status", "nowhere"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (1, ""));
    assert!(answer.stderr.starts_with("the environment nowhere is unknown"), "{}", answer.stderr);
    assert_eq!(answer.stderr.lines().count(), 1);
}

#[test]
fn every_shell_gets_completions() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let answer = desk.run(&["completions", shell]);
        assert_eq!(answer.code, 0);
        assert!(answer.stdout.contains("kubectl-mcp") && answer.stdout.contains("undeploy"), "{shell}");
    }
    assert_eq!(desk.run(&["completions", "tcsh"]).code, 2);
}

#[test]
fn the_manual_has_a_page_for_the_program_and_one_for_each_command() {
    let desk = Desk::new();
    let page = desk.run(&["man"]).stdout;
    assert!(page.contains(".TH kubectl-mcp 1") && page.contains("undeploy"), "{page}");
    assert_eq!(desk.run(&["man", "--dir", "pages"]).code, 0);
    for command in ["deploy", "undeploy", "status"] {
        let page = desk.read(&format!("pages/kubectl-mcp-{command}.1"));
        assert!(page.contains("config/deployment.json"), "{command}: {page}");
    }
}
