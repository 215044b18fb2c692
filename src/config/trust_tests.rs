//! Trust follows content: any change of a watched file ends it, anything else leaves it alone.

use super::trust::{State, Trust, project_root};
use crate::base::places::Places;
use std::fs;
use std::path::{Path, PathBuf};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(home.repo()).unwrap();
        home
    }

    fn repo(&self) -> PathBuf {
        self.0.path().join("repo")
    }

    fn places(&self) -> Places {
        let d = self.0.path();
        Places { config: d.join("config"), state: d.join("state"), cache: d.join("cache") }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn trust(&self) -> Trust {
        Trust::load(&self.places()).unwrap()
    }

    fn state(&self) -> State {
        self.trust().state(&self.repo()).unwrap()
    }

    fn shown(&self, text: &str) -> String {
        text.replace(&self.0.path().display().to_string(), "~")
    }
}

#[test]
fn content_is_what_is_trusted() {
    let home = Home::new();
    home.write("AGENTS.md", "rules");
    assert_eq!(home.state(), State::Nothing);
    home.write(".pup/config.toml", "max_turns = 3");
    home.write(".claude/agents/a.md", "x");
    assert_eq!(home.state(), State::Untrusted);
    assert_eq!(home.trust().add(&home.repo()).unwrap(), 3);
    assert!(home.trust().is_trusted(&home.repo()).unwrap());
    home.write("AGENTS.md", "other rules");
    home.write(".claude/settings.json", "{}");
    assert_eq!(home.state(), State::Trusted);
    let changes: [&dyn Fn(); 4] = [
        &|| home.write(".pup/config.toml", "max_turns = 4"),
        &|| home.write(".pup/agents/new.md", ""),
        &|| fs::remove_file(home.repo().join(".claude/agents/a.md")).unwrap(),
        &|| fs::rename(home.repo().join(".pup/agents/new.md"), home.repo().join(".pup/agents/old.md")).unwrap(),
    ];
    for change in changes {
        change();
        assert_eq!(home.state(), State::Changed);
        home.trust().add(&home.repo()).unwrap();
        assert_eq!(home.state(), State::Trusted);
    }
    home.trust().remove(&home.repo()).unwrap();
    assert_eq!(home.state(), State::Untrusted);
}

#[test]
fn a_folder_can_be_trusted_for_its_instructions_alone() {
    let home = Home::new();
    assert!(home.trust().add(&home.repo()).unwrap_err().hint.unwrap().contains("AGENTS.md"));
    home.write("AGENTS.md", "rules, and @docs/more.md");
    home.write("docs/more.md", "more rules");
    home.write("sub/CLAUDE.md", "rules of sub");
    home.write("docs/other.md", "no rules");
    assert!(home.trust().instructions(&home.repo()).is_empty());
    assert_eq!(home.trust().add(&home.repo()).unwrap(), 3);
    assert_eq!(home.state(), State::Trusted);
    let known: Vec<String> = home.trust().instructions(&home.repo()).into_keys().collect();
    assert_eq!(known, ["AGENTS.md", "docs/more.md", "sub/CLAUDE.md"]);
    home.write("AGENTS.md", "other rules");
    assert_eq!(home.state(), State::Trusted, "that file alone is no longer used");
    home.write(".pup/config.toml", "max_turns = 3");
    assert_eq!(home.state(), State::Changed);
}

