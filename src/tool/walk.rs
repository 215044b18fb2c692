//! How tools walk through the workspace: in a stable order, past what git ignores, never through links or into `.git`.

use super::ToolError;
use crate::base::Failure;
use globset::{GlobBuilder, GlobMatcher};
use ignore::WalkBuilder;
use std::path::Path;

/// A walk from `root`, which is walked even where it is ignored itself.
pub fn from(root: &Path) -> ignore::Walk {
    WalkBuilder::new(root)
        .hidden(false)
        .require_git(false)
        .sort_by_file_name(std::cmp::Ord::cmp)
        .filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git")
        .build()
}

/// Runs something that may take long beside the runtime, so that a cancellation is heard.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, ToolError> + Send + 'static) -> Result<T, ToolError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(ToolError::Fatal(Failure::internal(format!("a file search ended abnormally: {e}")))),
    }
}

/// Which files a search looks at: `*.rs` by name anywhere, `src/**/*.rs` by path from the workspace's root, `!...` all but.
pub struct FileGlob {
    matcher: GlobMatcher,
    by_path: bool,
    negated: bool,
}

impl FileGlob {
    pub fn new(pattern: &str) -> Result<Self, ToolError> {
        let (negated, bare) = pattern.strip_prefix('!').map_or((false, pattern), |rest| (true, rest));
        let bare = bare.trim_start_matches("./").trim_start_matches('/');
        let glob = GlobBuilder::new(bare).literal_separator(true).build();
        let matcher = glob.map_err(|e| ToolError::model(format!("glob `{pattern}` is wrong: {}", e.kind())))?.compile_matcher();
        Ok(Self { matcher, by_path: bare.contains('/'), negated })
    }

    /// `relative` is the file's path from the workspace's root.
    pub fn takes(&self, relative: &Path) -> bool {
        let subject = if self.by_path { Some(relative) } else { relative.file_name().map(Path::new) };
        subject.is_some_and(|s| self.matcher.is_match(s)) != self.negated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_go_by_name_or_by_path() {
        let takes = |glob: &str, path: &str| FileGlob::new(glob).unwrap().takes(Path::new(path));
        assert!(takes("*.rs", "src/a/b.rs") && !takes("*.rs", "src/b.py"));
        assert!(takes("src/**/*.rs", "src/a/b.rs") && !takes("src/*.rs", "src/a/b.rs") && takes("./src/*.rs", "src/b.rs"));
        assert!(takes("*.{ts,tsx}", "x.tsx") && takes("!*.md", "x.rs") && !takes("!*.md", "x.md"));
        assert!(FileGlob::new("[").is_err());
    }
}
