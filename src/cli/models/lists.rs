//! Each provider's own list of models: asked for through the router's door, and kept for a day in the cache folder.

use crate::base::clock;
use crate::base::{Cause, Failure, atomic};
use crate::catalog::refresh;
use crate::model::Listed;
use crate::route::{Ask, Link, Operation, Product, Rotation, Router, Rules};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// How long a list is good.
const FRESH: Duration = Duration::from_hours(24);

/// How long a provider may take, retries included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether lists that are still good are used, and new ones kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cache {
    pub read: bool,
    pub write: bool,
}

/// A provider that is asked: the way to it, and what tells its lists apart from those of another address or account.
#[derive(Debug)]
pub struct Asked {
    pub provider: String,
    pub links: Vec<Link>,
    pub rotation: Rotation,
    pub address: String,
    /// The names of its keys.
    pub account: String,
}

/// A provider's answer.
#[derive(Debug)]
pub struct Answer {
    pub provider: String,
    pub list: Result<Vec<Listed>, Failure>,
    /// How old a list from the cache is.
    pub age: Option<Duration>,
}

/// A list as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    v: u32,
    /// Milliseconds since 1970.
    asked_at: u64,
    address: String,
    account: String,
    models: Vec<Listed>,
}

/// The form of [`Kept`].
const VERSION: u32 = 1;

/// Asks them all at once. What fails is an answer too.
pub async fn ask(all: Vec<Asked>, folder: &Path, cache: Cache) -> Vec<Answer> {
    futures_util::future::join_all(all.into_iter().map(|asked| one(asked, folder, cache))).await
}

async fn one(asked: Asked, folder: &Path, cache: Cache) -> Answer {
    let Asked { provider, links, rotation, address, account } = asked;
    let path = folder.join("models").join(format!("{provider}.json"));
    if cache.read
        && let Some((models, age)) = kept(&path, &address, &account)
    {
        return Answer { provider, list: Ok(models), age: Some(age) };
    }
    let rules = Rules { deadline: Some(PATIENCE), max_attempts: 3, ..Rules::default() };
    let router = Router::new(links, rules, rotation);
    let list = match router.start(Ask { operation: Operation::ListModels, deadline: None }).result().await {
        Ok(Product::Models(models)) => match refresh::implausible(&models) {
            None => Ok(models),
            Some(why) => Err(Failure::new(Cause::Exhausted, format!("{provider}: {why}"))),
        },
        Ok(Product::Embeddings(_) | Product::Tokens(_)) => Err(Failure::internal(format!("{provider}: a list was asked for"))),
        Err(report) => Err(report.failure()),
    };
    if let (Ok(models), true) = (&list, cache.write) {
        keep(&path, &Kept { v: VERSION, asked_at: clock::unix_ms(), address, account, models: models.clone() });
    }
    Answer { provider, list, age: None }
}

/// The list in the cache and its age, if it is of this address and account and still good.
fn kept(path: &Path, address: &str, account: &str) -> Option<(Vec<Listed>, Duration)> {
    let kept: Kept = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    // A list from the future is of a clock that was wrong.
    let age = Duration::from_millis(clock::unix_ms().checked_sub(kept.asked_at)?);
    let same = kept.v == VERSION && kept.address == address && kept.account == account;
    (same && age < FRESH && refresh::implausible(&kept.models).is_none()).then_some((kept.models, age))
}

/// A list that cannot be kept is asked for again, which costs nothing but time.
fn keep(path: &Path, kept: &Kept) {
    let written = serde_json::to_vec(kept).map_err(std::io::Error::from).and_then(|bytes| atomic::write(path, &bytes, false));
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "a list of models could not be kept");
    }
}
