//! Skills and custom commands: which there are, what of them the model gets and when, and that a wrong one harms no other.

use crate::support::{Reply, Request, Server, TestEnv, need};
use serde_json::json;

fn system(request: &Request) -> String {
    request.messages()[0]["content"].as_str().unwrap().to_owned()
}

fn user(request: &Request) -> String {
    let last = request.messages().iter().rev().find(|m| m["role"] == "user").unwrap();
    last["content"].as_str().unwrap().to_owned()
}

fn skill(name: &str, description: &str) -> String {
    format!("---\nname: {name}\ndescription: {description}\n---\n\nThe body of {name}.\n")
}

fn trust(env: &TestEnv) {
    env.pup().args(["trust", "add"]).run().expect_code(0);
}

#[test]
fn only_names_are_sent_and_the_body_comes_when_it_is_asked_for() {
    let env = TestEnv::new();
    env.write_config("skills/charts/SKILL.md", skill("charts", "Draws charts of numbers."));
    env.write(".claude/skills/notes/SKILL.md", skill("notes", "The older notes."));
    env.write(".pup/skills/notes/SKILL.md", skill("notes", "Writes release notes."));
    env.write(".pup/skills/notes/references/tone.md", "Be brief.\n");
    let call = |args| Reply::tool_call("activate_skill", args);
    let server = Server::script([Reply::text("Hello.")]);
    env.pup().args(["run", "hi"]).model_server(&server).run().expect_code(0);
    let first = &server.finish()[0];
    assert!(system(first).contains("- charts: Draws charts of numbers.") && !system(first).contains("notes"), "{}", system(first));

    trust(&env);
    let server = Server::script([
        call(json!({"name": "notes"})),
        call(json!({"name": "notes", "file": "references/tone.md"})),
        call(json!({"name": "notes", "file": "../../../a.txt"})),
        call(json!({"name": "note"})),
        Reply::text("Written."),
    ]);
    env.write("a.txt", "secret\n");
    env.pup().args(["run", "write notes"]).model_server(&server).run().expect_code(0);
    let requests = server.finish();
    assert!(system(&requests[0]).contains("- notes: Writes release notes.") && !system(&requests[0]).contains("The body"));
    let results = requests[4].results();
    assert!(results[0].contains("The body of notes.") && results[0].contains("Its other files: references/tone.md"), "{}", results[0]);
    assert!(!results[0].contains("description:") && results[1] == "Be brief.\n", "{results:?}");
    assert!(results[2].contains("outside of the skill") && results[3].contains("did you mean `notes`?"), "{results:?}");
}

#[test]
fn without_skills_the_tool_is_not_there() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("Hello.")]);
    env.pup().args(["run", "hi"]).model_server(&server).run().expect_code(0);
    let first = server.finish().remove(0);
    assert!(!first.tools().contains(&"activate_skill") && !system(&first).contains("Skills"), "{:?}", first.tools());
}

#[test]
fn an_agent_can_be_kept_to_some_skills() {
    let env = TestEnv::new();
    for name in ["charts", "notes"] {
        env.write_config(format!("skills/{name}/SKILL.md"), skill(name, "Does it."));
    }
    env.write_config("agents/mine.md", "---\nname: mine\ndescription: Does my thing.\nskills: [notes]\n---\nDo it.\n");
    let server = Server::script([Reply::text("Hello.")]);
    env.pup().args(["run", "-a", "mine", "hi"]).model_server(&server).run().expect_code(0);
    let system = system(&server.finish()[0]);
    assert!(system.contains("- notes") && !system.contains("- charts"), "{system}");
}

#[test]
fn a_wrong_skill_is_told_with_file_and_line_and_the_others_go_on() {
    let env = TestEnv::new();
    env.write(".pup/skills/good/SKILL.md", skill("good", "Works."));
    env.write(".pup/skills/bad/SKILL.md", "---\nname: bad\ndescription: [never closed\n---\n");
    env.write(".pup/skills/other/SKILL.md", skill("another", "Its name is wrong."));
    env.write(".pup/skills/binary/SKILL.md", b"---\nname: \xff\n---\n");
    env.write(".pup/skills/huge/SKILL.md", "x".repeat(5 << 20));
    env.write(".pup/skills/plain/README.md", "no skill");
    #[cfg(unix)]
    {
        let outside = env.home().join("outside");
        std::fs::create_dir_all(&outside).unwrap();
        std::fs::write(outside.join("SKILL.md"), skill("outside", "Leads out.")).unwrap();
        std::os::unix::fs::symlink(&outside, env.project().join(".pup/skills/outside")).unwrap();
        std::fs::create_dir_all(env.project().join(".pup/skills/folder/SKILL.md")).unwrap();
    }
    trust(&env);
    let server = Server::script([Reply::text("Hello.")]);
    let out = env.pup().args(["run", "hi"]).model_server(&server).run().expect_code(0);
    let system = system(&server.finish()[0]);
    assert!(system.contains("- good: Works.") && !system.contains("outside") && !system.contains("another"), "{system}");
    for told in [
        "bad/SKILL.md:",
        "other/SKILL.md:2:7: the folder is called other",
        "binary/SKILL.md:2: the file is not UTF-8",
        "huge/SKILL.md: the file is larger than 1 MB",
    ] {
        assert!(out.stderr.contains(told), "{told}: {}", out.stderr);
    }
    #[cfg(unix)]
    assert!(
        out.stderr.contains("outside/SKILL.md leads out of the project") && out.stderr.contains("folder/SKILL.md: cannot be read"),
        "{}",
        out.stderr
    );
    assert!(!out.stderr.contains("plain"), "{}", out.stderr);
}

