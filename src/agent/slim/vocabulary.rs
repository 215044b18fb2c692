//! A real vocabulary, for the moment before a threshold. Loading one takes a quarter of a second and 47 MB, so that
//! happens on a thread of its own, and only for conversations that come near their limit.

use std::sync::{Arc, OnceLock};
use tiktoken_rs::CoreBPE;

/// Longer texts are counted piece by piece: a text without a blank costs the square of its length.
const PIECE: usize = 4_096;

/// The vocabulary, once it is there.
#[derive(Clone, Default)]
pub struct Vocabulary {
    loaded: Arc<OnceLock<&'static CoreBPE>>,
    asked: Arc<OnceLock<()>>,
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vocabulary").field("ready", &self.ready()).finish_non_exhaustive()
    }
}

impl Vocabulary {
    /// One that is never loaded: what it counts does not depend on how fast a thread is.
    #[cfg(test)]
    pub fn none() -> Self {
        Self { asked: Arc::new(OnceLock::from(())), ..Self::default() }
    }

    /// Begins to load it, once.
    pub fn want(&self) {
        if self.asked.set(()).is_ok() {
            let loaded = Arc::clone(&self.loaded);
            std::thread::spawn(move || loaded.set(tiktoken_rs::o200k_base_singleton()));
        }
    }

    pub fn ready(&self) -> bool {
        self.loaded.get().is_some()
    }

    /// How many tokens the text has there; none while it is not loaded.
    pub fn count(&self, text: &str) -> Option<u64> {
        let bpe = self.loaded.get()?;
        let (mut rest, mut sum) = (text, 0);
        while !rest.is_empty() {
            let piece = crate::base::text::prefix(rest, PIECE);
            sum += bpe.encode_ordinary(piece).len() as u64;
            rest = rest.get(piece.len()..).unwrap_or_default();
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn it_is_loaded_behind_the_scenes_and_counts_the_longest_word_quickly() {
        let vocabulary = Vocabulary::default();
        assert_eq!((vocabulary.ready(), vocabulary.count("a")), (false, None));
        vocabulary.want();
        vocabulary.clone().want();
        let begun = Instant::now();
        while !vocabulary.ready() && begun.elapsed() < Duration::from_mins(2) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(vocabulary.count("hello world"), Some(2));
        assert!(vocabulary.count(&"a".repeat(200_000)).unwrap() > 10_000);
    }
}
