//! Reading the layers and remembering where each value came from.

use super::keys::{KEYS, Key, key, near};
use super::value::Value;
use crate::base::places::Places;
use crate::base::{Cause, Failure};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml_edit::{Document, TableLike};

/// A layer, in ascending precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    BuiltIn,
    System,
    User,
    Project,
    Environment,
    CommandLine,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BuiltIn => "built-in",
            Self::System => "system",
            Self::User => "user",
            Self::Project => "project",
            Self::Environment => "environment",
            Self::CommandLine => "command line",
        })
    }
}

/// A value that a layer gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerValue {
    pub layer: Layer,
    /// `FILE:LINE`, a variable's name, a flag, or empty for the default.
    pub source: String,
    pub value: Value,
    /// Whether this is the value in force.
    pub won: bool,
}

/// All settings with all their values.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    values: BTreeMap<&'static str, Vec<LayerValue>>,
}

impl Config {
    /// Reads every layer. `project` is the root of a trusted repository; `cli` are key and value of the flags given.
    pub fn load(
        places: &Places,
        project: Option<&Path>,
        cli: &[(String, String)],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let system = cfg!(unix).then(|| PathBuf::from("/etc/pup/config.toml"));
        Self::load_with(system, places, project, cli, env)
    }

    pub(super) fn load_with(
        system: Option<PathBuf>,
        places: &Places,
        project: Option<&Path>,
        cli: &[(String, String)],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let mut all = Self { values: BTreeMap::new() };
        for key in KEYS {
            if let Some(value) = key.default.and_then(|d| Value::from_text(key.kind, d)) {
                all.add(key, Layer::BuiltIn, String::new(), value);
            }
        }
        let files = [
            (Layer::System, system),
            (Layer::User, Some(user_file(places))),
            (Layer::Project, project.map(|p| p.join(".pup/config.toml"))),
        ];
        for (layer, path) in files {
            if let Some((path, text)) = path.and_then(|p| read(&p).map(|t| t.map(|t| (p, t))).transpose()).transpose()? {
                all.add_file(layer, &path, &text)?;
            }
        }
        for key in KEYS {
            let set = key.variables().into_iter().find_map(|name| Some((env(&name).filter(|t| !t.trim().is_empty())?, name)));
            if let Some((text, name)) = set {
                let value = Value::from_text(key.kind, &text)
                    .ok_or_else(|| Failure::config(format!("{name} must be {}, not {text:?}", key.kind.wanted())))?;
                all.add(key, Layer::Environment, name, value);
            }
        }
        for (name, text) in cli {
            let key = key(name)?;
            let flag = format!("--{}", name.replace(['_', '.'], "-"));
            let value = Value::from_text(key.kind, text)
                .ok_or_else(|| Failure::usage(format!("{flag} must be {}, not {text:?}", key.kind.wanted())))?;
            all.add(key, Layer::CommandLine, flag, value);
        }
        for values in all.values.values_mut() {
            if let Some(last) = values.last_mut() {
                last.won = true;
            }
        }
        Ok(all)
    }

    fn add(&mut self, key: &Key, layer: Layer, source: String, value: Value) {
        let Some(key) = KEYS.iter().find(|k| k.name == key.name) else { return };
        self.values.entry(key.name).or_default().push(LayerValue { layer, source, value, won: false });
    }

    fn add_file(&mut self, layer: Layer, path: &Path, text: &str) -> Result<(), Failure> {
        let doc = parse(path, text)?;
        self.add_table(&File { layer, path, text }, doc.as_table(), "")
    }

    fn add_table(&mut self, file: &File<'_>, table: &dyn TableLike, prefix: &str) -> Result<(), Failure> {
        for (leaf, item) in table.iter() {
            let name = format!("{prefix}{leaf}");
            let at = table.get_key_value(leaf).and_then(|(k, _)| k.span()).map_or(0, |s| s.start);
            if let Some(key) = KEYS.iter().find(|k| k.name == name) {
                if file.layer == Layer::Project && !key.is_a_projects() {
                    let hint = "set it in your own config.toml (`pup config path` shows the folder)";
                    return Err(file.failure(at, &format!("`{name}` cannot be set by a project"), Some(hint.to_owned())));
                }
                let Some(value) = item.as_value().and_then(|v| Value::from_toml(key.kind, v)) else {
                    let found = item.as_value().map_or("a table".into(), |v| v.to_string().trim().to_owned());
                    return Err(file.failure(
                        item.span().map_or(at, |s| s.start),
                        &format!("`{name}` must be {}, not {found}", key.kind.wanted()),
                        None,
                    ));
                };
                self.add(key, file.layer, format!("{}:{}", file.path.display(), file.line(at).0), value);
            } else if KEYS.iter().any(|k| k.name.strip_prefix(&name).is_some_and(|r| r.starts_with('.'))) {
                let Some(inner) = item.as_table_like() else {
                    return Err(file.failure(
                        at,
                        &format!("`{name}` is a table of settings, not one value"),
                        Some(format!("write it as [{name}]")),
                    ));
                };
                self.add_table(file, inner, &format!("{name}."))?;
            } else {
                return Err(file.failure(at, &format!("there is no setting `{name}`"), Some(near(&name))));
            }
        }
        Ok(())
    }

    /// The value in force. `None` where the key is unset or not a key.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).and_then(|v| v.last()).map(|v| &v.value)
    }

    /// Whether anybody but the built-in table gives the key a value.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.values.get(name).and_then(|v| v.last()).is_some_and(|v| v.layer != Layer::BuiltIn)
    }

    /// Every layer's value of a key, lowest first; an unknown key is a `usage` failure.
    pub fn explain(&self, name: &str) -> Result<&[LayerValue], Failure> {
        let key = key(name)?;
        Ok(self.values.get(key.name).map_or(&[], Vec::as_slice))
    }
}

/// The user's `config.toml`.
pub fn user_file(places: &Places) -> PathBuf {
    places.config.join("config.toml")
}

/// The text of a config file; `None` where there is none.
pub fn read(path: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| Failure::config(format!("{}: the file is not UTF-8 text", path.display())).hint("save it as UTF-8")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::io("read", path, &e)),
    }
}

/// Parses TOML; a failure names file, line and column.
pub fn parse<'t>(path: &Path, text: &'t str) -> Result<Document<&'t str>, Failure> {
    Document::parse(text).map_err(|e| {
        let file = File { layer: Layer::User, path, text };
        let what = format!("this is not TOML: {}", e.message().lines().collect::<Vec<_>>().join("; "));
        file.failure(e.span().map_or(0, |s| s.start), &what, None)
    })
}

struct File<'f> {
    layer: Layer,
    path: &'f Path,
    text: &'f str,
}

impl File<'_> {
    fn line(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let last = before.rsplit('\n').next().unwrap_or("");
        (before.split('\n').count(), last.chars().count() + 1)
    }

    fn failure(&self, at: usize, what: &str, hint: Option<String>) -> Failure {
        let (line, column) = self.line(at);
        Failure { cause: Cause::Config, message: format!("{}:{line}:{column}: {what}", self.path.display()), hint }
    }
}
