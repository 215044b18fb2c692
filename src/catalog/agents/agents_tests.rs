//! Agent files of all three forms: who wins, what is read, and every fault with its place.

use super::*;
use crate::base::Cause;

const TOOLS: &[&str] = &["list_files", "read_file", "grep", "create_file", "replace_in_file", "delete_file", "shell"];

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn with(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn user_agents(&self) -> Agents {
        Agents::load(&Places::under(self.dir.path()), None, TOOLS).unwrap()
    }

    fn project_agents(&self) -> Agents {
        Agents::load(&Places::under(self.dir.path()), Some(&self.dir.path().join("repo")), TOOLS).unwrap()
    }

    /// Message and hint of the failure, with the temporary folder taken out.
    fn shown(&self, failure: &Failure) -> String {
        let text = format!("{}: {}\nhint: {}", failure.cause.as_str(), failure.message, failure.hint.as_deref().unwrap_or("-"));
        text.replace(&self.dir.path().display().to_string(), "~")
    }

    /// All findings in a file of the user's.
    fn findings(&self, file: &str) -> String {
        let model = |id: &str| if id == "known" { Ok(()) } else { Err(Failure::usage(format!("there is no model `{id}`"))) };
        let (agent, findings) = self.user_agents().validate(&self.dir.path().join("config/agents").join(file), &model);
        let lines: Vec<String> = findings
            .iter()
            .map(|f| format!("{} {:?}: {} | {}", f.place(file), f.severity, f.message, f.hint.as_deref().unwrap_or("-")))
            .collect();
        format!("{}{}", lines.join("\n"), if agent.is_some() { "\nusable" } else { "" })
    }
}

fn refused(text: impl AsRef<[u8]>) -> String {
    let home = Home::new().with("config/agents/mine.md", text);
    home.shown(&home.user_agents().get("mine").unwrap_err())
}

fn minimal(name: &str, description: &str) -> String {
    format!("---\nname: {name}\ndescription: {description}\n---\nBe good.\n")
}

#[test]
fn project_wins_over_user_and_user_over_built_in() {
    let file = |d: &str| minimal("code-puppy", d).replace('\n', "\r\n");
    let home = Home::new()
        .with("config/agents/code-puppy.md", file("user"))
        .with("repo/.claude/agents/code-puppy.md", file("claude"))
        .with("repo/.claude/agents/helper.md", minimal("helper", "claude only"))
        .with("repo/.pup/agents/code-puppy.md", file("project"));
    let user = home.user_agents().get("code-puppy").unwrap();
    assert_eq!((user.description.as_str(), user.origin.as_str()), ("user", "user"));
    assert_eq!((user.prompt.as_str(), user.workload, user.tools.as_slice()), ("Be good.", Workload::Coding, ["*".to_owned()].as_slice()));
    let project = home.project_agents();
    assert_eq!(project.get("code-puppy").unwrap().description, "project");
    assert_eq!(project.get("helper").unwrap().origin.as_str(), "project");
    assert_eq!(home.user_agents().get("helper").unwrap_err().cause, Cause::Usage);
}

#[test]
fn a_broken_file_stops_no_other() {
    let home = Home::new()
        .with("config/agents/bad.md", "---\nname: bad\ndescription: [\n---\np")
        .with("config/agents/good.md", minimal("good", "g"))
        .with("config/agents/worse.json", "{")
        .with("config/agents/README.md", "about this folder")
        .with("config/agents/notes.txt", "no agent");
    let all = home.user_agents().list();
    let broken: Vec<&str> = all.iter().filter(|l| l.agent.is_err()).map(|l| l.name.as_str()).collect();
    assert_eq!((all.len(), broken), (36 + 3, vec!["bad", "worse"]));
    assert!(home.user_agents().get("good").is_ok() && home.user_agents().get(DEFAULT_AGENT).is_ok());
}

#[test]
fn an_alias_leads_to_its_agent_unless_a_file_has_the_name() {
    assert_eq!(Home::new().user_agents().get("planning-agent").unwrap().name, "planning");
    let home = Home::new().with("config/agents/planning-agent.md", minimal("planning-agent", "mine"));
    assert_eq!(home.user_agents().get("planning-agent").unwrap().description, "mine");
}

