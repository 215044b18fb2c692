//! The shared state: caps that many processes keep together, and databases that cannot be used.

use super::*;
use crate::base::owner::Process;
use crate::model::Usage;
use crate::model::money::Nanos;
use proptest::prelude::*;
use std::process::{Child, Command, Stdio};

fn cap(scope: &str, nanos: i64) -> Cap {
    Cap { scope: scope.to_owned(), name: scope.to_owned(), limit: Nanos(nanos) }
}

fn claim(scopes: &[String], input: i64, per_output: i64, output: u64) -> Claim<'_> {
    let owner = Owner::Process(Process::current());
    Claim { scopes, input: Nanos(input), per_output: Nanos(per_output), output, least: 1024.min(output), owner }
}

fn receipt(cost: i64) -> Receipt {
    let usage = Usage { input: Some(1), output: Some(2), ..Usage::default() };
    Receipt { provider: "p".into(), model: "m".into(), outcome: "ok".into(), usage, cost: Some(Nanos(cost)), ..Receipt::default() }
}

fn scopes(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn what_fits_is_granted_lowered_or_refused_with_the_figures() {
    let store = Store::in_memory(None).unwrap();
    let run = scopes(&["run"]);
    let caps = [cap("run", 10_000)];
    let first = store.reserve(&claim(&run, 1_000, 2, 2_000), &caps).unwrap();
    assert_eq!((first.output, first.amount), (2_000, Nanos(5_000)));
    let second = store.reserve(&claim(&run, 1_000, 2, 4_000), &caps).unwrap();
    assert_eq!((second.output, second.amount), (2_000, Nanos(5_000)), "lowered to what is left");
    let over = Over { cap: cap("run", 10_000), spent: Nanos(0), reserved: Nanos(10_000), wanted: Nanos(1_000 + 2 * 1_024) };
    assert_eq!(store.reserve(&claim(&run, 1_000, 2, 4_000), &caps), Err(Refusal::Over(Box::new(over))));
    store.settle(Some(first.id), &run, &receipt(1_200), &[]).unwrap();
    store.release(second.id).unwrap();
    assert_eq!(store.totals("run").unwrap(), Totals { spent: Nanos(1_200), reserved: Nanos(0) });
    assert_eq!(store.reserve(&claim(&run, 1_000, 2, 9_999), &caps).unwrap().output, 3_900);
}

#[test]
fn a_call_counts_to_each_of_its_scopes_and_the_tightest_cap_binds() {
    let store = Store::in_memory(None).unwrap();
    let caps = [cap("day", 100_000), cap("session", 5_000)];
    let both = scopes(&["day", "session"]);
    assert_eq!(store.reserve(&claim(&both, 0, 1, 50_000), &caps).unwrap().output, 5_000);
    let other = scopes(&["day", "other"]);
    assert_eq!(store.reserve(&claim(&other, 0, 1, 200_000), &caps[..1]).unwrap().output, 95_000);
}

#[test]
fn a_dead_owner_holds_nothing_and_a_job_until_it_expires() {
    let store = Store::in_memory(None).unwrap();
    let run = scopes(&["run"]);
    let caps = [cap("run", 2_000)];
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let dead = Process { pid: child.id(), start: Some(1) };
    let held = Claim { owner: Owner::Process(dead), ..claim(&run, 2_000, 0, 0) };
    store.reserve(&held, &caps).unwrap();
    assert!(store.reserve(&claim(&run, 1_000, 0, 0), &caps).is_ok(), "its number is another process's now");
    child.kill().unwrap();
    child.wait().unwrap();
    let durable = |expires| Claim { owner: Owner::Durable { job: "batch".into(), expires }, ..claim(&run, 900, 0, 0) };
    store.reserve(&durable(1), &caps).unwrap();
    store.reserve(&durable(u64::MAX / 4), &caps).unwrap();
    assert!(matches!(store.reserve(&claim(&run, 200, 0, 0), &caps), Err(Refusal::Over(o)) if o.reserved == Nanos(1_900)));
}

proptest! {
    #[test]
    fn no_schedule_of_calls_goes_over_a_cap_and_the_sum_is_that_of_the_receipts(
        limit in 0..40_000i64,
        calls in prop::collection::vec((0..5_000i64, 0..4i64, 0..6_000u64, 0..=100i64, 0..3u8), 1..60),
    ) {
        let store = Store::in_memory(None).unwrap();
        let run = scopes(&["run"]);
        let caps = [cap("run", limit)];
        let (mut open, mut sum) = (Vec::new(), 0);
        for (input, price, output, share, then) in calls {
            if let Ok(granted) = store.reserve(&claim(&run, input, price, output), &caps) {
                prop_assert!(granted.output <= output && (granted.output >= output.min(1_024)));
                open.push((granted, share));
            }
            if then == 0 && let Some((granted, share)) = open.pop() {
                let cost = granted.amount.0 * share / 100;
                store.settle(Some(granted.id), &run, &receipt(cost), &[]).unwrap();
                sum += cost;
            }
            let totals = store.totals("run").unwrap();
            prop_assert!(totals.spent.0 + totals.reserved.0 <= limit);
            prop_assert_eq!(totals.spent.0, sum);
        }
    }
}

/// The work of one of many processes; does nothing unless the test below has started it.
#[test]
fn a_process_that_spends() {
    let Some(home) = std::env::var_os("PUP_TEST_LEDGER") else { return };
    let store = Store::open(&Places::under(Path::new(&home))).unwrap();
    assert!(store.shared, "{:?}", store.note);
    let (run, caps) = (scopes(&["run"]), [cap("run", 1_000_000)]);
    for n in 0..400i64 {
        // Prices that a provider changes from call to call, and calls that cost all that they may.
        match store.reserve(&claim(&run, 100 * (n % 7), 1 + n % 3, 2_000), &caps) {
            Ok(granted) if n % 5 == 0 => store.release(granted.id).unwrap(),
            Ok(granted) => drop(store.settle(Some(granted.id), &run, &receipt(granted.amount.0), &[]).unwrap()),
            Err(Refusal::Over(_)) => std::thread::sleep(Duration::from_millis(1)),
            Err(Refusal::Unavailable(why) | Refusal::Spoiled(why)) => panic!("{why}"),
        }
    }
}

#[test]
fn eight_processes_some_of_them_killed_stay_under_one_cap() {
    let home = tempfile::tempdir().unwrap();
    let start = || -> Child {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "--nocapture", "store::tests::a_process_that_spends"]).env("PUP_TEST_LEDGER", home.path());
        child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut children: Vec<Child> = (0..8).map(|_| start()).collect();
    let mut pause = 3;
    for (n, victim) in children.iter_mut().enumerate().take(4) {
        std::thread::sleep(Duration::from_millis(pause));
        pause = pause * 3 + n as u64;
        victim.kill().unwrap();
    }
    for (n, child) in children.into_iter().enumerate() {
        let ended = child.wait_with_output().unwrap();
        assert!(n < 4 || ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    let store = Store::open(&Places::under(home.path())).unwrap();
    let run = scopes(&["run"]);
    // A further call looks for the dead and gives up what they held.
    let probe = store.reserve(&claim(&run, 0, 0, 0), &[cap("run", 1_000_000)]).unwrap();
    let totals = store.totals("run").unwrap();
    assert!(totals.spent <= Nanos(1_000_000) && totals.spent > Nanos(900_000), "{totals:?}");
    assert_eq!(totals.reserved, Nanos(0));
    store.release(probe.id).unwrap();
    let sum: i64 = store.connection().query_row("SELECT SUM(cost) FROM receipts", [], |r| r.get(0)).unwrap();
    assert_eq!(sum, totals.spent.0);
}

#[test]
fn a_damaged_database_is_set_aside_and_said() {
    let home = tempfile::tempdir().unwrap();
    let places = Places::under(home.path());
    let path = places.state.join("state.db");
    for damage in
        [&b"this is no database, but long enough to be taken for one by its size alone.............................."[..], &[0xff; 9_000]]
    {
        std::fs::create_dir_all(&places.state).unwrap();
        std::fs::write(&path, damage).unwrap();
        let store = Store::open(&places).unwrap();
        let note = store.note.clone().unwrap();
        assert!(store.shared && note.contains("was damaged") && note.contains("state.db.damaged-"), "{note}");
        store.reserve(&claim(&scopes(&["run"]), 1, 1, 1), &[cap("run", 10)]).unwrap();
        drop(store);
        assert_eq!(Store::open(&places).unwrap().note, None);
    }
    let kept = std::fs::read_dir(&places.state).unwrap().filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains("damaged"));
    assert_eq!(kept.count(), 2);
}

/// A ledger of some pages, all in its one file.
fn written(places: &Places) -> (PathBuf, Vec<u8>) {
    let store = Store::open(places).unwrap();
    for n in 0..400 {
        store.settle(None, &scopes(&["day:x", &format!("session:{n}")]), &receipt(7), &[]).unwrap();
    }
    drop(store);
    let path = places.state.join("state.db");
    Connection::open(&path).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 40_960, "{}", bytes.len());
    (path, bytes)
}

