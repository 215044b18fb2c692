//! The built-in agents: all there, each with a prompt of its own that is worth its tokens.

use super::{Agents, DEFAULT_AGENT, Origin, built_in, front};
use crate::base::places::Places;
use crate::catalog::{Agent, Workload};
use similar::Algorithm;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

const TOOLS: &[&str] = &["list_files", "read_file", "grep", "create_file", "replace_in_file", "delete_file", "shell"];
const WRITING: [&str; 4] = ["create_file", "replace_in_file", "delete_file", "*"];

/// The list, letter for letter.
const BY_WORKLOAD: [(Workload, &str); 4] = [
    (Workload::Orchestrator, "pack-leader helios epistemic-architect planning agent-creator"),
    (
        Workload::Reasoning,
        "shepherd watchdog code-reviewer python-reviewer c-reviewer cpp-reviewer golang-reviewer javascript-reviewer \
         typescript-reviewer prompt-reviewer qa-expert security-auditor",
    ),
    (
        Workload::Coding,
        "husky terrier retriever code-puppy python-programmer qa-kitten c-programmer cpp-programmer golang-programmer \
         javascript-programmer typescript-programmer ui-programmer test-generator commit-message-generator rag-agent",
    ),
    (Workload::Librarian, "bloodhound lab-rat file-summarizer doc-writer"),
];

fn all() -> Vec<Agent> {
    let nowhere = tempfile::tempdir().unwrap();
    let agents = Agents::load(&Places::under(nowhere.path()), None, TOOLS).unwrap();
    agents.list().into_iter().map(|l| l.agent.unwrap_or_else(|e| panic!("{}: {e}", l.name))).collect()
}

/// What an agent alone says: the body without shared fragments and without the agents' names.
fn own_text(name: &str) -> String {
    let body = front::split(built_in::text(name).unwrap()).unwrap().body;
    let mut text: String = body.lines().filter(|l| !l.contains("{{shared:")).collect::<Vec<_>>().join("\n").to_lowercase();
    for agent in all_names() {
        for name in [agent.clone(), agent.replace('-', " ")] {
            text = text.replace(&name, " ");
        }
    }
    text
}

fn all_names() -> Vec<String> {
    let mut names: Vec<String> = built_in::ALL.iter().map(|(n, _)| (*n).to_owned()).collect();
    names.sort_by_key(|n| std::cmp::Reverse(n.len()));
    names
}

