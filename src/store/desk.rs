//! The one thread of this process that works on the shared database, so that no write of another process holds up
//! anybody here. Jobs are done in the order in which they come; what was sent before the end is done before the end.

use super::Store;
use crate::base::Failure;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Returns what tells whoever asked.
type Job = Box<dyn FnOnce(&Store) -> Tell + Send>;
type Tell = Box<dyn FnOnce() + Send>;

/// Hands jobs to the thread that has the [`Store`].
#[derive(Debug)]
pub struct Desk {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// In the place of a thread, for tests whose clock may not run while one works.
    #[cfg(test)]
    here: Option<std::sync::Arc<Store>>,
}

impl Desk {
    /// Opens the store on its thread, so that nobody waits for that either; once more where it is found damaged later.
    pub fn open(open: impl Fn() -> Result<Store, Failure> + Send + 'static) -> Self {
        let (jobs, todo) = mpsc::channel::<Job>();
        let work = move || {
            let open = || open().inspect_err(|e| tracing::warn!(failure = e.message, "there is no shared state"));
            let Ok(mut store) = open() else { return };
            for job in todo {
                let owing = store.owing();
                let tell = job(&store);
                if store.is_spoiled() {
                    let Ok(other) = open() else { return };
                    // What was owed before is in the journals from which it was made again; what this job owes is not, as
                    // nobody has heard of its end.
                    other.inherit(&store, if other.lost { owing } else { 0 });
                    store = other;
                }
                tell();
            }
        };
        let thread = std::thread::Builder::new().name("store".into()).spawn(work);
        let thread = thread.inspect_err(|e| tracing::warn!(%e, "no thread for the shared state")).ok();
        Self {
            jobs: Some(jobs),
            thread,
            #[cfg(test)]
            here: None,
        }
    }

    /// One that works where it is asked.
    #[cfg(test)]
    pub fn here(store: std::sync::Arc<Store>) -> Self {
        Self { jobs: None, thread: None, here: Some(store) }
    }

    /// Has a job done, and waits for what comes of it. None where there is no store at all.
    pub async fn ask<T: Send + 'static>(&self, job: impl FnOnce(&Store) -> T + Send + 'static) -> Option<T> {
        let (tell, told) = oneshot::channel();
        self.post(move |store| {
            let done = job(store);
            // Whoever asked may have gone.
            Box::new(move || drop(tell.send(done)))
        });
        told.await.ok()
    }

    /// Has a job done, some time before the process ends.
    pub fn send(&self, job: impl FnOnce(&Store) + Send + 'static) {
        self.post(move |store| {
            job(store);
            Box::new(|| {})
        });
    }

    fn post(&self, job: impl FnOnce(&Store) -> Tell + Send + 'static) {
        #[cfg(test)]
        if let Some(store) = &self.here {
            return job(store)();
        }
        if let Some(jobs) = &self.jobs {
            // A store that could not be opened takes none; that was said.
            let _ = jobs.send(Box::new(job));
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // Its panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::places::Places;
    use crate::store::{Entry, Wins};

    #[tokio::test]
    async fn jobs_are_done_in_order_and_all_of_them_before_the_end() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::under(home.path());
        let entry = |n: u64| Entry { kind: "k".into(), key: "k".into(), value: n.to_string(), until: u64::MAX };
        let own = places.clone();
        let desk = Desk::open(move || Store::open(&own));
        for n in 0..50 {
            desk.send(move |store| store.tell(&[(entry(n), Wins::Later)], &[], 0).unwrap());
        }
        assert_eq!(desk.ask(|store| store.shared).await, Some(true));
        desk.send(move |store| store.tell(&[(entry(50), Wins::Later)], &[], 0).unwrap());
        drop(desk);
        let store = Store::open(&places).unwrap();
        assert_eq!(store.news(&mut crate::store::Cursor::default(), 0).unwrap().entries, [entry(50)]);
    }

    #[tokio::test]
    async fn without_a_store_nobody_waits() {
        let desk = Desk::open(|| Err(Failure::internal("none")));
        desk.send(|_| {});
        assert_eq!(desk.ask(|store| store.shared).await, None);
    }
}
