//! The edit engine: what it changes, what it refuses, and which bytes stay.

use super::edit::{Edited, Replacement, Scope, Why, apply};
use super::locate::Precision;
use proptest::prelude::*;

fn once(old: &str, new: &str) -> Replacement {
    Replacement { old: old.to_owned(), new: new.to_owned(), scope: Scope::Once }
}

fn edit(text: &str, old: &str, new: &str) -> Result<String, Why> {
    apply(text, &[once(old, new)]).map(|e| e.text).map_err(|e| e.why)
}

#[test]
fn an_exact_and_unique_text_is_replaced() {
    assert_eq!(edit("one two three", "two", "2").unwrap(), "one 2 three");
    assert_eq!(edit("a\nb\n", "b\n", "").unwrap(), "a\n");
    assert_eq!(edit("\u{e9}x\u{e9}", "x", "\u{1f436}").unwrap(), "\u{e9}\u{1f436}\u{e9}");
}

#[test]
fn new_lines_get_the_ending_that_rules_there() {
    let rows = [
        ("a\r\nb\r\n", "b", "b\nc", "a\r\nb\r\nc\r\n"),
        ("a\r\nb\r\n", "a\nb\n", "a\nx\nb\n", "a\r\nx\r\nb\r\n"),
        ("a\r\nb", "b", "b\nc", "a\r\nb\r\nc"),
        ("a\nb\n", "a\r\nb\r\n", "a\r\nc\r\n", "a\nc\n"),
        // Mixed: each line that stays keeps its own ending, the new one gets the majority's.
        ("a\r\nb\nc\r\n", "a\nb\nc\n", "a\nb\nB\nc\n", "a\r\nb\nB\r\nc\r\n"),
        // In an LF file CRLF is a habit of the model's, unless it quoted one that is there.
        ("a\nb\n", "a\nb", "a\r\nB\r\nc", "a\nB\nc\n"),
        ("a\nb\n", "b", "b\rc", "a\nb\rc\n"),
        ("a\rx\nb\n", "a\rx\n", "y\rx\n", "y\rx\nb\n"),
        // No edit parts the two characters of a line ending.
        ("a\r\nb\r\nc", "\nb", "", "a\r\nc"),
        ("a\r\nb\r\nc", "b\r", "", "a\r\nc"),
        // A lone CR in an LF file ends no line of it.
        ("a\rb\nc\n", "a\nb\n", "x\n", "x\nc\n"),
        // A line that stands for another ends as that did.
        ("a\r\nb\nc\r\nd\n", "b\nc\nd\n", "B\nC\nd\n", "a\r\nB\nC\r\nd\n"),
        ("x", "x", "x\ny", "x\ny"),
    ];
    for (text, old, new, want) in rows {
        assert_eq!(edit(text, old, new).unwrap(), want, "{text:?} {old:?} {new:?}");
    }
}

#[test]
fn trailing_blanks_are_ignored_only_where_exact_fails_and_kept_where_untouched() {
    assert_eq!(edit("if x:  \n    y\t\nz\n", "if x:\n    y\n", "if x:\n    y()\n").unwrap(), "if x:  \n    y()\nz\n");
    assert_eq!(edit("a\nb\n", "a  \nb", "a  \nc").unwrap(), "a\nc\n");
    assert_eq!(edit("key = 1\n", "key = 1   ", "key = 2").unwrap(), "key = 2\n");
    assert_eq!(edit("key = 1 \t\nz", "key = 1   ", "key = 2").unwrap(), "key = 2\nz");
    // "a " must not be taken for the beginning of "ab".
    assert!(matches!(edit("ab\n", "a ", "c"), Err(Why::NotFound { .. })));
    // Nothing but blanks is no place at all.
    assert!(matches!(edit("a\n\n\nb", "  \n", "x"), Err(Why::NotFound { .. })));
}

#[test]
fn a_missing_final_newline_stays_missing() {
    assert_eq!(edit("a\nb", "b\n", "c\n").unwrap(), "a\nc");
    assert_eq!(edit("a\r\nb", "a\nb\n", "a\nc\nd\n").unwrap(), "a\r\nc\r\nd");
    assert_eq!(edit("a\n\tb", "  b\n", "  b\n  c\n").unwrap(), "a\n\tb\n\tc");
    assert!(matches!(edit("ab\n", "b\n\n", "c"), Err(Why::NotFound { .. })));
}