fn words(text: &str) -> Vec<String> {
    let split = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    split.filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

#[test]
fn there_are_thirty_six_in_their_workloads() {
    let mut found: BTreeMap<Workload, BTreeSet<String>> = BTreeMap::new();
    for agent in all() {
        assert_eq!((&agent.origin, agent.notes.as_slice()), (&Origin::BuiltIn, &[][..]), "{}", agent.name);
        found.entry(agent.workload).or_default().insert(agent.name);
    }
    let wanted = BY_WORKLOAD.map(|(w, names)| (w, names.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>()));
    assert_eq!(found, wanted.clone().into_iter().collect());
    assert_eq!(wanted.map(|(_, names)| names.len()), [5, 12, 15, 4]);
    let in_folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/agents")).unwrap();
    assert_eq!(in_folder.filter(|e| e.as_ref().unwrap().file_type().unwrap().is_file()).count(), 36, "a file that is not embedded");
}

#[test]
fn who_judges_or_plans_cannot_write() {
    for agent in all() {
        let writes = agent.tools.iter().any(|t| WRITING.contains(&t.as_str()));
        let judges = agent.workload == Workload::Reasoning
            || ["planning", "pack-leader", "rag-agent", "file-summarizer"].contains(&agent.name.as_str());
        assert!(!(judges && writes), "{} has {:?}", agent.name, agent.tools);
        if agent.workload == Workload::Reasoning {
            assert!(
                agent.prompt.contains("\"severity\"") && agent.prompt.contains("fenced `json` block"),
                "{}: findings are data",
                agent.name
            );
            assert!(agent.tools.contains(&"shell".to_owned()), "{} runs checks", agent.name);
        }
        assert!(!agent.delegates.contains(&agent.name), "{} delegates to itself", agent.name);
        for missing in ["invoke_agent", "list_agents", "ask_user_question", "activate_skill", "apply_patch", "{{"] {
            assert!(!agent.prompt.contains(missing), "{} speaks of {missing}", agent.name);
        }
    }
}

#[test]
fn descriptions_are_for_choosing() {
    let mut seen = HashSet::new();
    for agent in all() {
        let words = agent.description.split_whitespace().count();
        assert!((4..=22).contains(&words) && agent.description.ends_with('.'), "{}: {}", agent.name, agent.description);
        assert!(seen.insert(agent.description.clone()) && seen.insert(agent.display_name.clone()), "{}", agent.name);
    }
}

#[test]
fn prompts_are_dense() {
    let tokens = |text: &str| tiktoken_rs::o200k_base_singleton().encode_ordinary(text).len();
    let mut wrong = Vec::new();
    for agent in all() {
        let (own, whole) = (tokens(&own_text(&agent.name)), tokens(&agent.prompt));
        println!("{:26}{own:4} of its own, {whole:4} sent", agent.name);
        if own < 150 || whole > 450 {
            wrong.push(format!("{}: {own} tokens of its own, {whole} with what it shares", agent.name));
        }
        if agent.name == DEFAULT_AGENT {
            assert!(whole <= 380, "the default prompt has {whole} tokens");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// How alike two texts are, 0 to 1, by four measures: shared phrases (three words; of the shorter text's), shared
/// words (Jaccard), shared telling words (cosine weighted by rarity), and what remains in place between them.
struct Likeness {
    phrases: f64,
    words: f64,
    telling: f64,
    sequence: f64,
}

impl Likeness {
    fn most(&self) -> f64 {
        self.phrases.max(self.words).max(self.telling).max(self.sequence)
    }
}

fn share<T: std::hash::Hash + Eq>(a: &HashSet<T>, b: &HashSet<T>, of: usize) -> f64 {
    a.intersection(b).count() as f64 / of.max(1) as f64
}

fn likeness(a: &[String], b: &[String], rarity: &HashMap<&str, f64>) -> Likeness {
    let phrases = |w: &[String]| w.windows(3).map(<[String]>::to_vec).collect::<HashSet<_>>();
    let set = |w: &[String]| w.iter().cloned().collect::<HashSet<_>>();
    let weigh = |w: &[String]| {
        let mut all: HashMap<String, f64> = HashMap::new();
        for word in w {
            *all.entry(word.clone()).or_default() += rarity.get(word.as_str()).copied().unwrap_or(1.0);
        }
        all
    };
    let (pa, pb, sa, sb, wa, wb) = (phrases(a), phrases(b), set(a), set(b), weigh(a), weigh(b));
    let dot: f64 = wa.iter().map(|(k, v)| v * wb.get(k).copied().unwrap_or(0.0)).sum();
    let length = |w: &HashMap<String, f64>| w.values().map(|v| v * v).sum::<f64>().sqrt();
    let ops = similar::capture_diff_slices(Algorithm::Myers, a, b);
    Likeness {
        phrases: share(&pa, &pb, pa.len().min(pb.len())),
        words: share(&sa, &sb, sa.union(&sb).count()),
        telling: dot / (length(&wa) * length(&wb)).max(f64::MIN_POSITIVE),
        sequence: f64::from(similar::diff_ratio(&ops, a.len(), b.len())),
    }
}

fn rarity(texts: &BTreeMap<String, Vec<String>>) -> HashMap<&str, f64> {
    let mut count: HashMap<&str, usize> = HashMap::new();
    for text in texts.values() {
        for word in text.iter().map(String::as_str).collect::<HashSet<_>>() {
            *count.entry(word).or_default() += 1;
        }
    }
    count.into_iter().map(|(word, n)| (word, (texts.len() as f64 / n as f64).ln())).collect()
}

#[test]
fn every_pair_is_apart() {
    let texts: BTreeMap<String, Vec<String>> = all_names().into_iter().map(|n| (n.clone(), words(&own_text(&n)))).collect();
    let rarity = rarity(&texts);
    let mut most = (0.0, String::new());
    let all: Vec<_> = texts.iter().collect();
    for (ix, (a, wa)) in all.iter().enumerate() {
        for (b, wb) in all.iter().skip(ix + 1) {
            let alike = likeness(wa, wb, &rarity).most();
            assert!(alike < 0.5, "{a} and {b} are alike: {alike:.2}");
            if alike > most.0 {
                most = (alike, format!("{a} and {b}"));
            }
        }
    }
    println!("the most alike are {}: {:.2}", most.1, most.0);
    // The measures see what they are for: a language put in another's place, and a text that is half another's.
    let python = &texts["python-programmer"];
    let renamed: Vec<String> = python.iter().map(|w| if w == "python" { "ruby".to_owned() } else { w.clone() }).collect();
    let found = likeness(python, &renamed, &rarity);
    assert!(found.phrases > 0.8 && found.words > 0.8 && found.telling > 0.8 && found.sequence > 0.8);
    let half: Vec<String> =
        python.iter().take(python.len() / 2).chain(texts["doc-writer"].iter().take(python.len() / 2)).cloned().collect();
    assert!(likeness(python, &half, &rarity).most() > 0.5);
    assert!(likeness(python, &words("nothing of the kind"), &rarity).most() < 0.1);
}

/// A line is an agent's own when no line of another agent shares half of its words.
#[test]
fn each_has_at_least_five_lines_that_only_it_would_say() {
    let lines: BTreeMap<String, Vec<HashSet<String>>> = all_names()
        .into_iter()
        .map(|n| {
            let text = own_text(&n);
            let of = text.lines().map(|l| words(l).into_iter().collect::<HashSet<_>>()).filter(|l| l.len() >= 6).collect();
            (n, of)
        })
        .collect();
    for (name, mine) in &lines {
        let others: Vec<_> = lines.iter().filter(|(n, _)| *n != name).flat_map(|(_, l)| l).collect();
        let own = mine.iter().filter(|line| others.iter().all(|o| share(line, o, line.len()) < 0.5)).count();
        assert!(own >= 5, "{name}: only {own} of {} lines are its own", mine.len());
    }
}
