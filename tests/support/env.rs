//! A hermetic place to run in: own HOME, own `PUP_HOME`, own project folder, and an environment that holds nothing else.

use super::launch::Launch;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The folders of one test. They vanish with the value.
pub struct TestEnv {
    root: PathBuf,
    _temp: TempDir,
}

impl TestEnv {
    pub fn new() -> Self {
        let temp = tempfile::Builder::new().prefix("pup-test-").tempdir().expect("a temporary folder");
        // Canonical, because what a test compares with (a path printed by pup) is canonical too.
        let root = temp.path().canonicalize().expect("the temporary folder's real path");
        for folder in ["home", "pup", "project", "tmp"] {
            fs::create_dir(root.join(folder)).expect("a folder in the temporary folder");
        }
        Self { root, _temp: temp }
    }

    /// Makes the project a git repository without commits; the caller has asked [`super::need::program`] for git.
    pub fn git(self) -> Self {
        self.command("git").args(["init", "--quiet", "--initial-branch=main"]).run().expect_code(0);
        self
    }

    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// What `PUP_HOME` is set to: holds `config`, `state` and `cache`.
    pub fn pup_home(&self) -> PathBuf {
        self.root.join("pup")
    }

    /// The working folder of everything that is launched.
    pub fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    /// Writes a file of the project, with the folders above it.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        Self::put(&self.project().join(path), content.as_ref())
    }

    /// Writes a file of pup's user configuration, e.g. `config.toml`.
    pub fn write_config(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        Self::put(&self.pup_home().join("config").join(path), content.as_ref())
    }

    fn put(path: &Path, content: &[u8]) -> PathBuf {
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the file's folder");
        fs::write(path, content).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
        path.to_owned()
    }

    /// A file of the project as text.
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.project().join(path);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
    }

    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.project().join(path).symlink_metadata().is_ok()
    }

    /// The binary under test.
    pub fn pup(&self) -> Launch {
        self.command(env!("CARGO_BIN_EXE_pup"))
    }

    /// Any other program, in the same place and environment.
    pub fn command(&self, program: impl Into<OsString>) -> Launch {
        Launch::new(program.into(), self.project())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("PUP_HOME", self.pup_home())
            // Nobody's own programs take part.
            .env("PUP_CLI_CLAUDE", "/nonexistent/claude")
            .env("PUP_CLI_CODEX", "/nonexistent/codex")
            .env("TMPDIR", self.root.join("tmp"))
            .env("LANG", "C.UTF-8")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Test")
            .env("GIT_AUTHOR_EMAIL", "test@example.invalid")
            .env("GIT_COMMITTER_NAME", "Test")
            .env("GIT_COMMITTER_EMAIL", "test@example.invalid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_sees_only_what_the_environment_gives() {
        let env = TestEnv::new();
        let out = env.command("env").run().expect_code(0);
        let mut names: Vec<&str> = out.stdout.lines().filter_map(|l| l.split_once('=')).map(|(name, _)| name).collect();
        names.sort_unstable();
        assert!(names.contains(&"PUP_HOME") && names.contains(&"HOME"), "{names:?}");
        assert!(!names.iter().any(|n| n.to_lowercase().contains("proxy") || n.contains("KEY") || n.starts_with("CARGO")), "{names:?}");
    }

    #[test]
    fn files_are_written_under_the_project_and_read_back() {
        let env = TestEnv::new();
        let path = env.write("a/b.txt", "x\n");
        assert!(path.starts_with(env.project()) && env.exists("a/b.txt") && !env.exists("c"));
        assert_eq!(env.read("a/b.txt"), "x\n");
        let out = env.command("sh").args(["-c", "pwd; cat a/b.txt"]).run().expect_code(0);
        assert_eq!(out.stdout, format!("{}\nx\n", env.project().display()));
    }
}
