//! The commands of the chat, carried out.

use super::chat::{Chat, Next};
use super::command::{COMMANDS, Command};
use super::{layout, links_for, terminal};
use crate::agent::Compacting;
use crate::base::{Failure, text};
use crate::catalog::{Agent, Custom, Workload};
use crate::cli::engine::Filling;
use crate::cli::output::Style;
use crate::cli::select::Chosen;
use crate::cli::{agents, run};
use crate::route::{Link, Rest};
use crate::session::{self, Summary};

/// How many sessions `/resume` shows.
const RECENT: usize = 8;

type Done = Result<(), Failure>;

impl Chat {
    pub(super) async fn obey(&mut self, command: Command) -> Next {
        let done = match command {
            Command::Exit => return Next::Leave(0),
            Command::Help => self.help(),
            Command::Agent(None) => self.agents(),
            Command::Agent(Some(name)) => self.switch_agent(&name),
            Command::Model(None) => self.models(),
            Command::Model(Some(id)) => self.switch_model(&id),
            Command::Chain => self.chain(),
            Command::Clear => {
                self.close().await;
                self.clear()
            }
            Command::Compact => match self.compact().await {
                Ok(next) => return next,
                Err(failure) => Err(failure),
            },
            Command::Context => self.context(),
            Command::Resume(None) => self.recent(),
            Command::Resume(Some(wanted)) => match self.resume(&wanted).await {
                Ok(next) => return next,
                Err(failure) => Err(failure),
            },
            Command::Cost => self.cost(),
            Command::Plan => self.plan(),
        };
        if let Err(failure) = done {
            self.complain(&failure);
        }
        Next::Stay
    }