#[test]
fn ambiguity_is_counted_with_its_lines_and_overlaps_count() {
    let e = apply("x\ny\nx\nx", &[once("x", "z")]).unwrap_err();
    assert_eq!(
        e.to_string(),
        "old_str was found 3 times, at lines 1, 3, 4; add lines around it until it is unique, or set replace_all. \
         The places, with line numbers:\n1: x\n2: y\n\n1: x\n2: y\n3: x\n4: x\n\n2: y\n3: x\n4: x"
    );
    assert!(matches!(edit("aaa", "aa", "b"), Err(Why::Ambiguous { .. })));
    let all = Replacement { scope: Scope::Every, ..once("x", "z") };
    let Edited { text, places, precision } = apply("x\ny\nx\nx", &[all]).unwrap();
    assert_eq!((text.as_str(), places, precision), ("z\ny\nz\nz", 3, Precision::Exact));
    let many = "q\n".repeat(30);
    assert!(apply(&many, &[once("q", "r")]).unwrap_err().to_string().contains("8, ...; add lines"));
    assert!(
        apply(&many, &[once("q", "r")])
            .unwrap_err()
            .to_string()
            .ends_with(" The first ones, with line numbers:\n1: q\n2: q\n\n1: q\n2: q\n3: q\n\n1: q\n2: q\n3: q\n4: q")
    );
}

#[test]
fn ambiguity_of_the_loose_ways_is_refused_too() {
    assert!(matches!(edit("a \nb\na\t\nb\n", "a\nb\n", "c\n"), Err(Why::Ambiguous { lines, .. }) if lines == [1, 3]));
    // Line endings are not seen: these two look the same.
    assert!(matches!(edit("a\r\nb\r\n-\r\na\nb\n", "a\nb\n", "c\n"), Err(Why::Ambiguous { lines, .. }) if lines == [1, 4]));
    let all = Replacement { scope: Scope::Every, ..once("a\nb\n", "c\nb\n") };
    assert_eq!(apply("a\r\nb\r\n-\r\na\nb\n", &[all]).unwrap().text, "c\r\nb\r\n-\r\nc\nb\n");
}

#[test]
fn all_or_nothing_in_order() {
    let done = apply("a b c", &[once("a", "x"), once("x b", "y")]).unwrap();
    assert_eq!((done.text.as_str(), done.places), ("y c", 2));
    let e = apply("a b c", &[once("a", "x"), once("nope", "y")]).unwrap_err();
    assert!(e.to_string().starts_with("replacement 2 of 2, so none was made: old_str was not found."), "{e}");
}

#[test]
fn senseless_edits_are_refused() {
    assert_eq!(edit("a", "", "b"), Err(Why::EmptyOld));
    assert_eq!(edit("a", "a", "a"), Err(Why::Same));
    assert_eq!(edit("a\r\n", "a\n", "a\r\n"), Err(Why::NoChange));
    assert_eq!(edit("a", "k = [redacted:KEY]", "b"), Err(Why::Redacted));
    assert_eq!(apply("a", &[]).unwrap_err().why, Why::Nothing);
    assert_eq!(apply("a b", &[once("a", "c"), once("c", "a")]).unwrap_err().why, Why::Undone);
}

#[test]
fn a_refusal_shows_the_nearest_lines() {
    let file = "fn alpha() {\n    let count = compute(1);\n    print(count);\n}\nfn beta() {}\n";
    let Err(Why::NotFound { hint }) = edit(file, "    let count = compute(2);\n    print(count);\n", "x") else { panic!() };
    assert!(hint.contains("\n2:     let count = compute(1);\n3:     print(count);\n"), "{hint}");
    let Err(Why::NotFound { hint }) = edit(file, "let count = compute(1);\n  print(count);\n", "x") else { panic!() };
    assert!(hint.contains("leading blanks only") && hint.contains("\n2:     let"), "{hint}");
    let Err(Why::NotFound { hint }) = edit(file, "let total = compute(1);", "    print(count);") else { panic!() };
    assert!(hint.contains("already in the file, at line 3"), "{hint}");
    let Err(Why::NotFound { hint }) = edit(file, "zzzzqqqq", "x") else { panic!() };
    assert!(hint.contains("No line is similar"), "{hint}");
    let long = format!("{}\n", "word ".repeat(400));
    let Err(Why::NotFound { hint }) = edit(&long, "word word word word w0rd", "x") else { panic!() };
    assert!(hint.len() < 500, "{}", hint.len());
}

/// A line of a source file: words, sometimes with blanks at either end.
fn line() -> impl Strategy<Value = String> {
    ("[ \t]{0,3}", "[a-e\u{e9}\u{1f436}]{0,4}", prop_oneof![Just(String::new()), "[ \t]{1,2}"]).prop_map(|(a, b, c)| format!("{a}{b}{c}"))
}

fn file() -> impl Strategy<Value = String> {
    let ending = prop_oneof![3 => Just("\n"), 2 => Just("\r\n")];
    let lines = prop::collection::vec((line(), ending), 1..12);
    (lines, any::<bool>(), prop::option::of(Just("\r\n"))).prop_map(|(lines, last, one)| {
        // A capital of its own makes each line unique.
        let marked: Vec<String> = ('A'..).zip(&lines).map(|(mark, (l, e))| format!("{mark}{l}{}", one.unwrap_or(e))).collect();
        let mut text = marked.concat();
        if !last {
            while text.ends_with(['\n', '\r']) {
                text.pop();
            }
        }
        text
    })
}

