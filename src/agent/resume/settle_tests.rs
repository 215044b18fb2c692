//! What the model and the user are told of each call that was under way.

use super::*;
use crate::session::Receipt;
use crate::workspace::process::Stray;

fn settled(known: Known, survivors: &Ending) -> Settled {
    let call = ToolCall { id: "c".into(), name: "shell".into(), args_raw: "{}".into(), signature: None };
    settle(&[Open { call, known }], survivors, &Path::to_path_buf).remove(0)
}

fn intent(effect: Effect, files: Vec<FileChange>) -> Known {
    Known::Began(Intent {
        call_id: "c".into(),
        tool: "shell".into(),
        args: "{\"command\":\"make\"}".into(),
        effect,
        files,
        checkpoint: None,
    })
}

fn stray(pid: u32, name: &str) -> Stray {
    Stray { pid, name: name.into() }
}

#[test]
fn a_call_that_never_began_is_left_to_run() {
    let call = ToolCall { id: "c".into(), name: "t".into(), args_raw: "{}".into(), signature: None };
    assert_eq!(settle(&[Open { call, known: Known::Untouched }], &Ending::default(), &Path::to_path_buf), []);
}

#[test]
fn a_command_is_an_unknown_outcome_that_names_its_processes() {
    let rows = [
        Ending::default(),
        Ending { stopped: vec![stray(7, "bash"), stray(8, "sleep")], left: vec![] },
        Ending { stopped: vec![stray(7, "bash")], left: vec![stray(9, "sudo")] },
    ];
    let all: Vec<Settled> = rows.iter().map(|e| settled(intent(Effect::Exec, vec![]), e)).collect();
    assert!(all.iter().all(|s| s.result.is_error && s.receipt == Due::Yes));
    let texts: Vec<String> = all.iter().map(|s| s.result.joined()).collect();
    insta::assert_snapshot!(texts.join("\n"), @r"
    Error: outcome unknown: pup was killed while this command ran; none of its processes was left. Check the state before running it again.
    Error: outcome unknown: pup was killed while this command ran; its processes were stopped (bash (7), sleep (8)). Check the state before running it again.
    Error: outcome unknown: pup was killed while this command ran; these of its processes could not be stopped: sudo (9). Check the state before running it again.
    ");
    insta::assert_snapshot!(all[0].note.as_deref().unwrap(), @r#"outcome unknown: pup was killed during `shell` {"command":"make"}"#);
    let network = settled(intent(Effect::Network, vec![]), &Ending::default());
    assert!(network.result.is_error && network.result.joined().contains("outcome unknown"), "{network:?}");
}

#[test]
fn an_edit_is_recognised_by_its_digests() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    for (name, content) in [("new", "after"), ("old", "before"), ("other", "of somebody else"), ("redacted", "x")] {
        std::fs::write(path(name), content).unwrap();
    }
    std::fs::create_dir(path("folder")).unwrap();
    let (before, after) = (Some(digest::sha256(b"before")), Some(digest::sha256(b"after")));
    let change = |name: &str| FileChange { path: path(name), before: before.clone(), after: after.clone() };
    let rows = [
        (vec![change("new")], "Done:"),
        (vec![change("old")], "was not done"),
        (vec![change("other")], "outcome unknown"),
        (vec![change("folder")], "outcome unknown"),
        (vec![change("missing")], "outcome unknown"),
        (vec![change("new"), change("old")], "outcome unknown"),
        (vec![], "outcome unknown"),
        (vec![FileChange { before: None, ..change("missing") }], "was not done"),
        (vec![FileChange { before: None, ..change("new/missing") }], "was not done"),
        (vec![FileChange { after: None, ..change("missing") }], "Done:"),
        // A change that changes nothing is done in any case.
        (vec![FileChange { before: after.clone(), ..change("new") }], "Done:"),
        (vec![FileChange { path: path("[redacted:X]"), before: None, after: after.clone() }], "outcome unknown"),
    ];
    for (files, says) in rows {
        let s = settled(intent(Effect::Writes, files.clone()), &Ending::default());
        assert!(s.result.joined().contains(says), "{files:?}: {}", s.result.joined());
        assert_eq!((s.result.is_error, s.receipt), (says != "Done:", Due::Yes), "{files:?}");
        assert!(s.note.is_some());
    }
}

#[test]
fn a_pipe_in_the_place_of_a_file_does_not_hang() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let file = FileChange { path: path.display().to_string(), before: Some("b".into()), after: Some("a".into()) };
    assert!(settled(intent(Effect::Writes, vec![file]), &Ending::default()).result.joined().contains("outcome unknown"));
}

#[test]
fn a_call_that_ended_keeps_its_output_and_gets_no_second_receipt() {
    let receipt = |ok, output: Option<&str>| {
        Known::Finished(Receipt { call_id: "c".into(), ok, digest: String::new(), output: output.map(Into::into), files: vec![] })
    };
    let s = settled(receipt(true, Some("42 passed")), &Ending::default());
    assert_eq!(s, Settled { result: ToolResult::text("c", "42 passed", false), note: None, receipt: Due::No, ..s.clone() });
    let s = settled(receipt(false, None), &Ending::default());
    assert!(s.result.is_error && s.result.joined().contains("ended with an error"), "{s:?}");
}

#[test]
fn a_call_whose_arguments_are_not_all_there_is_not_run() {
    for (missing, says) in [(Missing::Secret, "held a secret"), (Missing::All, "cut off")] {
        let s = settled(Known::Incomplete(missing), &Ending::default());
        assert!(s.result.is_error && s.result.joined().contains(says) && s.result.joined().contains("not run"), "{s:?}");
    }
}
