//! The terms of a provider, shown before it is used the first time; only an explicit yes goes on.

use super::app::App;
use super::ask::can_ask;
use super::output::{Screen, Style};
use crate::auth::terms::Agreements;
use crate::base::{Cause, Failure, text};
use crate::catalog::{OptIn, Provider};
use std::io;

const WIDTH: usize = 78;

/// Shows what stands against using the provider, and records the yes. Nothing happens where the user has agreed before, or
/// says so in their own `models.json`.
pub fn agree(app: &App, provider: &Provider, accepted: bool, screen: Screen) -> Result<(), Failure> {
    let Some(terms) = app.manifests.terms(&provider.id).filter(|_| provider.opt_in == Some(OptIn::Required)) else { return Ok(()) };
    for paragraph in &terms.paragraphs {
        screen.always(Style::Yellow, "");
        for line in text::wrap(paragraph, WIDTH) {
            screen.always(Style::Yellow, &line);
        }
    }
    for link in &terms.links {
        screen.always(Style::Yellow, link);
    }
    screen.always(Style::Plain, "");
    if !accepted {
        let unsaid = |what: &str| {
            Failure::new(Cause::Auth, format!("{what}: {} stays unused", provider.id))
                .hint(format!("to use it all the same: pup auth login {} --accept-terms", provider.id))
        };
        if !can_ask() {
            return Err(unsaid("these terms need an explicit yes, and nobody can be asked here"));
        }
        screen.always(Style::Yellow, "Type yes to use it all the same, anything else to leave it:");
        let mut line = String::new();
        let _ = io::stdin().read_line(&mut line);
        if !line.trim().eq_ignore_ascii_case("yes") {
            return Err(unsaid("not agreed"));
        }
    }
    Agreements::record(&app.places, &provider.id, terms)
}
