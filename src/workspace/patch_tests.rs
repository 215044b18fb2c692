//! Patches: what is read, what is refused, and where hunks go.

use super::*;
use proptest::prelude::*;

fn update(hunks: &str) -> String {
    format!("*** Begin Patch\n*** Update File: f\n{hunks}*** End Patch\n")
}

fn patched(text: &str, hunks: &str) -> Result<String, PatchError> {
    match parse(&update(hunks))?.as_slice() {
        [Change::Update { hunks, .. }] => apply(text, hunks),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_of_change_is_read() {
    let text = "*** Begin Patch\n*** Add File: a b.txt\n+one\n+\n+*** End Patch\n*** Delete File: old\n*** Update File: x\n*** Move to: y/z\n@@ class A\n@@   def f\n a\n-b\n+c\n\n*** End of File\n*** End Patch";
    let sides = vec![Side::Both, Side::Old, Side::New, Side::Both];
    let context = vec!["class A".into(), "  def f".into()];
    let hunk = Hunk { context, old: "a\nb\n\n".into(), new: "a\nc\n\n".into(), sides, at_end: true };
    let want = [
        Change::Add { path: "a b.txt".into(), content: "one\n\n*** End Patch\n".into() },
        Change::Delete { path: "old".into() },
        Change::Update { path: "x".into(), moved: Some("y/z".into()), hunks: vec![hunk] },
    ];
    for wrapped in [
        text.to_owned(),
        format!("apply_patch <<'EOF'\n{text}\nEOF\n"),
        format!("```\n{text}\n```"),
        format!("\n  {}  \n\n", text.replace("*** Delete File: old", "  *** Delete File: old  ")),
        text.replace("@@ class A", "  @@ class A"),
    ] {
        assert_eq!(parse(&wrapped).unwrap(), want, "{wrapped}");
    }
}

#[test]
fn what_is_no_patch_is_refused_with_its_line() {
    let rows = [
        ("", "the patch must begin with `*** Begin Patch`, not ``"),
        ("diff --git a b", "the patch must begin with `*** Begin Patch`, not `diff --git a b`"),
        ("*** Begin Patch\n*** Add File: a\n+x\n", "the patch does not end with `*** End Patch`"),
        ("*** Begin Patch\n*** End Patch", "the patch has no files"),
        ("*** Begin Patch\n*** Rename File: a\n*** End Patch", "line 2 of the patch: `*** Rename File: a` is none of"),
        ("*** Begin Patch\n*** Update File:\n*** End Patch", "line 2 of the patch: `*** Update File:` is none of"),
        ("*** Begin Patch\n*** Add File: a\nx\n*** End Patch", "line 3 of the patch: `x` must begin with `+`"),
        ("*** Begin Patch\n*** Update File: a\n@@\n*** End Patch", "line 3 of the patch: the hunk has no lines"),
        ("*** Begin Patch\n*** Update File: a\n@@\n x\n@@ y\n*** End Patch", "line 5 of the patch: the hunk has no lines"),
        ("*** Begin Patch\n*** Update File: a\n@@\nbad\n*** End Patch", "line 4 of the patch: `bad` must begin with"),
    ];
    for (patch, want) in rows {
        let e = parse(patch).unwrap_err().to_string();
        assert!(e.starts_with(want), "{patch:?}: {e}");
    }
}

#[test]
fn hunks_go_where_their_lines_are_in_the_files_own_style() {
    let rows = [
        ("a\nb\nc\n", "@@\n a\n-b\n+B\n c\n", "a\nB\nc\n"),
        ("a\nb\nc\nd\n", "@@\n-a\n+A\n@@\n-d\n+D\n", "A\nb\nc\nD\n"),
        ("a\r\nb\r\n", " a\n-b\n+B\n+C\n", "a\r\nB\r\nC\r\n"),
        ("a\rb\r", " a\n+x\n b\n", "a\rx\rb\r"),
        ("a\nb", "@@\n-b\n+c\n", "a\nc"),
        ("a\nb", "@@\n b\n+c\n", "a\nb\nc"),
        ("a\nb", "@@\n a\n-b\n", "a"),
        ("a\r\nb", "@@\n a\n b\n+c\n+d\n", "a\r\nb\r\nc\r\nd"),
        ("x\n  b", "@@\n-b\n+c\n+d\n", "x\n  c\n  d"),
        ("a\n", "@@\n+z\n", "a\nz\n"),
        ("a", "@@\n+z\n", "a\nz"),
        ("", "@@\n+z\n", "z\n"),
        // A whole line, never the end of another.
        ("ab\nb\n", "-b\n+c\n", "ab\nc\n"),
        ("def f():\n    pass\ndef g():\n    pass\n", "@@ def g():\n-    pass\n+    return\n", "def f():\n    pass\ndef g():\n    return\n"),
        ("x\nk\nx\nx\n", "@@ k\n-x\n+y\n", "x\nk\ny\nx\n"),
        ("x\ny\nx\n", "-x\n+z\n*** End of File\n", "x\ny\nz\n"),
        ("x\ny\nx", "-x\n+z\n*** End of File\n", "x\ny\nz"),
        ("\tif a:\n\t\tb\n", "-if a:\n-    b\n+if a:\n+    c\n+        d\n", "\tif a:\n\t\tc\n\t\t\td\n"),
        ("say \u{201c}hi\u{201d} \u{2013} now\n", "-say \"hi\" - now\n+say \"ho\" - now\n", "say \u{201c}ho\u{201d} \u{2013} now\n"),
        ("a \nb\n", "@@ -1,2 +1,2 @@\n a\n-b\n+c\n", "a \nc\n"),
        // Of lines that are the same, those stay of which it says so; a line that replaces another ends as that did.
        ("x\r\nx\n", "-x\n x\n", "x\n"),
        ("x\r\nx\n", " x\n-x\n", "x\r\n"),
        ("x \nx\t\nz\n", "-x\n x\n z\n", "x\t\nz\n"),
        ("a\r\nb\nc\r\nd\n", " a\n b\n-c\n+C\n d\n", "a\r\nb\nC\r\nd\n"),
        ("a\nb\nc\n", "@@\n+y\n+z\n@@\n a\n-b\n-c\n+B\n", "a\nB\ny\nz\n"),
        ("def f():\n    a\n", "@@ def f():\n def f():\n-    a\n+    b\n", "def f():\n    b\n"),
        ("a\nb\n", " a\n-b\n+c\n\n\n", "a\nc\n"),
    ];
    for (text, hunks, want) in rows {
        assert_eq!(patched(text, hunks).as_deref(), Ok(want), "{text:?} {hunks:?}");
    }
}

#[test]
fn hunks_without_one_place_are_refused() {
    let rows = [
        ("a\n", "-x\n+y\n", "hunk 1: its lines are not in the file."),
        ("x\nx\n", "-x\n+y\n", "hunk 1: its lines are in the file 2 times, at lines 1, 2"),
        ("x\nx", "-x\n+y\n", "hunk 1: its lines are in the file 2 times, at lines 1, 2"),
        ("b\na\n", "-a\n+A\n@@\n-b\n+B\n", "hunk 2: its lines are not in the file after the hunk before it."),
        ("a\n", "@@ class X\n-a\n+b\n", "hunk 1: no line after the one before is `class X`"),
        ("k\na\n", "@@ k\n+b\n", "hunk 1: where its lines go is unclear"),
        ("a\nb\n", "-a\n+A\n*** End of File\n", "hunk 1: its lines are not the last"),
    ];
    for (text, hunks, want) in rows {
        let e = patched(text, hunks).unwrap_err().to_string();
        assert!(e.starts_with(want), "{e}");
    }
}

proptest! {
    #[test]
    fn reading_never_panics(text in "(\\*\\*\\* (Begin Patch|End Patch|Add File: a|Update File: a|Move to: b|End of File)\n|@@ ?x?\n|[-+ ]x?\n|\n|<<EOF\n|.{0,5}){0,12}") {
        if let Ok(changes) = parse(&text) {
            prop_assert!(!changes.is_empty());
        }
    }

    /// What a diff of two texts says, as a patch, makes the second of the first.
    #[test]
    fn a_patch_of_a_difference_makes_it(old in prop::collection::vec("[a-c]{0,2}", 1..8), new in prop::collection::vec("[a-c]{0,2}", 1..8), crlf: bool, open: bool) {
        let end = if crlf { "\r\n" } else { "\n" };
        let join = |lines: &[String]| { let mut t = lines.join(end); if !open { t.push_str(end); } t };
        let ends_in_nothing = [&old, &new].iter().any(|lines| lines.last().is_none_or(String::is_empty));
        // Without any line ending in the file, nothing tells which one is wanted.
        let untold = crlf && open && old.len() == 1;
        prop_assume!(old != new && !ends_in_nothing && !untold);
        let (minus, plus) = (format!("-{}
", old.join("
-")), format!("+{}
", new.join("
+")));
        prop_assert_eq!(patched(&join(&old), &format!("@@\n{minus}{plus}")).unwrap(), join(&new));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Any lines are a patch or an error, and a patch that applies leaves alone what is before and after the lines that it quotes.
    #[test]
    fn no_patch_is_half_right(
        text in prop::collection::vec(prop::sample::select(vec!["a", "b", "  a", "", "c\r", "def f"]), 0..10),
        lines in prop::collection::vec(prop::sample::select(vec!["@@", "@@ def f", "@@ -1 +1 @@", " a", "-a", "+x", "-b", "+", "", " ", "*** End of File",
            "*** Update File: g", "*** Move to: h", "stray", "-c", "  a"]), 0..8),
        end: bool,
    ) {
        let text = text.join("\n") + if end { "\n" } else { "" };
        let hunks = lines.join("\n") + "\n";
        let Ok(changes) = parse(&update(&hunks)) else { return Ok(()) };
        for change in changes {
            let Change::Update { hunks, .. } = change else { continue };
            let Ok(new) = apply(&text, &hunks) else { continue };
            // Nothing but added and removed lines differ in number.
            let count = |s: &str| i64::try_from(super::super::lines::every(s).count()).unwrap();
            let moved: i64 = hunks.iter().map(|h| count(&h.new) - count(&h.old)).sum();
            prop_assert!((count(&new) - count(&text) - moved).abs() <= 1, "{:?} {:?} -> {:?}", text, hunks, new);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Of lines that may be the same, with endings that may differ, exactly those stay, byte for byte, of which the hunk says so.
    #[test]
    fn a_hunk_keeps_and_drops_the_lines_that_it_says(
        lines in prop::collection::vec(("[ab]{1,2}", prop::sample::select(vec!["\n", "\r\n"])), 1..8),
        open: bool,
        from in 0_usize..7,
        sides in prop::collection::vec(prop::sample::select(vec![Side::Both, Side::Old, Side::New]), 1..10),
    ) {
        let mut there: Vec<String> = lines.iter().map(|(body, ending)| format!("{body}{ending}")).collect();
        if open && let Some((body, _)) = lines.last() {
            there.pop();
            there.push(body.clone());
        }
        let text = there.concat();
        let mut rest = there.iter();
        let mut want: Vec<String> = rest.by_ref().take(from).cloned().collect();
        let mut hunks = String::from("@@\n");
        for side in sides {
            if side == Side::New {
                hunks.push_str("+new\n");
                want.push("new\n".to_owned());
            } else if let Some(line) = rest.next() {
                let kept = side == Side::Both;
                hunks.extend([if kept { " " } else { "-" }, super::super::lines::body(line), "\n"]);
                want.extend(kept.then(|| line.clone()));
            }
        }
        want.extend(rest.cloned());
        // Lines without a place go to the end, and a hunk that could go to several places goes nowhere.
        let placed = hunks.contains("\n ") || hunks.contains("\n-");
        let Some(done) = patched(&text, &hunks).ok().filter(|_| placed) else { return Ok(()) };
        let got: Vec<&str> = super::super::lines::every(&done).collect();
        prop_assert_eq!(got.len(), want.len(), "{:?} {:?} -> {:?}", text, hunks, done);
        for (got, want) in got.iter().zip(&want) {
            prop_assert_eq!(super::super::lines::body(got), super::super::lines::body(want), "{:?} {:?} -> {:?}", text, hunks, done);
            if want.as_str() != "new\n" && got.ends_with('\n') && want.ends_with('\n') {
                prop_assert_eq!(*got, want.as_str(), "{:?} {:?} -> {:?}", text, hunks, done);
            }
        }
        if !open || want.last() == there.last() {
            prop_assert_eq!(done.ends_with('\n'), !open && !done.is_empty(), "{:?} {:?} -> {:?}", text, hunks, done);
        }
    }
}
