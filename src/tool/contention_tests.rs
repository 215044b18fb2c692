//! Many agents in one tree, each with its own view of it: what one has written is never lost to another.

use super::{Context, Registry, ToolError, call};
use crate::workspace::Workspace;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

const AGENTS: usize = 36;
const EDITS: usize = 5;
const FILES: usize = 3;

struct Agent {
    ctx: Context,
    tools: Registry,
    runtime: tokio::runtime::Runtime,
}

impl Agent {
    fn new(root: &Path, leases: &Path) -> Self {
        let ctx = Context { leases: Some(Arc::from(leases)), ..Context::new(Workspace::open(root).unwrap()) };
        Self { ctx, tools: Registry::builtin(), runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap() }
    }

    fn call(&self, name: &str, args: &Value) -> Result<String, String> {
        let tool = self.tools.get(name).unwrap();
        match self.runtime.block_on(call(tool.as_ref(), args.as_object().unwrap(), &self.ctx)) {
            Ok(out) => Ok(out.text),
            Err(ToolError::Model(text)) => Err(text),
            Err(ToolError::Fatal(failure)) => panic!("{failure}"),
        }
    }

    fn count(&self, file: &str) -> usize {
        let text = self.call("read_file", &json!({ "path": file })).unwrap();
        text.lines().next().unwrap().strip_prefix("count ").unwrap().parse().unwrap()
    }

    /// Adds a line of its own and counts it, in one or two files at once. How often somebody was faster.
    fn work(&self, me: usize) -> usize {
        let mut conflicts = 0;
        for edit in 0..EDITS {
            let (one, two) = (format!("f{}", (me + edit) % FILES), format!("f{}", (me + edit + 1) % FILES));
            let mine = format!("agent {me} edit {edit}");
            loop {
                let n = self.count(&one);
                let done = if edit % 2 == 0 {
                    let replacement = json!({"old_str": format!("count {n}\n"), "new_str": format!("count {}\n{mine}\n", n + 1)});
                    self.call("replace_in_file", &json!({"path": one, "replacements": [replacement]}))
                } else {
                    let m = self.count(&two);
                    let part = |file: &str, n: usize| format!("*** Update File: {file}\n@@\n-count {n}\n+count {}\n+{mine}\n", n + 1);
                    let patch = format!("*** Begin Patch\n{}{}*** End Patch\n", part(&one, n), part(&two, m));
                    self.call("apply_patch", &json!({ "patch": patch }))
                };
                let Err(why) = done else { break };
                let told = [
                    "not found",
                    "has changed since",
                    "changed by somebody else",
                    "its lines are not in the file",
                    "somebody else is writing",
                ];
                assert!(told.iter().any(|t| why.contains(t)), "{why}");
                conflicts += 1;
            }
        }
        conflicts
    }
}

#[test]
fn no_write_of_thirty_six_agents_in_one_tree_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (root, leases) = (dir.path().join("tree"), dir.path().join("leases"));
    fs::create_dir(&root).unwrap();
    for n in 0..FILES {
        fs::write(root.join(format!("f{n}")), "count 0\n").unwrap();
    }
    let agents: Vec<_> = (0..AGENTS)
        .map(|me| {
            let (root, leases) = (root.clone(), leases.clone());
            std::thread::spawn(move || Agent::new(&root, &leases).work(me))
        })
        .collect();
    let conflicts: usize = agents.into_iter().map(|t| t.join().unwrap()).sum();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for n in 0..FILES {
        let text = fs::read_to_string(root.join(format!("f{n}"))).unwrap();
        let (count, lines) = text.split_once('\n').unwrap();
        assert_eq!(count, format!("count {}", lines.lines().count()), "each count has its line");
        lines.lines().for_each(|line| *seen.entry(line.to_owned()).or_default() += 1);
    }
    for me in 0..AGENTS {
        for edit in 0..EDITS {
            assert_eq!(seen.get(&format!("agent {me} edit {edit}")), Some(&(1 + edit % 2)), "agent {me} edit {edit}");
        }
    }
    assert!(conflicts > 0, "nobody came in another's way");
}
