//! Every encoding, line ending and kind of near miss with each other, through the tool and the file system: exact bytes,
//! or refused with nothing changed.

use super::{Context, Registry, ToolError, call};
use crate::workspace::Workspace;
use serde_json::{Map, Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// How a body becomes the bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Written {
    Utf8,
    Utf8Bom,
    Utf16Le,
    Utf16Be,
    Latin1,
}

impl Written {
    fn bytes(self, body: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => body.as_bytes().to_vec(),
            Self::Utf8Bom => [b"\xef\xbb\xbf", body.as_bytes()].concat(),
            Self::Utf16Le => [0xff, 0xfe].into_iter().chain(body.encode_utf16().flat_map(u16::to_le_bytes)).collect(),
            Self::Utf16Be => [0xfe, 0xff].into_iter().chain(body.encode_utf16().flat_map(u16::to_be_bytes)).collect(),
            Self::Latin1 => body.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect(),
        }
    }
}

/// What the model sends for a file of five lines, and the lines that then are there; `None` where it is refused.
struct Miss {
    name: &'static str,
    lines: [&'static str; 5],
    old: &'static str,
    new: &'static str,
    want: Option<&'static [&'static str]>,
}

const MISSES: [Miss; 12] = [
    Miss {
        name: "part of a line",
        lines: ["a", "caf\u{e9} = 1", "c", "d", "e"],
        old: "\u{e9} = 1",
        new: "\u{e9} = 2",
        want: Some(&["a", "caf\u{e9} = 2", "c", "d", "e"]),
    },
    Miss {
        name: "lines with LF",
        lines: ["a", "b\u{e9}", "c", "d", "e"],
        old: "b\u{e9}\nc\n",
        new: "B\nnew\nc\n",
        want: Some(&["a", "B", "new", "c", "d", "e"]),
    },
    Miss {
        name: "lines with CRLF",
        lines: ["a", "b", "\u{e7}", "d", "e"],
        old: "b\r\n\u{e7}\r\nd",
        new: "b\r\nd",
        want: Some(&["a", "b", "d", "e"]),
    },
    Miss {
        name: "blanks at ends, in the file",
        lines: ["a  ", "b\t", "c", "d\u{e9} ", "e"],
        old: "b\nc\nd\u{e9}\n",
        new: "b\nC\nd\u{e9}\n",
        want: Some(&["a  ", "b\t", "C", "d\u{e9} ", "e"]),
    },
    Miss {
        name: "blanks at ends, of the model",
        lines: ["a", "b", "c", "d\u{e9}", "e"],
        old: "b  \nc\t\n",
        new: "b\nC\n",
        want: Some(&["a", "b", "C", "d\u{e9}", "e"]),
    },
    Miss {
        name: "typography",
        lines: ["a", "x\u{a0}= 1", "\u{e9}", "d", "e"],
        old: "x = 1\n\u{e9}\n",
        new: "x = 2\n\u{e9}\n",
        want: Some(&["a", "x\u{a0}= 2", "\u{e9}", "d", "e"]),
    },
    Miss {
        name: "indentation",
        lines: ["a", "\tif \u{e9}:", "\t\tc", "d", "e"],
        old: "if \u{e9}:\n    c\n",
        new: "if \u{e9}:\n    C\n        D\n",
        want: Some(&["a", "\tif \u{e9}:", "\t\tC", "\t\t\tD", "d", "e"]),
    },
    Miss {
        name: "elided",
        lines: ["a", "b\u{e9}", "c", "d", "e"],
        old: "a\n...\nd\n",
        new: "A\n...\nD\n",
        want: Some(&["A", "b\u{e9}", "c", "D", "e"]),
    },
    Miss { name: "twice", lines: ["a", "b\u{e9}", "c", "b\u{e9}", "e"], old: "b\u{e9}\n", new: "B\n", want: None },
    Miss { name: "twice, but for blanks", lines: ["a", "b\u{e9} ", "c", "b\u{e9}\t", "e"], old: "b\u{e9}\n", new: "B\n", want: None },
    Miss { name: "not there", lines: ["a", "b\u{e9}", "c", "d", "e"], old: "b\u{e9}\nd\n", new: "B\n", want: None },
    Miss {
        name: "no one rule of indentation",
        lines: ["a", "    b\u{e9}", "    c", "d", "e"],
        old: "b\u{e9}\n  c\n",
        new: "B\n",
        want: None,
    },
];

