//! The border of the workspace: every way out is closed.

use super::path::{PathError, Workspace};
use std::fs;
use std::os::unix::fs::symlink;

struct Place {
    _dir: tempfile::TempDir,
    ws: Workspace,
    outside: std::path::PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("ws");
    let outside = dir.path().join("out");
    fs::create_dir_all(root.join("src")).unwrap();
    fs::create_dir_all(&outside).unwrap();
    fs::write(root.join("src/main.rs"), "x").unwrap();
    fs::write(outside.join("secret"), "x").unwrap();
    symlink(&outside, root.join("door")).unwrap();
    symlink(outside.join("secret"), root.join("window")).unwrap();
    symlink("src/main.rs", root.join("inner")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    Place { ws: Workspace::open(&root).unwrap(), outside, _dir: dir }
}

#[test]
fn paths_inside_resolve_to_their_real_place() {
    let p = place();
    let root = p.ws.root().to_path_buf();
    for (given, real) in [
        ("src/main.rs", "src/main.rs"),
        ("./src/../src/main.rs", "src/main.rs"),
        ("inner", "src/main.rs"),
        ("new/deep/file.txt", "new/deep/file.txt"),
        ("../ws/src", "src"),
        ("a\u{e9} b", "a\u{e9} b"),
    ] {
        assert_eq!(p.ws.resolve(given).unwrap(), root.join(real), "{given}");
    }
    assert_eq!(p.ws.resolve(".").unwrap(), root);
    assert_eq!(p.ws.resolve(root.join("src").to_str().unwrap()).unwrap(), root.join("src"));
}

#[test]
fn ways_out_are_refused_even_for_files_that_do_not_exist_yet() {
    let p = place();
    let outside = p.outside.join("secret");
    for given in ["..", "../out/secret", "src/../../out/new", "/etc/passwd", "/", "new/../../x", outside.to_str().unwrap()] {
        let e = p.ws.resolve(given).unwrap_err();
        assert!(matches!(e, PathError::Outside { .. }), "{given}: {e}");
    }
    for given in ["door", "door/secret", "door/new", "door/../x", "window"] {
        let e = p.ws.resolve(given).unwrap_err();
        assert!(matches!(e, PathError::LinkOut { .. }), "{given}: {e}");
    }
}

#[test]
fn broken_paths_are_named() {
    let p = place();
    assert!(matches!(p.ws.resolve(""), Err(PathError::Empty)));
    assert!(matches!(p.ws.resolve("a\0b"), Err(PathError::Nul)));
    assert!(matches!(p.ws.resolve("~/x"), Err(PathError::Tilde)));
    assert!(matches!(p.ws.resolve("dangling"), Err(PathError::Dangling { .. })));
    assert!(matches!(p.ws.resolve("loop/x"), Err(PathError::Io { .. })));
    assert!(matches!(p.ws.resolve("src/main.rs/x"), Err(PathError::NotAFolder { .. })));
    assert!(matches!(p.ws.resolve(&"x".repeat(5000)), Err(PathError::Io { .. })));
}

#[test]
fn an_entry_keeps_its_last_link_but_not_the_others() {
    let p = place();
    assert_eq!(p.ws.resolve_entry("window").unwrap(), p.ws.root().join("window"));
    assert_eq!(p.ws.resolve_entry("dangling").unwrap(), p.ws.root().join("dangling"));
    assert!(p.ws.resolve_entry("door/secret").is_err());
}

#[test]
fn a_prefix_of_the_name_is_not_inside() {
    let p = place();
    let twin = p.ws.root().with_file_name("ws2");
    fs::create_dir(&twin).unwrap();
    assert!(p.ws.resolve(twin.to_str().unwrap()).is_err());
}

#[test]
fn wide_workspaces_warn_and_missing_ones_fail() {
    let p = place();
    assert!(Workspace::open("/".as_ref()).unwrap().warn(None).unwrap().contains("root of the file system"));
    assert!(p.ws.warn(Some(p.ws.root())).unwrap().contains("home folder"));
    assert!(p.ws.warn(Some(&p.outside)).is_none());
    assert!(Workspace::open(&p.outside.join("secret")).unwrap_err().message.contains("not a folder"));
    assert!(Workspace::open(&p.outside.join("gone")).unwrap_err().hint.is_some());
}

#[test]
fn a_missing_file_names_its_neighbours() {
    let p = place();
    let text = p.ws.missing(&p.ws.root().join("src/mian.rs"));
    assert_eq!(text, "src/mian.rs does not exist; did you mean `src/main.rs`?");
    let missing = |path: &str| p.ws.missing(&p.ws.root().join(path));
    assert_eq!(missing("src/README.txt"), "src/README.txt does not exist; src holds main.rs");
    let nowhere = missing("tests/deep/x.py");
    assert!(nowhere.starts_with("tests/deep/x.py does not exist, nor does the folder tests/deep; . holds "), "{nowhere}");
    std::fs::create_dir(p.ws.root().join("none")).unwrap();
    assert_eq!(missing("none/x"), "none/x does not exist; none is empty");
    for n in 0..11 {
        std::fs::write(p.ws.root().join(format!("none/{n:02}")), "").unwrap();
    }
    assert_eq!(missing("none/xyz.py"), "none/xyz.py does not exist; none holds 00, 01, 02, 03, 04, 05, 06, 07, 08, 09, ...");
}
