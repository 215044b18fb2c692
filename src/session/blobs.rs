//! Long strings live beside the journal, named by their SHA-256; a line says `{"blob": "<sha256>"}` in their place.

use crate::base::{atomic, digest};
use serde_json::{Map, Value};
use std::io;
use std::path::Path;

/// Strings above this length, in bytes, become blobs.
pub const LIMIT: usize = 64 * 1024;

const KEY: &str = "blob";

/// Moves every long string inside `value` into `folder`. The blob is safe on disk before the line that names it.
pub fn store(value: &mut Value, folder: &Path) -> io::Result<()> {
    match value {
        Value::String(text) if text.len() > LIMIT => {
            let name = digest::sha256(text.as_bytes());
            let path = folder.join(&name);
            if !path.exists() {
                atomic::write(&path, text.as_bytes(), true)?;
            }
            *value = Value::Object(Map::from_iter([(KEY.to_owned(), Value::String(name))]));
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|v| store(v, folder)),
        Value::Object(map) => map.values_mut().try_for_each(|v| store(v, folder)),
        _ => Ok(()),
    }
}

/// Puts the strings back. One that is missing or damaged becomes a mark, and `lost` gets its name.
pub fn restore(value: &mut Value, folder: &Path, lost: &mut Vec<String>) {
    if let Some(name) = name_in(value) {
        let text = std::fs::read(folder.join(&name)).ok().filter(|b| digest::sha256(b) == name);
        let text = text.and_then(|b| String::from_utf8(b).ok()).unwrap_or_else(|| {
            lost.push(name.clone());
            format!("[lost: the text that was kept as blob {name}]")
        });
        *value = Value::String(text);
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|v| restore(v, folder, lost)),
        Value::Object(map) => map.values_mut().for_each(|v| restore(v, folder, lost)),
        _ => {}
    }
}

/// The digest, if `value` is a blob's reference and nothing else.
fn name_in(value: &Value) -> Option<String> {
    let map = value.as_object().filter(|m| m.len() == 1)?;
    let name = map.get(KEY)?.as_str()?;
    (name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())).then(|| name.to_owned())
}