proptest! {
    /// Replacing lines of a file as a model sees them (LF, perhaps no trailing blanks): every line before and after keeps
    /// its bytes.
    #[test]
    fn bytes_outside_the_edit_stay(text in file(), from in 0_usize..12, count in 1_usize..4, new in prop::collection::vec("[x-z]{1,3}", 0..4), strip: bool) {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        prop_assume!(from < lines.len());
        let to = (from + count).min(lines.len());
        let seen = |l: &str| {
            let (body, end) = l.strip_suffix('\n').map_or((l, ""), |b| (b.strip_suffix('\r').unwrap_or(b), "\n"));
            format!("{}{end}", if strip { body.trim_end_matches([' ', '\t']) } else { body })
        };
        let old: String = lines[from..to].iter().map(|l| seen(l)).collect();
        let open = !lines[to - 1].ends_with('\n');
        let mut wanted = new.join("\n");
        if !open && !new.is_empty() {
            wanted.push('\n');
        }
        let done = apply(&text, &[once(&old, &wanted)]).unwrap();
        let (before, after) = (lines[..from].concat(), lines[to..].concat());
        prop_assert!(done.text.starts_with(&before), "{:?} -> {:?}", text, done.text);
        prop_assert!(done.text.ends_with(&after), "{:?} -> {:?}", text, done.text);
        let middle = done.text[before.len()..done.text.len() - after.len()].replace("\r\n", "\n");
        // Without a line break to hold on to, blanks at the very end are not part of the quoted text.
        prop_assert_eq!(if open { middle.trim_end_matches([' ', '\t']) } else { middle.as_str() }, wanted);
        if !text.contains("\r\n") {
            prop_assert!(!done.text.contains('\r'));
        }
        if text.contains('\n') && !text.replace("\r\n", "").contains('\n') {
            prop_assert!(!done.text.replace("\r\n", "").contains('\n'), "{:?} -> {:?}", text, done.text);
        }
    }

    /// A text that is unique is always found, however the model saw its line ends.
    #[test]
    fn unique_lines_are_always_found(text in file(), at in 0_usize..12) {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        prop_assume!(at < lines.len());
        let marked: String = lines.iter().enumerate().map(|(ix, l)| if ix == at { format!("uniq{l}") } else { (*l).to_owned() }).collect();
        let shown = format!("uniq{}\n", lines[at].trim_end());
        let done = apply(&marked, &[once(&shown, "other\n")]).unwrap();
        prop_assert_eq!(done.places, 1);
        prop_assert!(done.text.contains("other") && !done.text.contains("uniq"));
    }

    /// Anything at all: no panic, and replace_all leaves none of the old text that it did not itself put in.
    #[test]
    fn never_panics(text in "[ab\r\n \u{e9}]{0,24}", old in "[ab\r\n \u{e9}]{0,6}", new in "[ab\r\n c]{0,6}", every: bool) {
        let scope = if every { Scope::Every } else { Scope::Once };
        if let Ok(done) = apply(&text, &[Replacement { old: old.clone(), new, scope }]) {
            prop_assert!(done.text != text && done.places > 0 && !old.is_empty());
        }
    }
}

/// Text of few letters, so that it meets itself: blanks, line endings, quotes, dots and letters of several bytes.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "ab",
        " ",
        "  ",
        "\t",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "\"",
        "\u{201c}",
        "\u{2019}",
        "'",
        "-",
        "\u{2014}",
        "...",
        "// ...",
        "\u{e9}",
        "\u{1f436}",
        "\u{a0}",
        "{",
        "}",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|p| p.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Whatever is asked: refused, or something changes; and around the only place of an exact quotation nothing does.
    #[test]
    fn no_edit_is_half_right(text in soup(), old in soup(), new in soup(), every: bool) {
        let scope = if every { Scope::Every } else { Scope::Once };
        match apply(&text, &[Replacement { old: old.clone(), new: new.clone(), scope }]) {
            Err(e) => prop_assert!(!e.to_string().is_empty()),
            Ok(done) => {
                prop_assert_ne!(&done.text, &text);
                let parts = |a: &str, b: &str| a.ends_with('\r') && b.starts_with('\n');
                if text.matches(&old).count() == 1
                    && let (before, after) = text.split_once(&old).unwrap()
                    && !parts(before, &old) && !parts(&old, after)
                {
                    prop_assert!(done.text.starts_with(before) && done.text.ends_with(after), "{:?}", done.text);
                    prop_assert!(done.text.len() >= before.len() + after.len());
                }
            }
        }
    }
}
