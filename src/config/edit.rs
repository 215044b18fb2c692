//! `pup config set`: one value changes, everything else in the user's file stays byte for byte.

use super::keys::key;
use super::layers::{parse, read, user_file};
use super::value::Value;
use crate::base::places::Places;
use crate::base::{Failure, atomic};
use std::path::PathBuf;
use toml_edit::{Item, Table};

/// Sets a key in the user's `config.toml` (made where it is missing) and returns the file's path. Unknown keys and
/// values of the wrong kind are `usage` failures, a file that is broken already is a `config` failure and stays as it is.
pub fn set(places: &Places, name: &str, text: &str) -> Result<PathBuf, Failure> {
    let key = key(name)?;
    let value =
        Value::from_text(key.kind, text).ok_or_else(|| Failure::usage(format!("`{name}` must be {}, not {text:?}", key.kind.wanted())))?;
    let path = user_file(places);
    // A config that is a link into somebody's dotfiles stays one.
    let path = std::fs::canonicalize(&path).unwrap_or(path);
    let old = read(&path)?.unwrap_or_default();
    let mut doc = parse(&path, &old)?.into_mut();
    let (table, leaf) = match name.split_once('.') {
        None => (doc.as_item_mut(), name),
        Some((table, leaf)) => (doc.entry(table).or_insert_with(|| Item::Table(Table::new())), leaf),
    };
    let Some(table) = table.as_table_like_mut() else {
        return Err(Failure::config(format!("{}: `{name}` cannot be set: its table is not a table", path.display())));
    };
    let mut new = value.to_toml();
    match table.get_mut(leaf).and_then(Item::as_value_mut) {
        Some(old) => {
            // The comment behind a value belongs to its decoration.
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => {
            table.insert(leaf, Item::Value(new));
        }
    }
    atomic::write(&path, doc.to_string().as_bytes(), false).map_err(|e| Failure::io("write", &path, &e))?;
    Ok(path)
}