#[test]
fn damage_behind_the_first_page_is_found_wherever_it_is() {
    for page in 1.. {
        let home = tempfile::tempdir().unwrap();
        let places = Places::under(home.path());
        let (path, mut bytes) = written(&places);
        let Some(damaged) = bytes.get_mut(page * 4096..(page + 1) * 4096) else { break };
        damaged.fill(0xa5);
        std::fs::write(&path, &bytes).unwrap();
        let use_it = |store: &Store| {
            let claimed = store.reserve(&claim(&scopes(&["day:x"]), 1, 1, 1), &[cap("day:x", 1 << 40)]).map(|_| ());
            assert_eq!(matches!(claimed, Err(Refusal::Spoiled(_))), claimed.is_err(), "page {page}: the refusal says what is wrong");
            let settled = store.settle(None, &scopes(&["day:x"]), &receipt(1), &[]).map(|_| ());
            let read = store.costs(By::Model, 0).map(|_| ());
            let news = store.news(&mut Cursor::default(), 0).map(|_| ());
            (claimed.is_ok(), settled.is_ok(), read.is_ok(), news.is_ok())
        };
        let first = Store::open(&places).unwrap();
        let fine = use_it(&first) == (true, true, true, true);
        // A page that nobody needed yet is none that anybody was told wrong things of.
        assert!(fine || first.is_spoiled(), "page {page}: it failed and nobody knows");
        let noted = first.note.is_some();
        drop(first);
        let second = Store::open(&places).unwrap();
        assert_eq!(use_it(&second), (true, true, true, true), "page {page}");
        assert!(fine || noted || second.note.as_ref().is_some_and(|n| n.contains("was damaged")), "page {page}: {:?}", second.note);
    }
}

