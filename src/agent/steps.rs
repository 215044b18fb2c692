//! Checkpoints around a turn's effects: one is taken before each, and what the effect changed is found out while the model
//! is asked again.

use crate::tool::Effect;
use crate::workspace::checkpoint::{About, Begun, Keeper, Open, Scope, StoreError};
use std::sync::Arc;
use tokio::task::{JoinHandle, spawn_blocking};

/// The checkpoints of a session; of one that keeps none, nothing happens here.
///
/// While a command runs in the background, files may change at any time: then each step is a walk of the whole tree, and what
/// is changed between two steps is a step of its own, under way from the end of the one to the beginning of the other.
#[derive(Default)]
pub struct Steps {
    keeper: Option<Arc<Keeper>>,
    ending: Option<JoinHandle<Result<Option<Open>, StoreError>>>,
    /// The step of the commands in the background.
    between: Option<Open>,
    warmed: bool,
    /// The last trouble that was told: it would be the same before every step.
    told: Option<String>,
}

impl Steps {
    pub fn new(keeper: Option<Keeper>) -> Self {
        Self { keeper: keeper.map(Arc::new), ending: None, between: None, warmed: false, told: None }
    }

    /// Begins to keep what a command could destroy, beside whatever takes time now.
    pub fn warm(&mut self) {
        let Some(keeper) = self.keeper.clone().filter(|_| !std::mem::replace(&mut self.warmed, true)) else { return };
        spawn_blocking(move || {
            if let Err(e) = keeper.warm() {
                // The step that needs it meets the same, and tells.
                tracing::debug!(%e, "checkpoints are not prepared");
            }
        });
    }

    /// Takes the checkpoint; also says what a person should know. `None` where nothing is kept. `busy`: something else may
    /// change files meanwhile.
    pub async fn begin(&mut self, about: About, effect: &Effect, busy: bool) -> (Option<Open>, Vec<String>) {
        let mut notes = self.settle().await;
        let Some(keeper) = self.keeper.clone() else { return (None, notes) };
        let scope = match effect {
            Effect::Writes(_) if busy || self.between.is_some() => Scope::Tree,
            Effect::Writes(paths) => Scope::Paths(paths.clone()),
            Effect::Exec => Scope::Tree,
            Effect::ReadOnly | Effect::Network => return (None, notes),
        };
        let between = self.between.take();
        let named = if let Effect::Writes(paths) = effect { Some(Scope::Paths(paths.clone())) } else { None };
        let begin = move || {
            let begun = match between {
                Some(open) => keeper.end(open).and_then(|_| keeper.follow(about.clone(), &scope)),
                None => keeper.begin(about.clone(), &scope),
            };
            match (begun, named) {
                // A tree that cannot be walked: the files of an edit are known all the same.
                (Err(StoreError::Walk(_)), Some(paths)) => keeper.begin(about, &paths),
                (begun, _) => begun,
            }
        };
        match spawn_blocking(begin).await {
            Ok(Ok(Begun { open, notes: more })) => {
                notes.extend(more);
                (Some(open), notes)
            }
            Ok(Err(e)) => {
                notes.extend(self.trouble(format!("no checkpoint: {e}; `pup undo` cannot take this step back")));
                (None, notes)
            }
            Err(e) => {
                notes.extend(self.trouble(format!("no checkpoint: {e}")));
                (None, notes)
            }
        }
    }

    /// The step is over. What it changed is found out beside what comes next. `goes_on` is what still runs.
    pub fn end(&mut self, open: Open, goes_on: Option<About>) {
        if let Some(keeper) = self.keeper.clone() {
            self.ending = Some(spawn_blocking(move || {
                keeper.end(open)?;
                Ok(match goes_on {
                    Some(about) => Some(keeper.follow(about, &Scope::Tree)?.open),
                    None => None,
                })
            }));
        }
    }

    /// Waits until the last step's record is written.
    pub async fn settle(&mut self) -> Vec<String> {
        let Some(ending) = self.ending.take() else { return Vec::new() };
        let trouble = match ending.await {
            Ok(Ok(between)) => {
                self.between = between;
                None
            }
            Ok(Err(e)) => Some(e.to_string()),
            Err(e) => Some(e.to_string()),
        };
        trouble.and_then(|e| self.trouble(format!("what the last step changed is not recorded: {e}"))).into_iter().collect()
    }

    /// Nothing runs in the background any more: what it changed is recorded.
    pub async fn finish(&mut self) -> Vec<String> {
        let mut notes = self.settle().await;
        if let (Some(open), Some(keeper)) = (self.between.take(), self.keeper.clone()) {
            let done = spawn_blocking(move || keeper.end(open)).await;
            let trouble = done.map_err(|e| e.to_string()).and_then(|d| d.map_err(|e| e.to_string())).err();
            notes.extend(
                trouble.and_then(|e| self.trouble(format!("what was changed in the background is not recorded as its own step: {e}"))),
            );
        }
        notes
    }

    fn trouble(&mut self, text: String) -> Option<String> {
        let new = self.told.as_ref() != Some(&text);
        self.told = Some(text.clone());
        new.then_some(text)
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.stop();
        }
    }
}