fn joined(lines: &[&str], endings: &[&str], open: bool) -> String {
    let last = lines.len() - 1;
    lines
        .iter()
        .enumerate()
        .map(|(ix, line)| if open && ix == last { (*line).to_owned() } else { format!("{line}{}", endings[ix % endings.len()]) })
        .collect()
}

fn run(root: &Path, name: &str, args: Value) -> Result<String, String> {
    let Value::Object(args): Value = args else { panic!() };
    let args: Map<String, Value> = args;
    let context = Context::new(Workspace::open(root).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tools = Registry::builtin();
    match runtime.block_on(call(tools.get(name).unwrap().as_ref(), &args, &context)) {
        Ok(out) => Ok(out.text),
        Err(ToolError::Model(text) | ToolError::Denied(text, _)) => Err(text),
        Err(ToolError::Fatal(failure)) => panic!("{failure}"),
    }
}

#[test]
fn every_encoding_ending_and_near_miss() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("real");
    symlink("real", dir.path().join("f")).unwrap();
    let mut rows = 0;
    for written in [Written::Utf8, Written::Utf8Bom, Written::Utf16Le, Written::Utf16Be, Written::Latin1] {
        for ending in ["\n", "\r\n", "\r"] {
            for open in [false, true] {
                for miss in &MISSES {
                    rows += 1;
                    let before = written.bytes(&joined(&miss.lines, &[ending], open));
                    fs::write(&path, &before).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o754)).unwrap();
                    let done = run(dir.path(), "replace_in_file", json!({"path": "f", "old_str": miss.old, "new_str": miss.new}));
                    let row = format!("{written:?} {ending:?} open {open} {}: {done:?}", miss.name);
                    assert_eq!(done.is_ok(), miss.want.is_some(), "{row}");
                    let want = miss.want.map_or(before, |lines| written.bytes(&joined(lines, &[ending], open)));
                    let now = fs::read(&path).unwrap();
                    assert_eq!(String::from_utf8_lossy(&now), String::from_utf8_lossy(&want), "{row}");
                    assert_eq!(now, want, "{row}");
                    let meta = fs::metadata(&path).unwrap();
                    assert_eq!(meta.permissions().mode() & 0o7777, 0o754, "{row}");
                    assert!(dir.path().join("f").is_symlink(), "{row}");
                    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "something was left: {row}");
                }
            }
        }
    }
    assert!(rows >= 200, "{rows}");
}

/// Where lines end now so, now so, each line that stays keeps its own ending.
#[test]
fn mixed_endings_and_other_names_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("f"), dir.path().join("other"));
    let mixed = ["\r\n", "\n", "\n", "\r\n", "\n"];
    fs::write(&path, joined(&["a", "b", "c", "d", "e"], &mixed, false)).unwrap();
    fs::hard_link(&path, &other).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    run(dir.path(), "replace_in_file", json!({"path": "f", "old_str": "a\nb\nc\nd\n", "new_str": "a\nb\nC\nd\n"})).unwrap();
    assert_eq!(fs::read_to_string(&other).unwrap(), joined(&["a", "b", "C", "d", "e"], &["\r\n", "\n", "\n", "\r\n", "\n"], false));
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
}

#[test]
fn an_unknown_encoding_and_a_character_that_a_file_cannot_have_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (bytes, new) in [(&b"\x82\xb1 a"[..], "b"), (b"a\0", "b"), (b"\xff\xfea", "b"), (b"\xe9t\xe9 a", "\u{2192}")] {
        fs::write(dir.path().join("f"), bytes).unwrap();
        let said = run(dir.path(), "replace_in_file", json!({"path": "f", "old_str": "a", "new_str": new})).unwrap_err();
        assert!(said.contains("f: it ") && said.ends_with("nothing was changed") || said.contains("f: its encoding"), "{said}");
        assert_eq!(fs::read(dir.path().join("f")).unwrap(), bytes);
    }
}

/// What a file holds, the call, and what it holds then; `None` where it is refused.
type Row<'a> = (&'a [u8], &'a str, Value, Option<&'a [u8]>);

