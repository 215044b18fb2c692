//! The `.env` file of the config folder: `NAME=VALUE` lines, nothing clever. A repository's `.env` is never read.

use crate::base::Failure;
use std::path::Path;

/// The pairs of the file at `path` in order; none where it does not exist. Errors name the line, never its value.
pub fn read(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Failure::io("read", path, &e)),
    };
    let text = String::from_utf8(bytes).map_err(|_| Failure::config(format!("{}: the file is not UTF-8 text", path.display())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut pairs = Vec::new();
    for (ix, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = pair(line).ok_or_else(|| {
            Failure::config(format!("{}:{}: this line is not of the form NAME=VALUE", path.display(), ix + 1))
                .hint("one assignment a line; put `#` before a comment; a quoted value ends on its line")
        })?;
        pairs.push(pair);
    }
    Ok(pairs)
}

fn pair(line: &str) -> Option<(String, String)> {
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let (name, value) = line.split_once('=')?;
    let name = name.trim_end();
    let good = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    good.then_some(())?;
    let value = value.trim_start();
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let (inner, rest) = value.get(1..)?.split_once(quote)?;
            let rest = rest.trim_start();
            (rest.is_empty() || rest.starts_with('#')).then_some(inner)?
        }
        _ => value.split(" #").next().unwrap_or(value).trim_end(),
    };
    Some((name.to_owned(), value.to_owned()))
}
