//! Other assistants' names of tools, and what they are here. What has no counterpart is left out and said so: an agent
//! never gets more than its file gave it.

use super::fields::At;
use super::finding::Finding;

/// The tools of another assistant's agent file, and what was left out of them.
pub fn tools(listed: &[At<String>], map: fn(&str) -> &'static [&'static str], known: &[&str]) -> (Vec<String>, Vec<Finding>) {
    let (mut tools, mut notes) = (Vec::<String>::new(), Vec::new());
    for tool in listed {
        let name = tool.value.as_str();
        let here = if known.contains(&name) { vec![name] } else { map(name).to_vec() };
        if here.is_empty() {
            let why = if name.contains('(') { "a tool with a restriction has no counterpart" } else { "this tool has no counterpart" };
            notes.push(Finding::warning(format!("`{name}` is left out: {why}")).at(tool.at).key("tools"));
        }
        for one in here {
            if !tools.iter().any(|t| t == one) {
                tools.push(one.to_owned());
            }
        }
    }
    (tools, notes)
}
