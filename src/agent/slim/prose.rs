//! Old answers in fewer words: sentences that only announce what comes next go, and blanks that say nothing. Code,
//! quotations, lists and anything with a name or a number in it stay as they are.

/// How a sentence begins that only announces or praises.
const OPENERS: [&str; 16] = [
    "let me ",
    "now let me ",
    "now let's ",
    "let's ",
    "i'll ",
    "i will ",
    "now i'll ",
    "now i will ",
    "i'm going to ",
    "next, i'll ",
    "first, i'll ",
    "great!",
    "perfect!",
    "excellent!",
    "good!",
    "sure!",
];

/// The text in fewer words; none where there is nothing to save.
pub fn shorter(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let (mut fence, mut blank) = (None::<&str>, true);
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        let mark = ["```", "~~~"].into_iter().find(|m| bare.starts_with(m));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) if !kept_as_it_is(line) => {
                let said = sentences(line.trim_end());
                if said.is_empty() {
                    // One empty line between paragraphs, however many there were.
                    if !std::mem::replace(&mut blank, true) {
                        out.push('\n');
                    }
                } else {
                    out.push_str(&said);
                    out.push('\n');
                    blank = false;
                }
                continue;
            }
            _ => {}
        }
        out.push_str(line);
        blank = false;
    }
    let out = out.trim_end();
    // A text that has become nothing would make the message empty.
    (!out.trim().is_empty() && out.len() < text.len()).then(|| out.to_owned())
}

/// Indented code, quotations, lists, tables and headings are form as much as words.
fn kept_as_it_is(line: &str) -> bool {
    let bare = line.trim_start();
    line.starts_with("    ")
        || line.starts_with('\t')
        || bare.starts_with(['>', '-', '*', '|', '#', '+'])
        || bare.split_once(['.', ')']).is_some_and(|(n, _)| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()))
}

/// The sentences of a line that say something.
fn sentences(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest
            .char_indices()
            .zip(rest.chars().skip(1).map(Some).chain([None]))
            .find(|((_, c), next)| matches!(c, '.' | '!' | '?' | ':') && next.is_none_or(char::is_whitespace))
            .map_or(rest.len(), |((at, c), _)| at + c.len_utf8());
        let (sentence, more) = rest.split_at(end);
        let gap = more.len() - more.trim_start().len();
        let (gap, after) = more.split_at(gap);
        if !only_announces(sentence) {
            out.push_str(sentence);
            out.push_str(gap);
        }
        rest = after;
    }
    out.trim_end().to_owned()
}

fn only_announces(sentence: &str) -> bool {
    let bare = sentence.trim();
    let plain =
        bare.len() < 160 && bare.chars().skip(1).all(|c| c.is_ascii_lowercase() || matches!(c, ' ' | ',' | '\'' | '.' | '!' | ':' | 'I'));
    // A name, a path, a number or a quotation tells something that may be needed.
    plain && OPENERS.iter().any(|o| bare.to_ascii_lowercase().starts_with(o))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn announcements_go_and_facts_stay() {
        let text = "Great! Let me look at the file.\n\n\n\nThe port is 8417. Now I'll run the tests.\nI'll use `cargo test` on src/a.rs.\n";
        assert_eq!(shorter(text).unwrap(), "The port is 8417.\nI'll use `cargo test` on src/a.rs.");
        assert_eq!(shorter("Let me see."), None, "nothing would be left");
        assert_eq!(shorter("All of it is needed."), None);
    }

    #[test]
    fn code_and_quotations_are_not_touched() {
        let kept = "```\nlet me see.\n\n\n\nI'll go.\n```\n> Let me quote.\n    let me be code.\n- let me be an item.\n1. let me count.";
        assert_eq!(shorter(kept), None);
        let more = format!("Let me show it:\n{kept}");
        assert_eq!(shorter(&more).unwrap(), kept);
        assert_eq!(shorter("I'll say \"let me\" to him."), None);
    }

    proptest! {
        #[test]
        fn it_is_done_once_and_fenced_lines_survive(lines in proptest::collection::vec("(let me see\\. |Great! |x = 1|```|    code|> q|[a-zé猫 .!]{0,12}|)", 0..14)) {
            let text = lines.join("\n");
            if let Some(short) = shorter(&text) {
                prop_assert!(short.len() < text.len());
                prop_assert_eq!(shorter(&short), None);
                for fact in ["x = 1", "    code", "> q"] {
                    let count = |t: &str| t.matches(fact).count();
                    prop_assert_eq!(count(&short), count(&text), "{} in {}", fact, short);
                }
            }
        }
    }
}