    #[allow(clippy::unnecessary_wraps, reason = "every command has the same shape")]
    fn help(&self) -> Done {
        let row = |(name, about): (String, &str)| (format!("  {name}"), about.to_owned());
        let commands = COMMANDS.iter().map(|s| (format!("/{} {}", s.name, s.argument).trim_end().to_owned(), s.about));
        let keys = [
            ("Tab", "Complete a command or a name"),
            ("Enter", "Send; behind a \\ or in a ``` block: a further line"),
            ("Ctrl-C", "Clear the line, or stop the turn; twice in a turn: leave"),
            ("Ctrl-D", "Leave"),
        ];
        let keys = keys.map(|(key, about)| (key.to_owned(), about));
        let named = |c: &Custom| format!("/{} {}", c.name, c.argument).trim_end().to_owned();
        let own = self.app.customs.list().map(|c| (named(c), c.description.as_str()));
        let rows: Vec<(String, String)> = commands.chain(own).chain(keys).map(row).collect();
        self.put(&rows, layout::column(rows.iter().map(|(name, _)| name.as_str())));
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps, reason = "every command has the same shape")]
    fn cost(&self) -> Done {
        self.meter.lines().iter().for_each(|l| self.screen.line(Style::Plain, l));
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps, reason = "every command has the same shape")]
    fn plan(&mut self) -> Done {
        let text = if self.engine.toggle_plan() {
            "plan mode is on: edits and commands are refused until you say /plan again"
        } else {
            "plan mode is over"
        };
        self.say(Style::Plain, text);
        Ok(())
    }

    /// What fills the next request, part by part, in lines of at most 40 characters.
    #[allow(clippy::unnecessary_wraps, reason = "every command has the same shape")]
    fn context(&self) -> Done {
        let Filling { parts, tokens, limits, compacting } = self.engine.filling();
        let row = |name: &str, n: u64| self.screen.line(Style::Plain, &format!("{name:<28}{:>12}", text::thousands(n)));
        parts.rows().into_iter().for_each(|(name, n)| row(name, n));
        row("in all, in tokens, about", tokens);
        if let Some(limits) = limits {
            match compacting {
                Compacting::On => row("made smaller above", limits.trigger),
                Compacting::Off => self.say(Style::Dim, "it is not made smaller by itself (--no-compact); /compact does it"),
            }
            row("the most that is sent", limits.most);
        }
        Ok(())
    }

    fn put(&self, rows: &[(String, String)], column: usize) {
        for line in layout::entries(rows, column, terminal::columns()) {
            self.screen.line(Style::Plain, &line);
        }
    }

    /// The agents by workload; the one that is talked to has a star. A broken file is named and hides no other.
    #[allow(clippy::unnecessary_wraps, reason = "every command has the same shape")]
    fn agents(&self) -> Done {
        let all = self.app.agents.list();
        // The mark and its blank are part of the name.
        let column = layout::column(all.iter().map(|l| l.name.as_str())) + 2;
        for workload in Workload::ALL {
            let here = all.iter().filter_map(|l| l.agent.as_ref().ok()).filter(|a| a.workload == workload);
            let mark = |a: &Agent| if a.name == self.engine.agent.name { '*' } else { ' ' };
            let rows: Vec<(String, String)> = here.map(|a| (format!("{} {}", mark(a), a.name), a.description.clone())).collect();
            if !rows.is_empty() {
                self.screen.line(Style::Bold, workload.as_str());
                self.put(&rows, column);
            }
        }
        for listed in &all {
            if let Err(failure) = &listed.agent {
                self.say(Style::Yellow, &format!("{}: {}", listed.name, failure.message));
            }
        }
        Ok(())
    }

    fn switch_agent(&mut self, name: &str) -> Done {
        let agent = self.app.agents.get(name)?;
        if agent == self.engine.agent {
            self.say(Style::Plain, &format!("{name} is the agent already"));
            return Ok(());
        }
        let links = match links_for(&self.app, &agent, self.named.as_deref()) {
            Ok((chosen, _)) => Some(chosen.links),
            // What is in use works; only a model that the agent asks for by name has to be found.
            Err(failure) if agent.model.is_some() && self.named.is_none() => return Err(failure),
            Err(_) => None,
        };
        let links = links.filter(|new| ids(new) != ids(self.engine.router().links()));
        let limits = run::limits(&self.app.settings, &agent);
        let note = agents::left_out(&agent);
        self.engine.switch_agent(agent, limits, links)?;
        let model = self.model().unwrap_or_default();
        self.say(Style::Plain, &format!("{name} goes on with the conversation, on {model}"));
        if let Some(n) = &note {
            self.say(Style::Yellow, n);
        }
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps, reason = "every command has the same shape")]
    fn models(&self) -> Done {
        match self.engine.router().links().first() {
            Some(link) => self.say(Style::Plain, &format!("{} from {}", link.id, link.provider.id())),
            None => self.say(Style::Plain, "there is no model"),
        }
        self.say(Style::Dim, "/model ID goes on with another; Tab completes it, and PROVIDER/NAME names any");
        Ok(())
    }

    fn switch_model(&mut self, id: &str) -> Done {
        let (Chosen { links, notes }, _) = links_for(&self.app, &self.engine.agent, Some(id))?;
        self.named = Some(id.to_owned());
        if ids(&links) == ids(self.engine.router().links()) {
            self.say(Style::Plain, &format!("{id} is the model already"));
            return Ok(());
        }
        self.engine.switch_model(links)?;
        for note in &notes {
            self.say(Style::Yellow, note);
        }
        self.say(Style::Plain, &format!("the conversation goes on with {}", self.model().unwrap_or_default()));
        Ok(())
    }

    /// Our id of the first model that is asked.
    fn model(&self) -> Option<String> {
        self.engine.router().links().first().map(|l| l.id.clone())
    }

    /// The links in the order in which they are tried, and what keeps one out.
    #[allow(clippy::unnecessary_wraps, reason = "every command has the same shape")]
    fn chain(&self) -> Done {
        for (n, (link, rest)) in self.engine.router().rests().into_iter().enumerate() {
            let state = match rest {
                Rest::Ready => String::new(),
                Rest::For(time, error) => format!(": out for {} s: {error}", time.as_secs().max(1)),
                Rest::Out(error) => format!(": out: {error}"),
            };
            let number = format!("{:>2}. ", n + 1);
            let key = link.account().map(|a| format!(" with {a}")).unwrap_or_default();
            let words = format!("{} from {}{key}{state}", link.id, link.provider.id());
            for (n, line) in text::wrap(&words, terminal::columns().saturating_sub(4)).iter().enumerate() {
                self.screen.line(Style::Plain, &format!("{}{line}", if n == 0 { &number } else { "    " }));
            }
        }
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps, reason = "every command has the same shape")]
    fn clear(&mut self) -> Done {
        let before = self.engine.session.clone();
        self.engine.clear();
        let text = match before {
            Some(id) => format!("a new conversation begins; /resume {id} goes back"),
            None => "a new conversation begins".to_owned(),
        };
        self.say(Style::Plain, &text);
        Ok(())
    }

    fn recent(&self) -> Done {
        let others = session::list(&self.app.places)?.into_iter().filter(|s| Some(&s.id) != self.engine.session.as_ref());
        let recent: Vec<Summary> = others.take(RECENT).collect();
        if recent.is_empty() {
            self.say(Style::Plain, "there are no other sessions yet");
            return Ok(());
        }
        let width = terminal::columns();
        for s in recent {
            self.screen.line(Style::Plain, &format!("{}  {}", s.id, age(&s.updated)));
            let what = s.problem.or(s.prompt).unwrap_or_default();
            self.screen.line(Style::Dim, &format!("  {}", text::one_line(&text::strip_controls(&what), width.saturating_sub(2).max(8))));
        }
        self.say(Style::Dim, "/resume ID goes on with one, /resume last with the first; pup sessions show ID shows one");
        Ok(())
    }
}

fn ids(links: &[Link]) -> Vec<&str> {
    links.iter().map(|l| l.id.as_str()).collect()
}

/// Day and time of an RFC 3339 moment, without the year: `11-23 01:05`.
fn age(moment: &str) -> String {
    moment.get(5..16).unwrap_or(moment).replace('T', " ")
}
