//! Where pup keeps things: config, state and cache, by the XDG rules, or all under `PUP_HOME`.

use super::{Cause, Failure};
use std::path::{Path, PathBuf};

/// The three folders. They need not exist; whoever writes creates them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    pub config: PathBuf,
    pub state: PathBuf,
    pub cache: PathBuf,
}

impl Places {
    /// All three in one folder, as `PUP_HOME` has it.
    pub fn under(home: &Path) -> Self {
        Self { config: home.join("config"), state: home.join("state"), cache: home.join("cache") }
    }

    /// The locks by which the user's pups write a file one after the other.
    pub fn leases(&self) -> PathBuf {
        self.state.join("leases")
    }

    /// Reads `PUP_HOME`, then `XDG_*_HOME`, then `HOME` (on Windows `APPDATA` and `LOCALAPPDATA`).
    pub fn from_env() -> Result<Self, Failure> {
        Self::from(|name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from))
    }

    /// The same with any source of variables. A relative XDG path is ignored, as its specification says.
    pub fn from(var: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, Failure> {
        if let Some(home) = var("PUP_HOME") {
            let home = std::path::absolute(&home).unwrap_or(home);
            return Ok(Self::under(&home));
        }
        let home = var("HOME").or_else(|| var("USERPROFILE")).filter(|p| p.is_absolute());
        let pick = |xdg: &str, windows: &str, under: &str| {
            var(xdg)
                .filter(|p| p.is_absolute())
                .or_else(|| cfg!(windows).then(|| var(windows)).flatten())
                .or_else(|| home.as_ref().map(|h| h.join(under)))
                .map(|p| p.join("pup"))
                .ok_or_else(|| {
                    Failure::new(Cause::Config, "there is no home folder: HOME is not set")
                        .hint("set HOME, or PUP_HOME=DIR to keep all of pup's files under DIR")
                })
        };
        Ok(Self {
            config: pick("XDG_CONFIG_HOME", "APPDATA", ".config")?,
            state: pick("XDG_STATE_HOME", "LOCALAPPDATA", ".local/state")?,
            cache: pick("XDG_CACHE_HOME", "LOCALAPPDATA", ".cache")?,
        })
    }
}

/// A path as a shell takes it.
pub fn pasteable(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-~:@%+,\\".contains(&b));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pup_home_wins_and_no_home_is_a_clear_error() {
        let all = Places::from(|n| (n == "PUP_HOME").then(|| PathBuf::from("/x"))).unwrap();
        assert_eq!((all.config, all.cache), (PathBuf::from("/x/config"), PathBuf::from("/x/cache")));
        let none = Places::from(|_| None).unwrap_err();
        assert_eq!(none.cause, Cause::Config);
        assert!(none.hint.unwrap().contains("PUP_HOME"));
    }

    #[test]
    fn a_relative_xdg_path_is_ignored() {
        let p = Places::from(|n| match n {
            "XDG_STATE_HOME" => Some("rel".into()),
            "HOME" => Some("/h".into()),
            _ => None,
        });
        assert_eq!(p.unwrap().state, PathBuf::from("/h/.local/state/pup"));
    }
}