#[test]
fn faults_name_file_and_line() {
    insta::assert_snapshot!(refused("no front matter"), @r##"
    config: ~/config/agents/mine.md:1:1: an agent file begins with front matter between two `---` lines
    hint: e.g. `---`, `name: my-agent`, `description: what it does`, `---`, then the prompt
    "##);
    insta::assert_snapshot!(refused("---\nname: mine\ndescription: d\n"), @r##"
    config: ~/config/agents/mine.md:1:1: an agent file begins with front matter between two `---` lines
    hint: e.g. `---`, `name: my-agent`, `description: what it does`, `---`, then the prompt
    "##);
    insta::assert_snapshot!(refused("---\nname: mine\ndescription: d\ntool: [x]\n---\np"), @r##"
    config: ~/config/agents/mine.md:4:1: `tool` is not a known key
    hint: did you mean `tools`?
    "##);
    insta::assert_snapshot!(refused("---\nname: mine\ndisplay_name: M\n---\np"), @r##"
    config: ~/config/agents/mine.md:1:1: there is no `description`
    hint: -
    "##);
    insta::assert_snapshot!(refused("---\nname: mine\ndescripton: d\n---\np"), @r##"
    config: ~/config/agents/mine.md:3:1: there is no `description`, and `descripton` is not a known key
    hint: did you mean `description`?
    "##);
    insta::assert_snapshot!(refused("---\nname: mine\ndescription: d\nmax_turns: many\n---\np"), @r##"
    config: ~/config/agents/mine.md:4:12: `max_turns` must be a number, not text
    hint: -
    "##);
    insta::assert_snapshot!(refused("---\nname: mine\ndescription: d\nmax_turns: 0\n---\np"), @r##"
    config: ~/config/agents/mine.md:4:12: `max_turns` must be a whole number of at least 1, not 0
    hint: -
    "##);
    insta::assert_snapshot!(refused("---\nname: mine\ndescription: d\nworkload: CODNG\n---\np"), @r##"
    config: ~/config/agents/mine.md:4:11: unknown workload `CODNG` (there are ORCHESTRATOR, REASONING, CODING, LIBRARIAN)
    hint: did you mean `CODING`?
    "##);
    insta::assert_snapshot!(refused("---\nname: other\ndescription: d\n---\np"), @r##"
    config: ~/config/agents/mine.md:2:7: the file is called mine, but its `name` is `other`
    hint: rename the file to other.md, or set `name: mine`
    "##);
    insta::assert_snapshot!(refused("---\nname: mine\nname: mine\ndescription: d\n---\np"), @r##"
    config: ~/config/agents/mine.md:3:1: `name` stands here a second time
    hint: remove one of the two
    "##);
    insta::assert_snapshot!(refused("---\nname: [mine\n---\np"), @r##"
    config: ~/config/agents/mine.md:2:7: `name: [mine` cannot be read: unclosed bracket '['
    hint: text with `: `, `#` or a bracket at its start needs quotes
    "##);
    insta::assert_snapshot!(refused("---\n- a\n- b\n---\np"), @r##"
    config: ~/config/agents/mine.md:2:1: front matter holds `key: value` pairs, not a list
    hint: -
    "##);
    insta::assert_snapshot!(refused("---\nname: mine\ndescription: d\n---\n\n"), @r##"
    config: ~/config/agents/mine.md:5:1: there is no prompt below the front matter
    hint: write there what the agent is for and how it works
    "##);
    insta::assert_snapshot!(refused("---\nname: mine\ndescription: 7\n---\np"), @r##"
    config: ~/config/agents/mine.md:3:14: `description` must be text, not a number
    hint: put it in quotes
    "##);
    insta::assert_snapshot!(refused("---\nname: mine\ndescription: d\ntools:\n  - read_file\n  - read_fil\n---\np"), @r##"
    config: ~/config/agents/mine.md:6:5: no tool is named `read_fil`
    hint: did you mean `read_file`?
    "##);
    insta::assert_snapshot!(refused("---\nname: mine\ndescription: d\ntools: [\"a[\"]\n---\np"), @r##"
    config: ~/config/agents/mine.md:4:9: `a[` is not a tool name or pattern: unclosed character class; missing ']'
    hint: -
    "##);
    insta::assert_snapshot!(refused("---\nname: mine\ndescription: d\n---\np\n{{shared:findigns}}\n"), @r##"
    config: ~/config/agents/mine.md:6:1: there is no shared fragment `findigns`
    hint: did you mean `findings`?
    "##);
    insta::assert_snapshot!(refused(b"---\nname: mine\ndescription: \xff\n---\np"), @r##"
    config: ~/config/agents/mine.md:3:1: the file is not UTF-8 text
    hint: save it as UTF-8
    "##);
}

#[test]
fn an_unknown_name_gets_the_nearest() {
    let (home, agents) = (Home::new(), Home::new().user_agents());
    insta::assert_snapshot!(home.shown(&agents.get("code-pupy").unwrap_err()), @r##"
    usage: there is no agent `code-pupy`
    hint: did you mean `code-puppy`?
    "##);
    let all = agents.get("zebra").unwrap_err().hint.unwrap();
    assert!(all.starts_with("the agents are agent-creator, bloodhound,") && all.ends_with("watchdog"), "{all}");
}

#[test]
fn validation_tells_everything_at_once() {
    let text = "---\nname: other\ndisplay: O\nworkload: CODING\ntools: shell, teleport\ndelegates: [planing]\nmodel: nobody\ntemperature: 9\nmax_turns: 1.5\n---\nHello\n{{shared:nothing}}\n";
    insta::assert_snapshot!(Home::new().with("config/agents/mine.md", text).findings("mine.md"), @r##"
    mine.md:1:1 Error: there is no `description` | -
    mine.md:2:7 Error: the file is called mine, but its `name` is `other` | rename the file to other.md, or set `name: mine`
    mine.md:3:1 Error: `display` is not a known key | did you mean `display_name`?
    mine.md:5:8 Error: no tool is named `teleport` | the tools are list_files, read_file, grep, create_file, replace_in_file, delete_file, shell
    mine.md:6:13 Error: there is no agent `planing` to delegate to | did you mean `planning`?
    mine.md:7:8 Error: there is no model `nobody` | -
    mine.md:8:14 Error: `temperature` must be between 0 and 2, not 9 | -
    mine.md:9:12 Error: `max_turns` must be a whole number of at least 1, not 1.5 | -
    mine.md:12:1 Error: there is no shared fragment `nothing` | write _shared/nothing.md beside the agent file, or use craft, findings, verdict
    "##);
    let fine = "---\nname: mine\ndescription: d\ndelegates: [planning, sister]\nmodel: known\n---\np";
    let home = Home::new().with("config/agents/mine.md", fine).with("config/agents/sister.md", minimal("sister", "s"));
    assert_eq!(home.findings("mine.md"), "\nusable");
    let shown = home.shown(&Home::new().with("config/agents/mine.md", text).user_agents().get("mine").unwrap_err());
    assert!(shown.contains("6 more errors: pup agents validate "), "{shown}");
}

#[test]
fn fragments_come_from_the_files_own_folder_first() {
    let text =
        "---\nname: mine\ndescription: d\n---\nOne.\n  {{shared: house }}\n{{shared:craft}}\nNot {{shared:house}} inside of a line.\n";
    let home = Home::new().with("config/agents/mine.md", text).with("config/agents/_shared/house.md", "\nOur rule.\n{{shared:craft}}\n");
    let prompt = home.user_agents().get("mine").unwrap().prompt;
    assert!(prompt.starts_with("One.\nOur rule.\n{{shared:craft}}\nEdit with"), "{prompt}");
    assert!(prompt.ends_with("\nNot {{shared:house}} inside of a line."), "{prompt}");
    let escape = Home::new().with("config/agents/mine.md", "---\nname: mine\ndescription: d\n---\n{{shared:../../secret}}\n");
    let escape = escape.with("config/secret.md", "s");
    assert_eq!(escape.user_agents().get("mine").unwrap_err().cause, Cause::Config);
}

mod claude {
    use super::*;

    fn read(front: &str) -> Agent {
        let home = Home::new().with("repo/.claude/agents/helper.md", format!("---\n{front}\n---\nHelp.\n"));
        home.project_agents().get("helper").unwrap()
    }

    #[test]
    fn tools_are_mapped_and_nothing_is_widened() {
        let agent = read("name: helper\ndescription: d\ntools: Read, Grep, Glob, Bash(git log:*, git diff), WebFetch, Edit\ncolor: red");
        assert_eq!(agent.tools, ["read_file", "grep", "list_files", "replace_in_file"]);
        insta::assert_debug_snapshot!(agent.notes.iter().map(|n| (n.line, n.message.as_str())).collect::<Vec<_>>(), @r##"
        [
            (
                Some(
                    4,
                ),
                "`Bash(git log:*, git diff)` is left out: a tool with a restriction has no counterpart",
            ),
            (
                Some(
                    4,
                ),
                "`WebFetch` is left out: this tool has no counterpart",
            ),
        ]
        "##);
        assert_eq!(read("description: d").tools, ["*"]);
        assert_eq!(read("description: d\ntools: '*'").tools, ["*"]);
        assert_eq!(read("description: d\ntools: WebSearch").tools, [""; 0]);
        let without = read("description: d\ndisallowedTools: Write, Edit, Bash(rm:*)").tools;
        assert_eq!(without, ["list_files", "read_file", "grep", "delete_file"]);
        assert_eq!(read("description: d\ntools:\n  - Read\n  - Write\ndisallowedTools: Write").tools, ["read_file"]);
    }

    #[test]
    fn models_choose_a_chain_or_are_pinned() {
        let of = |model: &str| {
            let agent = read(&format!("description: d\nmodel: {model}\nmaxTurns: 4"));
            (agent.workload, agent.model, agent.max_turns)
        };
        assert_eq!(of("opus"), (Workload::Orchestrator, None, Some(4)));
        assert_eq!(of("sonnet"), (Workload::Reasoning, None, Some(4)));
        assert_eq!(of("haiku"), (Workload::Librarian, None, Some(4)));
        assert_eq!(of("inherit"), (Workload::Coding, None, Some(4)));
        assert_eq!(of("claude-sonnet-4-5"), (Workload::Coding, Some("anthropic/claude-sonnet-4-5".into()), Some(4)));
    }

    #[test]
    fn front_matter_that_is_no_yaml_is_read_by_lines() {
        let agent =
            read("name: Helper Dog\ndescription: Use it when: a test fails. <example>user: \"fix [it\"</example>\ntools: Read\n  , Bash");
        assert_eq!(agent.description, "Use it when: a test fails. <example>user: \"fix [it\"</example>");
        assert_eq!((agent.name.as_str(), agent.display_name.as_str()), ("helper", "Helper Dog"));
        assert_eq!(agent.tools, ["read_file", "shell"]);
    }

    #[test]
    fn the_name_inside_finds_it_too() {
        let home = Home::new().with("repo/.claude/agents/file.md", "---\nname: inside\ndescription: d\n---\np");
        assert_eq!(home.project_agents().get("inside").unwrap().name, "file");
        assert_eq!(home.project_agents().get("insid").unwrap_err().cause, Cause::Usage);
    }
}

mod code_puppy {
    use super::*;

    const TUTOR: &str = r#"{
  "name": "tutor",
  "display_name": "Tutor",
  "description": "Teaches.",
  "system_prompt": ["You teach.", "Be kind."],
  "tools": ["read_file", "edit_file", "agent_run_shell_command", "agent_share_your_reasoning"],
  "user_prompt": "Hi!",
  "model": "known",
  "model_settings": {"temperature": 0.5, "seed": 1},
  "mcp_servers": {"web": {}}
}"#;

    #[test]
    fn loads_with_its_tools_mapped() {
        let home = Home::new().with("config/agents/tutor-agent.json", TUTOR);
        let agent = home.user_agents().get("tutor").unwrap();
        assert_eq!(
            (agent.name.as_str(), agent.display_name.as_str(), agent.prompt.as_str()),
            ("tutor-agent", "Tutor", "You teach.\nBe kind.")
        );
        assert_eq!(agent.tools, ["read_file", "create_file", "replace_in_file", "shell"]);
        assert_eq!((agent.temperature, agent.mcp_servers.as_slice()), (Some(0.5), ["web".to_owned()].as_slice()));
        insta::assert_snapshot!(home.findings("tutor-agent.json"), @r##"
        tutor-agent.json:6:66 Warning: `agent_share_your_reasoning` is left out: this tool has no counterpart | -
        tutor-agent.json:7:18 Warning: `user_prompt` has no effect in pup | -
        tutor-agent.json:9:42 Warning: `model_settings.seed` has no effect in pup | -
        usable
        "##);
    }

    #[test]
    fn markdown_of_the_same_name_wins() {
        let home = Home::new().with("config/agents/tutor.json", TUTOR).with("config/agents/tutor.md", minimal("tutor", "markdown"));
        assert_eq!(home.user_agents().get("tutor").unwrap().description, "markdown");
    }

    #[test]
    fn faults_name_line_and_key() {
        let of = |text: &str| Home::new().with("config/agents/t.json", text).findings("t.json");
        insta::assert_snapshot!(of("{\n  \"name\": \"t\",\n}"), @r##"
        t.json:3:1 Error: this is not JSON: key must be a string | JSON has no comments and no comma before a closing bracket
        "##);
        insta::assert_snapshot!(of("[]"), @r##"
        t.json:1:1 Error: a JSON agent holds `key: value` pairs, not a list | -
        "##);
        insta::assert_snapshot!(of(""), @r##"
        t.json:1:1 Error: this is not JSON: EOF while parsing a value | JSON has no comments and no comma before a closing bracket
        "##);
        insta::assert_snapshot!(of("{\n  \"name\": \"t\",\n  \"description\": \"\",\n  \"system_promt\": \"p\",\n  \"tools\": \"grep\",\n  \"version\": 2\n}"), @r##"
        t.json:3:18 Error: `description` is empty | -
        t.json:4:3 Error: there is no `system_prompt`, and `system_promt` is not a known key | did you mean `system_prompt`?
        t.json:6:3 Warning: `version` is not a known key and has no effect | -
        "##);
        insta::assert_snapshot!(of("{\"name\": 1, \"description\": \"d\",\n\"system_prompt\": [\"a\", 2],\n\"tools\": [3], \"model\": \"none\", \"model_settings\": {\"temperature\": 7}}"), @r##"
        t.json:1:10 Error: `name` must be text, not a number | put it in quotes
        t.json:2:24 Error: `system_prompt` must be text or a list of lines, not a number | -
        t.json:3:11 Error: `tools` must be a list of names, not a number | -
        t.json:3:24 Error: there is no model `none` | -
        t.json:3:66 Error: `temperature` must be between 0 and 2, not 7 | -
        "##);
    }
}

mod never_panics {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn on_any_text(text in "(---\n)?[a-z_]{0,8}:? ?[ -~\n\t{}\\[\\]\"'|>&*!é]{0,80}(\n---\n[a-z]*)?", form in 0..3_u8) {
            let form = match form { 0 => Form::Native, 1 => Form::Claude, _ => Form::CodePuppy };
            let agents = BTreeSet::new();
            let input = Input { text: &text, stem: "x", origin: Origin::BuiltIn, tools: TOOLS, agents: &agents, check: Check::Use };
            if let Err(findings) = form.read(&input) {
                let lines = text.lines().count() + 1;
                prop_assert!(findings.iter().any(|f| f.severity == Severity::Error));
                prop_assert!(findings.iter().all(|f| f.line.is_none_or(|l| (1..=lines).contains(&l))), "{findings:?}");
            }
        }
    }
}