#[cfg(unix)]
#[test]
fn a_link_is_trusted_for_what_it_leads_to() {
    use std::os::unix::fs::symlink;
    let home = Home::new();
    let outside = home.0.path().join("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("a.md"), "one").unwrap();
    fs::create_dir_all(home.repo().join(".pup")).unwrap();
    symlink(&outside, home.repo().join(".pup/agents")).unwrap();
    symlink("..", home.repo().join(".pup/round")).unwrap();
    symlink("later.toml", home.repo().join(".pup/config.toml")).unwrap();
    home.trust().add(&home.repo()).unwrap();
    assert_eq!(home.state(), State::Trusted);
    fs::write(outside.join("a.md"), "two").unwrap();
    assert_eq!(home.state(), State::Changed);
    home.trust().add(&home.repo()).unwrap();
    fs::write(home.repo().join(".pup/later.toml"), "max_turns = 1").unwrap();
    assert_eq!(home.state(), State::Changed);
}

#[cfg(unix)]
#[test]
fn one_repository_by_two_paths_is_one() {
    let home = Home::new();
    home.write(".pup/config.toml", "");
    let link = home.0.path().join("link");
    std::os::unix::fs::symlink(home.repo(), &link).unwrap();
    home.trust().add(&link).unwrap();
    assert_eq!(home.state(), State::Trusted);
}

#[test]
fn the_list_shows_how_each_stands_and_gone_ones_can_be_removed() {
    let home = Home::new();
    home.write(".pup/config.toml", "");
    home.trust().add(&home.repo()).unwrap();
    assert_eq!(home.trust().list().unwrap()[0].state, State::Trusted);
    fs::remove_dir_all(home.repo()).unwrap();
    assert_eq!(home.trust().list().unwrap()[0].state, State::Nothing);
    home.trust().remove(&home.repo()).unwrap();
    assert!(home.trust().list().unwrap().is_empty());
}

#[test]
fn what_people_see() {
    let home = Home::new();
    let mut trust = home.trust();
    let show = |f: crate::base::Failure| home.shown(&format!("{}: {}\nhint: {}", f.cause.as_str(), f.message, f.hint.unwrap_or_default()));
    insta::assert_snapshot!(show(trust.add(&home.repo()).unwrap_err()), @r#"
    usage: ~/repo has no pup files to trust
    hint: pup reads .pup/, .claude/agents/, .claude/commands/, .claude/skills/ of a repository, and AGENTS.md, CLAUDE.md, GEMINI.md in its folders
    "#);
    insta::assert_snapshot!(show(trust.remove(&home.repo()).unwrap_err()), @r#"
    usage: ~/repo is not trusted
    hint: `pup trust list` shows what is
    "#);
    home.write(".pup/x", "");
    insta::assert_snapshot!(show(trust.add(&home.0.path().join("nowhere")).unwrap_err()), @r#"
    usage: cannot find ~/nowhere: No such file or directory (os error 2)
    hint:
    "#);
    insta::assert_snapshot!(home.shown(&State::Untrusted.note(&home.repo()).unwrap()), @"~/repo has pup files that are not trusted, so they are ignored; look at them, then run: pup trust add ~/repo");
    insta::assert_snapshot!(home.shown(&State::Changed.note(&home.repo()).unwrap()), @"the pup files of ~/repo changed since they were trusted, so they are ignored; look at them, then run: pup trust add ~/repo");
    assert!(State::Untrusted.note(Path::new("/a b/it's")).unwrap().ends_with(r"pup trust add '/a b/it'\''s'"));
    fs::create_dir_all(home.places().state).unwrap();
    fs::write(home.places().state.join("trust.json"), "{\"v\":1").unwrap();
    insta::assert_snapshot!(show(Trust::load(&home.places()).unwrap_err()), @r#"
    config: ~/state/trust.json: cannot be read: EOF while parsing an object at line 1 column 6
    hint: remove the file; then every repository has to be trusted again (`pup trust add`)
    "#);
    fs::write(home.places().state.join("trust.json"), "{\"v\":2,\"trusted\":{}}").unwrap();
    insta::assert_snapshot!(show(Trust::load(&home.places()).unwrap_err()), @r#"
    config: ~/state/trust.json: is of version 2, and this pup knows version 1
    hint: remove the file; then every repository has to be trusted again (`pup trust add`)
    "#);
}

#[test]
fn the_root_is_the_nearest_repository_but_never_home() {
    let home = Home::new();
    let deep = home.repo().join("src/deep");
    fs::create_dir_all(&deep).unwrap();
    fs::create_dir_all(home.0.path().join(".pup")).unwrap();
    let root = |cwd: &Path, h: Option<&Path>| project_root(cwd, h);
    assert_eq!(root(&deep, Some(home.0.path())), deep);
    assert_eq!(root(&deep, None), home.0.path());
    fs::create_dir_all(home.repo().join(".git")).unwrap();
    assert_eq!(root(&deep, Some(home.0.path())), home.repo());
}
