//! The agents that pup brings along, as text: nothing of it is parsed before it is asked for.

macro_rules! agents {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../agents/", $name, ".md")))),+]
    };
}

/// Name and file, by workload.
pub const ALL: &[(&str, &str)] = agents![
    // Orchestrator
    "pack-leader",
    "helios",
    "epistemic-architect",
    "planning",
    "agent-creator",
    // Reasoning
    "shepherd",
    "watchdog",
    "code-reviewer",
    "python-reviewer",
    "c-reviewer",
    "cpp-reviewer",
    "golang-reviewer",
    "javascript-reviewer",
    "typescript-reviewer",
    "prompt-reviewer",
    "qa-expert",
    "security-auditor",
    // Coding
    "husky",
    "terrier",
    "retriever",
    "code-puppy",
    "python-programmer",
    "qa-kitten",
    "c-programmer",
    "cpp-programmer",
    "golang-programmer",
    "javascript-programmer",
    "typescript-programmer",
    "ui-programmer",
    "test-generator",
    "commit-message-generator",
    "rag-agent",
    // Librarian
    "bloodhound",
    "lab-rat",
    "file-summarizer",
    "doc-writer",
];

/// Other names of agents; a file of that name wins.
pub const ALIASES: &[(&str, &str)] = &[("planning-agent", "planning")];

/// The text of a built-in agent.
pub fn text(name: &str) -> Option<&'static str> {
    ALL.iter().find(|(n, _)| *n == name).map(|(_, text)| *text)
}
