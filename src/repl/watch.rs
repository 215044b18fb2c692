//! Signals in a chat: Ctrl-C stops the turn and not the chat, a second one the chat; a termination ends both. It waits on
//! a thread of its own, because the chat's thread may be held up in a write that nobody reads.

use super::terminal::Saved;
use crate::agent::Stopper;
use crate::base::{Cause, Failure, tree};
use crate::cli::stop::{LITTLE_PATIENCE, PATIENCE, Signals};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The chat's side of it.
#[derive(Debug)]
pub struct Watch {
    state: Arc<Mutex<State>>,
    idle: UnboundedReceiver<()>,
}

#[derive(Debug, Default)]
struct State {
    turn: Option<Stopper>,
    /// The whole chat is to end, for this.
    leaving: Option<Cause>,
}

/// What the thread does about a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// The turn has been told.
    Stop,
    /// No turn is on: the prompt is told.
    Tell,
    /// The turn may come to its end, then the chat ends; it is ended if it takes too long.
    Leave(Cause),
    /// Nothing is on that would need time.
    Exit(Cause),
}

impl State {
    fn on(&mut self, signal: Cause) -> Act {
        match (&self.turn, signal) {
            (None, Cause::Interrupted) => Act::Tell,
            (None, cause) => Act::Exit(cause),
            (Some(turn), Cause::Interrupted) if turn.cause().is_none() => {
                turn.stop(Cause::Interrupted);
                Act::Stop
            }
            (Some(turn), cause) => {
                turn.stop(cause);
                self.leaving = Some(cause);
                Act::Leave(cause)
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Begins to listen. `saved` are the settings that the terminal gets back when the process is ended from here.
    pub fn start(saved: Arc<Saved>) -> Result<Self, Failure> {
        let failed = |e| Failure::internal(format!("cannot watch for signals: {e}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let signals = {
            let _inside = runtime.enter();
            Signals::new().map_err(failed)?
        };
        let (tell, idle) = unbounded_channel();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let listen = move || {
            let cause = runtime.block_on(listen(signals, &shared, &tell));
            saved.restore();
            tree::end_now();
            std::process::exit(i32::from(cause.exit_code()));
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(failed)?;
        Ok(Self { state, idle })
    }

    /// A turn begins; this stops it.
    pub fn begin(&self) -> Stopper {
        let stopper = Stopper::default();
        lock(&self.state).turn = Some(stopper.clone());
        stopper
    }

    /// The turn is over. Some: so is the chat.
    pub fn end(&self) -> Option<Cause> {
        let mut state = lock(&self.state);
        state.turn = None;
        state.leaving
    }

    /// Ctrl-C while no turn is on.
    pub async fn interrupted(&mut self) {
        if self.idle.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Returns when the process is to end without waiting any longer.
async fn listen(mut signals: Signals, state: &Mutex<State>, tell: &UnboundedSender<()>) -> Cause {
    loop {
        let signal = signals.next().await;
        let act = lock(state).on(signal);
        match act {
            Act::Stop => {}
            Act::Tell => {
                // Nobody reads it any more when the chat is about to end.
                let _ = tell.send(());
            }
            Act::Exit(cause) => return cause,
            Act::Leave(cause) => {
                let patience = if cause == Cause::Interrupted { LITTLE_PATIENCE } else { PATIENCE };
                tokio::select! {
                    () = tokio::time::sleep(patience) => {}
                    _ = signals.next() => tokio::time::sleep(LITTLE_PATIENCE.min(patience)).await,
                }
                return cause;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_interrupt_stops_the_turn_and_the_second_the_chat() {
        let mut state = State::default();
        assert_eq!(state.on(Cause::Interrupted), Act::Tell);
        let turn = Stopper::default();
        state.turn = Some(turn.clone());
        assert_eq!((state.on(Cause::Interrupted), turn.cause(), state.leaving), (Act::Stop, Some(Cause::Interrupted), None));
        assert_eq!((state.on(Cause::Interrupted), state.leaving), (Act::Leave(Cause::Interrupted), Some(Cause::Interrupted)));
    }

    #[test]
    fn a_termination_ends_both() {
        let mut state = State::default();
        assert_eq!(state.on(Cause::Terminated), Act::Exit(Cause::Terminated));
        let turn = Stopper::default();
        state.turn = Some(turn.clone());
        assert_eq!((state.on(Cause::Terminated), turn.cause()), (Act::Leave(Cause::Terminated), Some(Cause::Terminated)));
    }
}
