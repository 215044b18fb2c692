//! "Did you mean ...?": the known names nearest to a wrong one.

/// Up to three of `known`, nearest first, that are close enough to be what was meant.
/// Distance is restricted Damerau-Levenshtein over lower-cased text; a shared prefix or containment also counts.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wrong = wrong.to_lowercase();
    let limit = (wrong.chars().count() / 3).clamp(1, 4);
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let d = distance(&wrong, &lower);
            let contained = wrong.len() >= 3 && (lower.contains(&wrong) || wrong.contains(&lower) && lower.len() >= 3);
            (d <= limit || contained).then_some((d, name))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(b.1)));
    found.truncate(3);
    found.into_iter().map(|(_, name)| name).collect()
}

/// A hint line, or nothing where no name is near.
pub fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let names = nearest(wrong, known);
    (!names.is_empty()).then(|| format!("did you mean {}?", names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")))
}

fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let at = |v: &[usize], k: usize| v.get(k).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&last, j) + usize::from(ca != cb)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_typos_and_parts_but_not_strangers() {
        let known = ["code-puppy", "planning", "context", "max_output"];
        assert_eq!(nearest("code-pupy", known), ["code-puppy"]);
        assert_eq!(nearest("contxet", known), ["context"]);
        assert_eq!(nearest("puppy", known), ["code-puppy"]);
        assert!(nearest("zebra", known).is_empty());
        assert_eq!(did_you_mean("plannign", known).as_deref(), Some("did you mean `planning`?"));
    }
}