#[test]
fn what_a_locked_ledger_does_not_take_is_written_later_or_by_the_next_process() {
    let home = tempfile::tempdir().unwrap();
    let places = Places::under(home.path());
    let day = scopes(&["day:x"]);
    let store = Store::open(&places).unwrap();
    store.connection().busy_timeout(Duration::from_millis(1)).unwrap();
    let held = store.reserve(&claim(&day, 50, 0, 1), &[]).unwrap();
    let other = Connection::open(places.state.join("state.db")).unwrap();
    let lock = || other.execute_batch("BEGIN IMMEDIATE").unwrap();
    lock();
    assert!(store.settle(Some(held.id), &day, &receipt(40), &[]).is_err());
    assert!(matches!(store.reserve(&claim(&day, 1, 0, 1), &[]), Err(Refusal::Unavailable(_))));
    assert_eq!((store.owing(), store.totals("day:x").unwrap()), (1, Totals { spent: Nanos(0), reserved: Nanos(50) }));
    other.execute_batch("ROLLBACK").unwrap();
    // Under a cap that is full with what is owed nothing goes.
    assert!(matches!(store.reserve(&claim(&day, 1, 0, 1), &[cap("day:x", 40)]), Err(Refusal::Over(_))));
    assert_eq!((store.owing(), store.totals("day:x").unwrap()), (0, Totals { spent: Nanos(40), reserved: Nanos(0) }));

    lock();
    assert!(store.settle(None, &day, &receipt(2), &[]).is_err());
    assert!(store.settle(None, &day, &receipt(3), &[]).is_err());
    drop(store);
    other.execute_batch("ROLLBACK").unwrap();
    let next = Store::open(&places).unwrap();
    assert_eq!(next.totals("day:x").unwrap().spent, Nanos(45));
    drop(next);
    assert_eq!(Store::open(&places).unwrap().totals("day:x").unwrap().spent, Nanos(45), "once");
}

#[test]
fn whoever_has_the_old_file_open_sees_that_another_one_stands_there() {
    let home = tempfile::tempdir().unwrap();
    let places = Places::under(home.path());
    let (path, _) = written(&places);
    let desk = Desk::open({
        let places = places.clone();
        move || Store::open(&places)
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ask = |what: &'static str| runtime.block_on(desk.ask(move |store| store.totals(what).map(|t| t.spent).ok())).unwrap();
    assert_eq!(ask("day:x"), Some(Nanos(2_800)));
    std::fs::remove_file(&path).unwrap();
    drop(Store::open(&places).unwrap());
    assert_eq!(ask("day:x"), None);
    assert_eq!(ask("day:x"), Some(Nanos(0)), "opened anew");
}

#[test]
fn a_newer_database_and_an_impossible_place_are_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let places = Places::under(home.path());
    drop(Store::open(&places).unwrap());
    let path = places.state.join("state.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", VERSION + 1).unwrap();
    let store = Store::open(&places).unwrap();
    assert!(!store.shared && store.note.as_ref().unwrap().contains("written by a newer pup"));
    let blocked = Places { state: path, ..places };
    let store = Store::open(&blocked).unwrap();
    assert!(!store.shared && store.note.as_ref().unwrap().contains("cannot be used"), "{:?}", store.note);
    store.reserve(&claim(&scopes(&["run"]), 1, 1, 1), &[cap("run", 10)]).unwrap();
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let places = Places::under(home.path());
    let _store = Store::open(&places).unwrap();
    let mode = std::fs::metadata(places.state.join("state.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
