//! Shared fragments: a line `{{shared:NAME}}` in a prompt stands for the text of `_shared/NAME.md`. Fragments are plain
//! text without front matter, and nothing in them is replaced again.

use super::finding::Finding;
use super::tree::Spot;
use crate::base::nearest;
use std::borrow::Cow;
use std::path::Path;

const BUILT_IN: &[(&str, &str)] = &[
    ("craft", include_str!("../../../agents/_shared/craft.md")),
    ("findings", include_str!("../../../agents/_shared/findings.md")),
    ("verdict", include_str!("../../../agents/_shared/verdict.md")),
];

/// The prompt with its fragments in place. `first` is the line of the file on which `body` begins, `folder` the file's
/// own, whose `_shared` comes before the built-in fragments.
pub fn expand<'b>(body: &'b str, first: usize, folder: Option<&Path>) -> (Cow<'b, str>, Vec<Finding>) {
    if !body.contains("{{shared:") {
        return (Cow::Borrowed(body), Vec::new());
    }
    let (mut out, mut findings) = (String::new(), Vec::new());
    for (ix, line) in body.lines().enumerate() {
        match line.trim().strip_prefix("{{shared:").and_then(|rest| rest.strip_suffix("}}")) {
            None => out.push_str(line),
            Some(name) => match fragment(name.trim(), folder) {
                Ok(text) => out.push_str(text.trim()),
                Err(finding) => findings.push(finding.at(Spot::line(first + ix))),
            },
        }
        out.push('\n');
    }
    (Cow::Owned(out), findings)
}

fn fragment(name: &str, folder: Option<&Path>) -> Result<Cow<'static, str>, Finding> {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let own = folder.filter(|_| plain).map(|f| f.join("_shared").join(format!("{name}.md")));
    if let Some(path) = own {
        match std::fs::read_to_string(&path) {
            Ok(text) => return Ok(Cow::Owned(text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Finding::error(format!("cannot read the shared fragment {}: {e}", path.display()))),
        }
    }
    let built_in = BUILT_IN.iter().find(|(n, _)| *n == name);
    built_in.map(|(_, text)| Cow::Borrowed(*text)).ok_or_else(|| {
        let names = BUILT_IN.iter().map(|(n, _)| *n);
        let near = nearest::did_you_mean(name, names.clone());
        let hint = near
            .unwrap_or_else(|| format!("write _shared/{name}.md beside the agent file, or use {}", names.collect::<Vec<_>>().join(", ")));
        Finding::error(format!("there is no shared fragment `{name}`")).hint(hint)
    })
}
