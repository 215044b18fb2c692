//! Writing a journal: one entry, one line, one write; synced where an effect is to follow.

use super::VERSION;
use super::blobs;
use super::entry::{Entry, Session};
use super::load::{self, Loaded};
use super::lock::Lock;
use super::shelf;
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Failure, atomic, clock};
use serde_json::{Map, Value};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// An open journal. Only one process has it open for writing at a time.
#[derive(Debug)]
pub struct Journal {
    id: String,
    folder: PathBuf,
    file: File,
    next_seq: u64,
    redactor: Redactor,
    /// What the file ends with.
    tail: Tail,
    /// Whether the folder's entry of the file has been synced.
    named: bool,
    _lock: Lock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    WholeLine,
    /// Half a line, from a crash or a failed write: the next line starts on a line of its own.
    Torn,
}

impl Journal {
    /// Starts the session `session.id` and writes its first line. The id may have letters, digits, `-`, `_` and `.`.
    pub fn create(places: &Places, session: Session, redactor: Redactor) -> Result<Self, Failure> {
        let id = session.id.clone();
        shelf::check_id(&id)?;
        let path = shelf::journal_path(places, &id);
        let folder = shelf::folder(places, &id);
        private_folder(&folder).map_err(|e| failed("create", &folder, &e))?;
        let lock = Lock::take(&folder, &id)?;
        let file = match options().create_new(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(shelf::taken(&id));
            }
            Err(e) => return Err(failed("create", &path, &e)),
        };
        let mut journal = Self { id, folder, file, next_seq: 1, redactor, tail: Tail::WholeLine, named: false, _lock: lock };
        journal.append(&Entry::Session(session))?;
        Ok(journal)
    }

    /// Opens the session `id` to go on with it, and hands back what it holds.
    pub fn open(places: &Places, id: &str, redactor: Redactor) -> Result<(Self, Loaded), Failure> {
        shelf::check_id(id)?;
        let path = shelf::journal_path(places, id);
        let folder = shelf::folder(places, id);
        if !path.is_file() {
            return Err(Failure::usage(format!("there is no session {id}")).hint("`pup sessions list` shows them"));
        }
        let lock = Lock::take(&folder, id)?;
        let loaded = load::load(&path)?;
        let file = options().open(&path).map_err(|e| failed("open", &path, &e))?;
        let tail = if load::ends_whole(&path).map_err(|e| failed("read", &path, &e))? { Tail::WholeLine } else { Tail::Torn };
        let next_seq = loaded.entries.iter().map(|l| l.seq).max().unwrap_or(0) + 1;
        let id = id.to_owned();
        Ok((Self { id, folder, file, next_seq, redactor, tail, named: true, _lock: lock }, loaded))
    }

    /// Reads the journal at `path` (see [`super::journal_path`]) without opening it for writing.
    pub fn load(path: &Path) -> Result<Loaded, Failure> {
        load::load(path)
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// From now on what is written is redacted with this.
    pub fn redact_with(&mut self, redactor: Redactor) {
        self.redactor = redactor;
    }

    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Writes an entry and leaves syncing to the system: it survives a crash of pup, not a power cut. Returns its
    /// sequence number.
    pub fn append(&mut self, entry: &Entry) -> Result<u64, Failure> {
        let seq = self.next_seq;
        let line = self.line(seq, entry)?;
        self.tail = Tail::Torn;
        self.file.write_all(&line).map_err(|e| failed("write", &self.folder, &e))?;
        self.tail = Tail::WholeLine;
        self.next_seq += 1;
        Ok(seq)
    }

    /// Writes an entry that survives a power cut once this returns: an intent before its effect, the end of a run.
    pub fn append_durable(&mut self, entry: &Entry) -> Result<u64, Failure> {
        let seq = self.append(entry)?;
        self.file.sync_data().map_err(|e| failed("sync", &self.folder, &e))?;
        if !self.named {
            atomic::sync_folder(&self.folder).map_err(|e| failed("sync", &self.folder, &e))?;
            self.named = true;
        }
        Ok(seq)
    }

    fn line(&self, seq: u64, entry: &Entry) -> Result<Vec<u8>, Failure> {
        let body = match entry {
            Entry::Unknown(raw) => raw.clone(),
            known => serde_json::to_value(known).map_err(|e| Failure::internal(format!("a journal entry cannot be written: {e}")))?,
        };
        let Value::Object(fields) = body else { return Err(Failure::internal("a journal entry is not an object")) };
        let mut line = Map::with_capacity(fields.len() + 3);
        line.insert("v".into(), VERSION.into());
        line.insert("seq".into(), seq.into());
        line.insert("ts".into(), clock::rfc3339(clock::unix_ms()).into());
        line.append(&mut fields.into_iter().filter(|(k, _)| !matches!(k.as_str(), "v" | "seq" | "ts")).collect());
        let mut line = Value::Object(line);
        self.redactor.redact_json(&mut line);
        blobs::store(&mut line, &self.folder.join("blobs")).map_err(|e| failed("write", &self.folder, &e))?;
        let mut bytes = Vec::with_capacity(512);
        if self.tail == Tail::Torn {
            bytes.push(b'\n');
        }
        serde_json::to_writer(&mut bytes, &line).map_err(|e| Failure::internal(format!("a journal entry cannot be written: {e}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// An IO failure of the journal, with the way to work without one.
pub fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::io(what, path, error).hint("make room or give write access there; PUP_HOME=DIR moves it; --no-session runs without a journal")
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A session may hold a person's code and thoughts: nobody else reads it.
fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Message;

    /// A disk that is full, then has room again: nothing before or after the failed entry is lost.
    #[test]
    fn a_full_disk_costs_one_entry_and_says_what_to_do() {
        if !Path::new("/dev/full").exists() {
            return eprintln!("SKIP: this system has no /dev/full");
        }
        let home = tempfile::tempdir().unwrap();
        let d = home.path().to_path_buf();
        let places = Places { config: d.clone(), state: d.clone(), cache: d };
        let session = Session { id: "full".into(), agent: "a".into(), cwd: "/".into(), ..Session::default() };
        let mut journal = Journal::create(&places, session, Redactor::default()).unwrap();
        let message = |t: &str| Entry::Message { message: Message::user(t) };
        journal.append(&message("one")).unwrap();
        let real = std::mem::replace(&mut journal.file, File::options().write(true).open("/dev/full").unwrap());
        let failure = journal.append_durable(&message("two")).unwrap_err();
        assert!(failure.message.contains("No space left on device"), "{failure}");
        assert!(failure.hint.unwrap().contains("--no-session"));
        journal.file = real;
        journal.append(&message("three")).unwrap();
        let loaded = load::load(&shelf::journal_path(&places, "full")).unwrap();
        let texts: Vec<String> = loaded.history.iter().map(|m| m.joined_text()).collect();
        assert_eq!((texts, loaded.dropped), (vec!["one".to_owned(), "three".to_owned()], vec![]));
    }
}
