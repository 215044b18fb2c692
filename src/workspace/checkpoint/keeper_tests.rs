//! Steps that follow each other at once: each starts from what the one before it left.

use super::capture::Limits;
use super::history::Turning;
use super::keeper::{Keeper, Scope};
use super::plan::{Direction, Wanted};
use super::step::About;
use super::store::Store;
use std::fs;

#[test]
fn a_command_right_after_an_edit_right_after_a_command_knows_the_edit() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap().join("project");
    fs::create_dir(&root).unwrap();
    let file = root.join("f");
    fs::write(&file, "0").unwrap();
    let store = Store::new(&root, &dir.path().join("state"), Limits::default());
    let keeper = Keeper::new(store.clone());
    for (n, scope) in [Scope::Tree, Scope::Paths(vec![file.clone()]), Scope::Tree, Scope::Tree].iter().enumerate() {
        let begun = keeper.begin(About::default(), scope).unwrap();
        fs::write(&file, (n + 1).to_string()).unwrap();
        assert!(keeper.end(begun.open).unwrap().is_some(), "{n}");
    }
    for left in ["3", "2", "1", "0"] {
        let turning = Turning::prepare(&store, Direction::Undo, Wanted::Last(1)).unwrap();
        assert!(turning.plan.conflicts.is_empty(), "{left}");
        assert!(turning.carry_out().unwrap().troubles.is_empty());
        assert_eq!(fs::read_to_string(&file).unwrap(), left);
    }
}