/// The public validator and pup say the same of each skill.
#[test]
fn the_public_validator_agrees() {
    let Some(packages) = need::node_package("skills-ref") else { return };
    let env = TestEnv::new();
    let long = "x".repeat(1025);
    let rows: [(&str, String, bool); 14] = [
        ("plain", skill("plain", "Does it."), true),
        ("a-1-b", skill("a-1-b", "Does it."), true),
        ("full", "---\nname: full\ndescription: Does it.\nlicense: MIT\ncompatibility: Requires git\nmetadata:\n  author: me\n  version: \"1.0\"\nallowed-tools: Read Bash\n---\nBody.\n".into(), true),
        ("folded", "---\nname: folded\ndescription: >\n  Does\n  it.\n---\nBody.\n".into(), true),
        ("upper", skill("Upper", "Does it."), false),
        ("elsewhere", skill("here", "Does it."), false),
        ("two--hyphens", skill("two--hyphens", "Does it."), false),
        ("ends-", skill("ends-", "Does it."), false),
        ("under_score", skill("under_score", "Does it."), false),
        ("wordy", skill("wordy", &long), false),
        ("mute", "---\nname: mute\n---\nBody.\n".into(), false),
        ("bare", "Body without front matter.\n".into(), false),
        ("open", "---\nname: open\ndescription: Does it.\n".into(), false),
        ("strange", "---\nname: strange\ndescription: Does it.\ncolour: red\n---\n".into(), false),
    ];
    for (name, text, _) in &rows {
        env.write_config(format!("skills/{name}/SKILL.md"), text);
    }
    let server = Server::script([Reply::text("Hello.")]);
    let out = env.pup().args(["run", "hi"]).model_server(&server).run().expect_code(0);
    let system = system(&server.finish()[0]);
    for (name, _, valid) in rows {
        let folder = env.pup_home().join("config/skills").join(name);
        let cli = packages.join("skills-ref/dist/cli.js");
        let theirs = env.command("node").arg(cli).arg("validate").arg(&folder).run();
        assert_eq!(theirs.code == Some(0), valid, "{name}: {}", theirs.report());
        let ours = system.lines().any(|l| l.starts_with(&format!("- {name}: ")));
        assert_eq!(ours, valid, "{name}: {system}");
        assert_eq!(out.stderr.contains(&format!("{name}/SKILL.md")), !valid, "{name}: {}", out.stderr);
    }
}

#[test]
fn a_custom_command_is_a_prompt_with_arguments() {
    let env = TestEnv::new();
    env.write_config("commands/review.md", "---\ndescription: Reviews a file\nargument-hint: FILE\n---\nReview $1 for $2. ($ARGUMENTS)\n");
    env.write(".pup/commands/db/plan.md", "Plan the table.\n");
    env.write(".claude/commands/review.md", "The project's review.\n");
    let ask = |prompt: &str| {
        let server = Server::script([Reply::text("Yes.")]);
        let out = env.pup().args(["run", prompt]).model_server(&server).run().expect_code(0);
        (user(&server.finish()[0]), out.stderr)
    };
    assert_eq!(ask("/review 'a file.rs' bugs").0, "Review a file.rs for bugs. ('a file.rs' bugs)");
    assert_eq!(ask("/db:plan people").0, "/db:plan people", "not trusted");
    trust(&env);
    assert_eq!(ask("/db:plan people").0, "Plan the table.\n\npeople");
    assert_eq!(ask("/review x").0, "The project's review.\n\nx");
    assert_eq!(ask("/etc/hosts, what is it?").0, "/etc/hosts, what is it?");
    // A broken one is told and harms no other.
    env.write(".pup/commands/broken.md", "---\ndescription: [never closed\n---\nBody.\n");
    env.write(".pup/commands/binary.md", b"\xff\xfe");
    trust(&env);
    let (prompt, said) = ask("/db:plan people");
    assert_eq!(prompt, "Plan the table.\n\npeople");
    assert!(said.contains("broken.md:") && said.contains("binary.md:1: the file is not UTF-8"), "{said}");
}

#[cfg(unix)]
#[test]
fn the_chat_has_them_in_its_help_and_completes_them() {
    use crate::chat::{launch, open, ready, say};
    use crate::support::Key;
    let env = TestEnv::new();
    env.write_config("commands/fix-it.md", "---\ndescription: Fixes one thing\nargument-hint: THING\n---\nFix $ARGUMENTS.\n");
    env.write_config("commands/help.md", "Never used.\n");
    let server = Server::script([Reply::text("Fixed.")]);
    let mut terminal = open(launch(&env, &server), 100);
    assert!(terminal.screen().contains("your own command /help is not used"), "{}", terminal.screen());
    say(&mut terminal, "/help", "Fixes one thing");
    terminal.send("/fix").key(Key::Tab).wait_for("/fix-it").send("the door").key(Key::Enter);
    ready(&mut terminal, "code-puppy", "Fixed.");
    assert_eq!(user(&server.finish()[0]), "Fix the door.");
}
