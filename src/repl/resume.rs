//! `/resume ID`: the chat leaves its conversation and goes on with a recorded one.

use super::chat::{Chat, Next};
use super::{links_again, parts_of};
use crate::base::places::Places;
use crate::base::{Failure, text};
use crate::cli::engine::Engine;
use crate::cli::output::Style;
use crate::cli::resume::Taken;
use crate::cli::run;
use crate::cli::select::Chosen;
use crate::model::{History, Role};
use crate::session;
use std::path::Path;

impl Chat {
    /// Goes on with the session that `wanted` means. Where it was cut off, its work is taken up at once.
    pub(super) async fn resume(&mut self, wanted: &str) -> Result<Next, Failure> {
        let Some(places) = self.places.clone() else {
            return Err(Failure::usage("this chat records nothing (--no-session), so it can take nothing up")
                .hint("leave, and begin again without --no-session"));
        };
        let id = self.meant(&places, wanted)?;
        let taken = Taken::open(&places, &id, self.app.redactor.clone())?;
        let root = taken.root(None)?;
        if !same(&root, &self.app.root) {
            return Err(Failure::usage(format!("session {id} belongs to another folder"))
                .hint(format!("pup --cwd {}   and then /resume {id}", root.display())));
        }
        let recorded = taken.session();
        let agent = run::agent(&self.app, None, recorded)?;
        let model = recorded.and_then(|s| s.model.as_deref());
        let (Chosen { links, .. }, redactor, note) = links_again(&self.app, &agent, self.named.as_deref(), model)?;
        let parts = parts_of(&self.app, agent, links, redactor, self.engine.approve, Some(places));
        self.close().await;
        let (engine, notes) = Engine::resume(parts, taken, None).await?;
        self.engine = engine;

        self.say(Style::Plain, &format!("session {id} goes on with {}", self.engine.agent.name));
        for note in note.iter().chain(&notes) {
            self.say(Style::Yellow, note);
        }
        if let Some(prompt) = last_prompt(self.engine.history()) {
            self.say(Style::Dim, &format!("the last prompt was: {prompt}"));
        }
        Ok(self.turn(None).await.into())
    }

    /// The whole id. `last` is the latest session but this one.
    fn meant(&self, places: &Places, wanted: &str) -> Result<String, Failure> {
        let current = self.engine.session.as_deref();
        if wanted == "last" {
            let mut ids = session::list(places)?.into_iter().map(|s| s.id);
            return ids.find(|id| Some(id.as_str()) != current).ok_or_else(|| Failure::usage("there are no other sessions yet"));
        }
        let id = session::find(places, wanted)?;
        if Some(id.as_str()) == current {
            return Err(Failure::usage(format!("{id} is the session that you are in")));
        }
        Ok(id)
    }
}

fn same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

fn last_prompt(history: &History) -> Option<String> {
    let prompt = history.iter().rev().find(|m| m.role == Role::User)?;
    Some(text::one_line(&text::strip_controls(&prompt.joined_text()), 100))
}
