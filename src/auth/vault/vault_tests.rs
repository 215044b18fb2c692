//! The vault with its file: what is kept, refused, set aside.

use super::*;
use std::path::Path;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(text: &[u8]) -> Self {
        let home = Self::new();
        std::fs::create_dir_all(home.file().parent().unwrap()).unwrap();
        crate::base::atomic::write(&home.file(), text, true).unwrap();
        home
    }

    fn file(&self) -> std::path::PathBuf {
        Places::under(self.0.path()).state.join("vault.json")
    }

    fn open(&self) -> Result<Vault, Failure> {
        Vault::open(&Places::under(self.0.path()), Backend::File)
    }

    fn shown(&self, failure: &Failure) -> String {
        format!("{}: {}\nhint: {}", failure.cause.as_str(), failure.message, failure.hint.as_deref().unwrap_or_default())
            .replace(&self.0.path().display().to_string(), "~")
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = folder.read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_put_is_there_for_others_until_it_is_removed() {
    let home = Home::new();
    let (one, other) = (home.open().unwrap(), home.open().unwrap());
    assert_eq!((one.get("key/a/1").unwrap(), one.ids().unwrap()), (None, vec![]));
    assert!(!home.file().exists(), "looking writes nothing");
    assert_eq!(one.put("key/b/1", &Secret::new("canary-b")).unwrap(), Kept::File);
    one.put("key/a/1", &Secret::new("canary \"quoted\"\n")).unwrap();
    one.put("key/b/1", &Secret::new("canary-b2")).unwrap();
    assert_eq!(other.ids().unwrap(), ["key/a/1", "key/b/1"]);
    assert_eq!(other.get("key/a/1").unwrap(), Some(Secret::new("canary \"quoted\"\n")));
    let held = other.all().unwrap().pop().unwrap();
    assert_eq!(held, Held { id: "key/b/1".into(), kept: Kept::File, secret: Some(Secret::new("canary-b2")) });
    assert!(!format!("{held:?}").contains("canary"), "{held:?}");
    assert_eq!((other.remove("key/b/1").unwrap(), other.remove("key/b/1").unwrap()), (true, false));
    assert_eq!((one.get("key/b/1").unwrap(), one.ids().unwrap()), (None, vec!["key/a/1".to_owned()]));
    assert_eq!(one.add(|n| format!("key/a/{n}"), &Secret::new("second")).unwrap(), ("key/a/2".to_owned(), Kept::File));
    let book = one.shelf.read().unwrap();
    assert!(!format!("{one:?} {book:?}").contains("canary"), "{one:?} {book:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(home.file()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn writers_at_the_same_time_lose_nothing_of_each_other() {
    let home = Home::new();
    std::thread::scope(|s| {
        for writer in 0..8 {
            let vault = home.open().unwrap();
            s.spawn(move || {
                for n in 0..5 {
                    vault.put(&format!("key/p/{writer}-{n}"), &Secret::new("x")).unwrap();
                    if n > 0 {
                        assert!(vault.remove(&format!("key/p/{writer}-{}", n - 1)).unwrap());
                    }
                }
            });
        }
    });
    let wanted: Vec<String> = (0..8).map(|w| format!("key/p/{w}-4")).collect();
    assert_eq!(home.open().unwrap().ids().unwrap(), wanted);
    assert_eq!(files(home.file().parent().unwrap()), ["vault.json", "vault.lock"], "no temporary file is left");
}

#[test]
fn a_damaged_file_is_set_aside_and_said() {
    let whole = br#"{"v":1,"scope":"ab","entries":{"key/a/1":{"in":"file","secret":"canary-canary"}}}"#;
    assert!(Home::with(whole).open().unwrap().get("key/a/1").unwrap().is_some());
    let mut damaged: Vec<Vec<u8>> = (0..whole.len()).step_by(7).map(|n| whole[..n].to_vec()).collect();
    damaged.extend([b"\0\0\0\0".to_vec(), b"[]".to_vec(), br#"{"v":1}"#.to_vec(), b"{\"v\":1,\"entries\":\"canary-canary\xff\"}".to_vec()]);
    for bytes in damaged {
        let home = Home::with(&bytes);
        let vault = home.open().unwrap();
        assert_eq!(vault.ids().unwrap(), Vec::<String>::new());
        let (notes, names) = (vault.notes(), files(home.file().parent().unwrap()));
        assert!(matches!(&notes[..], [note] if note.contains("was damaged") && !note.contains("canary")), "{notes:?}");
        let aside = names.iter().find(|n| n.starts_with("vault.json.corrupt-")).unwrap();
        assert_eq!(std::fs::read(home.file().with_file_name(aside)).unwrap(), bytes, "nothing of it is lost");
        vault.put("key/a/1", &Secret::new("new")).unwrap();
        assert_eq!((home.open().unwrap().get("key/a/1").unwrap(), vault.notes().len()), (Some(Secret::new("new")), 0));
    }
}

#[test]
fn what_is_refused_says_why_and_what_to_do() {
    let newer = Home::with(br#"{"v":2,"anything":"else"}"#);
    insta::assert_snapshot!(newer.shown(&newer.open().unwrap_err()), @"
    auth: ~/state/vault.json was written by a newer pup (version 2 of the file; this one knows 1)
    hint: use that pup, or move the file away and add the keys again
    ");
    assert!(newer.file().exists(), "it is left as it is");
    let elsewhere = Home::with(br#"{"v":1,"scope":"ab","entries":{"key/a/1":{"in":"keyring"}}}"#);
    insta::assert_snapshot!(elsewhere.shown(&elsewhere.open().unwrap().get("key/a/1").unwrap_err()), @"
    auth: key/a/1 is kept in the keyring, and `auth.store` is `file`
    hint: pup config set auth.store auto
    ");
    let blocked = Home::with(b"");
    std::fs::remove_file(blocked.file()).unwrap();
    std::fs::create_dir(blocked.file()).unwrap();
    insta::assert_snapshot!(blocked.shown(&blocked.open().unwrap_err()), @"
    config: cannot read ~/state/vault.json: Is a directory (os error 21)
    hint:
    ");
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_use_is_refused_with_the_command_that_mends_it() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.open().unwrap().put("key/a/1", &Secret::new("x")).unwrap();
    for mode in [0o644, 0o640, 0o604, 0o660, 0o610] {
        std::fs::set_permissions(home.file(), std::fs::Permissions::from_mode(mode)).unwrap();
        let failure = home.open().unwrap_err();
        assert!(failure.message.contains(&format!("{mode:03o}")), "{failure:?}");
        let command = failure.hint.unwrap().split("   ").next().unwrap().to_owned();
        assert!(std::process::Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
        assert!(home.open().unwrap().get("key/a/1").unwrap().is_some());
    }
}
