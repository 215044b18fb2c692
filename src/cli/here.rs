//! Where the person stands: the current folder and their home.

use crate::base::Failure;
use std::path::{Path, PathBuf};

/// The current folder and, where it is known, the home folder.
pub fn here() -> Result<(PathBuf, Option<PathBuf>), Failure> {
    let cwd = std::env::current_dir()
        .map_err(|e| Failure::io("find", Path::new("the current folder"), &e).hint("change to a folder that exists and can be read"))?;
    Ok((cwd, std::env::home_dir()))
}
