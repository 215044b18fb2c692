//! Checkpoints around a turn's effects: one is taken before each, and what the effect changed is found out while the model
//! is asked again.

use crate::tool::Effect;
use crate::workspace::checkpoint::{About, Begun, Keeper, Open, Scope, Step, StoreError};
use std::sync::Arc;
use tokio::task::{JoinHandle, spawn_blocking};

/// The checkpoints of a session; of one that keeps none, nothing happens here.
#[derive(Default)]
pub struct Steps {
    keeper: Option<Arc<Keeper>>,
    ending: Option<JoinHandle<Result<Option<Step>, StoreError>>>,
    warmed: bool,
    /// The last trouble that was told: it would be the same before every step.
    told: Option<String>,
}

impl Steps {
    pub fn new(keeper: Option<Keeper>) -> Self {
        Self { keeper: keeper.map(Arc::new), ending: None, warmed: false, told: None }
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

    /// Takes the checkpoint; also says what a person should know. `None` where nothing is kept.
    pub async fn begin(&mut self, about: About, effect: &Effect) -> (Option<Open>, Vec<String>) {
        let mut notes = self.settle().await;
        let Some(keeper) = self.keeper.clone() else { return (None, notes) };
        let scope = match effect {
            Effect::Writes(paths) => Scope::Paths(paths.clone()),
            Effect::Exec => Scope::Tree,
            Effect::ReadOnly | Effect::Network => return (None, notes),
        };
        match spawn_blocking(move || keeper.begin(about, &scope)).await {
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

    /// The step is over. What it changed is found out beside what comes next.
    pub fn end(&mut self, open: Open) {
        if let Some(keeper) = self.keeper.clone() {
            self.ending = Some(spawn_blocking(move || keeper.end(open)));
        }
    }

    /// Waits until the last step's record is written.
    pub async fn settle(&mut self) -> Vec<String> {
        let Some(ending) = self.ending.take() else { return Vec::new() };
        let trouble = match ending.await {
            Ok(Ok(_)) => None,
            Ok(Err(e)) => Some(e.to_string()),
            Err(e) => Some(e.to_string()),
        };
        trouble.and_then(|e| self.trouble(format!("what the last step changed is not recorded: {e}"))).into_iter().collect()
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