#[test]
fn habits_of_models_do_no_harm() {
    let one = |old: &str, new: &str| json!({"path": "f", "old_str": old, "new_str": new});
    let patch = |lines: &str| json!({"patch": format!("*** Begin Patch\n*** Update File: f\n{lines}\n*** End Patch")});
    let rows: &[Row<'_>] = &[
        // Carriage returns in a file that has none, and half of a line ending.
        (b"a\nb\nc\n", "replace_in_file", one("a\nb", "a\r\nB\r\n"), Some(b"a\nB\n\nc\n")),
        (b"keep\r\ngo\r\nkeep", "replace_in_file", one("\ngo", ""), Some(b"keep\r\nkeep")),
        (b"a\r\nb\r\n-\r\na\nb\n", "replace_in_file", one("a\nb\n", "c\n"), None),
        // A byte order mark in the quotation, or only in what replaces it.
        (b"\xef\xbb\xbfa\nb\n", "replace_in_file", one("\u{feff}a", "\u{feff}c"), Some(b"\xef\xbb\xbfc\nb\n")),
        (b"\xef\xbb\xbfa\nb\n", "replace_in_file", one("a", "\u{feff}c"), Some(b"\xef\xbb\xbfc\nb\n")),
        // Quoted with blanks, rewritten with the file's own tabs.
        (b"f() {\n\ta\n}\n", "replace_in_file", one("f() {\n    a\n}", "f() {\n\tb\n}"), Some(b"f() {\n\tb\n}\n")),
        (b"\tf() {\n\t\ta\n\t}\n", "replace_in_file", one("f() {\n    a\n}", "f() {\n\tb\n}"), None),
        // Names that other tools have.
        (b"a a\n", "replace_in_file", json!({"filePath": "f", "oldString": "a", "newString": "b", "replaceAll": true}), Some(b"b b\n")),
        (b"a\n", "replace_in_file", json!({"path": "f", "before": "a", "after": "b"}), Some(b"b\n")),
        (b"a\n", "apply_patch", json!({"input": "*** Begin Patch\n*** Update File: f\n@@\n-a\n+b\n*** End Patch"}), Some(b"b\n")),
        // A remark in the place of the lines that it stands for.
        (b"one()\ntwo()\n", "replace_in_file", one("one()\ntwo()", "# ... existing code ...\nthree()"), None),
        (b"one()\ntwo()\n", "apply_patch", patch("@@\n-one()\n-two()\n+three()\n+# ... rest of the code ..."), None),
        (b"one()\n", "create_file", json!({"path": "f", "content": "two()\n// ... rest of the file ...\n", "overwrite": true}), None),
        (b"// ... rest of the file ...\na\n", "replace_in_file", one("a", "b"), Some(b"// ... rest of the file ...\nb\n")),
        // What would make a text file a binary one.
        (b"a\n", "replace_in_file", one("a", "b\0"), None),
        (b"a\n", "apply_patch", patch("@@\n-a\n+b\0"), None),
        (b"a\n", "create_file", json!({"path": "f", "content": "b\0", "overwrite": true}), None),
        // Edits that come to nothing together.
        (
            b"a b\n",
            "replace_in_file",
            json!({"path": "f", "edits": [{"old_str": "a", "new_str": "c"}, {"old_str": "c", "new_str": "a"}]}),
            None,
        ),
        // A file named as a folder is.
        (b"a\n", "replace_in_file", json!({"path": "f/", "old_str": "a", "new_str": "b"}), None),
        // Lines of a patch that look the same, and one that stands for another in a file of mixed endings.
        (b"x\r\nx\n", "apply_patch", patch("@@\n-x\n x"), Some(b"x\n")),
        (b"a\r\nb\nc\r\nd\n", "apply_patch", patch("@@\n b\n-c\n+C\n d"), Some(b"a\r\nb\nC\r\nd\n")),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (before, tool, args, want) in rows {
        fs::write(dir.path().join("f"), before).unwrap();
        let done = run(dir.path(), tool, args.clone());
        let now = fs::read(dir.path().join("f")).unwrap();
        let row = format!("{} {tool} {args}: {done:?}", String::from_utf8_lossy(before));
        assert_eq!(done.is_ok(), want.is_some(), "{row}");
        assert_eq!(String::from_utf8_lossy(&now), String::from_utf8_lossy(want.unwrap_or(before)), "{row}");
    }
}

/// A refusal names the places of a text that is there very often, and does not count lines over and over for that.
#[test]
fn a_text_that_is_there_a_hundred_thousand_times_is_refused_soon() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "a\n".repeat(100_000)).unwrap();
    let said = run(dir.path(), "replace_in_file", json!({"path": "f", "old_str": "a\n", "new_str": "b\n"})).unwrap_err();
    assert!(said.contains("100000 times, at lines 1, 2, 3, 4, 5, 6, 7, 8, ...; add lines") && said.len() < 1000, "{said}");
}
