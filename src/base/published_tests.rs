//! Files of `docs/` that are made from code: a test compares, and `UPDATE_SCHEMAS=1` writes.

use std::path::Path;

/// # Panics
/// unless the file at `path` holds `text`; with `UPDATE_SCHEMAS` set it is written first.
pub fn published(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == text, "{} is stale: run `UPDATE_SCHEMAS=1 cargo test --lib published_schema`", path.display());
}
