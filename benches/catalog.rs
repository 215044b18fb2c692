//! What every start pays for the catalogue: reading the built-in models, and making a chain of them.

use code_pup::base::places::Places;
use code_pup::catalog::{Catalog, Paid, Terms, Usable, Workload};
use divan::{Bencher, black_box};
use std::path::PathBuf;

fn main() {
    divan::main();
}

fn places() -> Places {
    let nowhere = PathBuf::from("/nonexistent-place-for-benchmarks");
    Places { config: nowhere.clone(), state: nowhere.clone(), cache: nowhere }
}

/// Must stay well under a millisecond.
#[divan::bench]
fn load(bencher: Bencher<'_, '_>) {
    let places = places();
    bencher.bench(|| Catalog::load(black_box(&places), None, &|_| None).is_ok());
}

#[divan::bench]
fn chain(bencher: Bencher<'_, '_>) {
    let Ok(catalog) = Catalog::load(&places(), None, &|_| None) else { return };
    bencher.bench(|| {
        let terms = Terms { usable: &|_| Usable::Yes, speaks: &|_| true, paid: Paid::Used };
        catalog.chain_links(black_box(Workload::Coding), &terms).len()
    });
}
