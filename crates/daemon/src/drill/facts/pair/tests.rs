//! The report of a lost server, from facts that are made up.

use std::sync::Arc;

use super::*;
use crate::drill::facts::{Course, report};
use crate::drill::plan::Plan;
use crate::drill::record::{Outcome, Record, Stay};
use crate::drill::watch::{Inherited, Seen};
use crate::drill::{Kind, Task, Verdict};

const PLAN: &str = r#"
[site]
http = ["http://192.0.2.11:8060", "http://192.0.2.12:8060"]
sip = "192.0.2.10:5060"
cti = "ws://192.0.2.10:8061/cti"
[peer]
http = "http://192.0.2.20:8060"
sip = "192.0.2.20:5060"
cti = "ws://192.0.2.20:8061/cti"
[phones]
address = "192.0.2.99"
numbers = ["1011-1012"]
numbers-at-peer = ["1013"]
[desktops]
users = ["agent11"]
agents = ["2011"]
password = "secret"
[gateway]
address = "192.0.2.98:5060"
"#;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A drill in which north was lost, and south took over 600 ms later.
struct Made {
    task: Task,
    record: Record,
    seen: [Seen; 2],
    course: Course,
    lost: Instant,
}

fn call(
    number: &str,
    home: Side,
    began: Instant,
    answered: Option<Instant>,
    ended: (Instant, Outcome),
) -> Call {
    let answered = answered.map(|at| (at, home));
    let (number, silent) = (number.to_owned(), Vec::new());
    Call { number, home, held: false, began, through: Some(home), silent, answered, ended: Some(ended) }
}

/// What its parties saw.
fn happen(facts: &mut Facts, begun: Instant, lost: Instant) {
    facts.answers = vec![
        (lost - ms(20), lost - ms(19)),
        (lost + ms(590), lost + ms(600)),
        (lost + ms(610), lost + ms(611)),
    ];
    for phone in facts.phones.values_mut() {
        phone.stays.push(Stay { since: begun, at: Some(phone.home) });
    }
    let desk = facts.desks.get_mut("2011").unwrap();
    let stays = [(begun, Some(Side::Site)), (lost + ms(1), None), (lost + ms(900), Some(Side::Site))];
    desk.stays.extend(stays.map(|(since, at)| Stay { since, at }));
    desk.logins.push(begun);
    desk.silences.push(lost + ms(1));
    desk.resumed.push(lost + ms(900));
    let done = |at| (at, Outcome::Done);
    facts.calls = vec![
        call("1011", Side::Site, begun + ms(1), Some(begun + ms(60)), done(lost + ms(4_000))),
        call("1013", Side::Peer, begun + ms(2), Some(begun + ms(60)), done(lost + ms(4_000))),
        call("1012", Side::Site, lost + ms(300), Some(lost + ms(850)), done(lost + ms(1_900))),
        call("1011", Side::Site, lost + ms(1_000), Some(lost + ms(1_050)), done(lost + ms(2_050))),
    ];
}

impl Made {
    fn new() -> Self {
        let plan = Arc::new(Plan::parse(PLAN).unwrap());
        let record = Record::new(&plan, true);
        record.name_sites(["site-a".to_owned(), "site-b".to_owned()]);
        let (begun, lost) = (record.begun, record.begun + ms(5_000));
        let nothing = Duration::ZERO;
        let task = Task {
            kind: Kind::HaLoss,
            plan,
            user: "admin".to_owned(),
            password: String::new(),
            share: 0,
            delay: nothing,
            guards: Vec::new(),
            goal: Some(ms(2_000)),
            before: ms(5_000),
            lasts: ms(60_000),
            hold: nothing,
            after: nothing,
            inject_with: None,
            quiet: true,
            command: "tandem drill ha-loss".to_owned(),
        };
        let peered = || Seen { answers: true, mode: "peered".to_owned(), ..Seen::default() };
        let mut seen = [peered(), peered()];
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Side::Site.of_mut(&mut seen).inherited =
            Some(Inherited { phones: names(&["1011", "1012"]), agents: names(&["2011"]) });
        let server = Server {
            id: "a".to_owned(),
            name: "north".to_owned(),
            http: "http://192.0.2.11:8060".to_owned(),
            epoch: 4,
            ..Server::default()
        };
        let course = Course {
            well: Some(lost),
            lost: Some(lost),
            recovered: Some(lost + ms(900)),
            restored: Some(lost + ms(2_500)),
            peered: Some(lost + ms(2_500)),
            home: Some(lost + ms(2_500)),
            ending: Some(lost + ms(4_000)),
            clean: Some(lost + ms(4_100)),
            server: Some(server),
            took_over: Some(Took {
                at: lost + ms(650),
                id: "b".to_owned(),
                name: "south".to_owned(),
                http: "http://192.0.2.12:8060".to_owned(),
                epoch: 5,
            }),
            whole: Some(lost + ms(2_500)),
            ..Course::default()
        };
        happen(&mut record.facts(), begun, lost);
        Self { task, record, seen, course, lost }
    }

    fn report(&self) -> (Verdict, Value) {
        report(&self.task, &self.record, &self.seen, &self.course)
    }

    /// Goals that are not met, and what was seen instead.
    fn missed(&self) -> Vec<(String, String)> {
        let (verdict, report) = self.report();
        let text = |goal: &Value, field: &str| goal.get(field).and_then(Value::as_str).unwrap().to_owned();
        let goals = report.get("goals").and_then(Value::as_array).unwrap();
        let missed: Vec<_> =
            goals.iter().filter(|goal| goal.get("met") == Some(&Value::Bool(false))).collect();
        assert_eq!(verdict == Verdict::Passed, missed.is_empty());
        missed.into_iter().map(|goal| (text(goal, "goal"), text(goal, "seen"))).collect()
    }
}

/// After this change only that goal is missed, and the report says why.
fn misses(change: impl FnOnce(&mut Made), goal: &str, why: &str) {
    let mut made = Made::new();
    change(&mut made);
    let missed = made.missed();
    let [(missed, seen)] = missed.as_slice() else { panic!("{goal}: {missed:?}") };
    assert!(missed.contains(goal) && seen.contains(why), "{goal}, {why}: {missed}, {seen}");
}

#[test]
fn a_takeover_that_nobody_noticed_passes_and_says_who_took_over() {
    let made = Made::new();
    assert_eq!(made.missed(), []);
    let (_, report) = made.report();
    let pair = report.get("pair").unwrap();
    for (field, value) in [
        ("lost", json!("north")),
        ("took_over", json!("south")),
        ("epoch", json!(5)),
        ("silent_ms", json!(600)),
        ("whole_ms", json!(2_500)),
    ] {
        assert_eq!(pair.get(field), Some(&value), "{field}");
    }
    let by = report.pointer("/drill/injected_by").and_then(Value::as_str).unwrap();
    assert!(by.contains("north, which ended as by kill -9 by order of admin"), "{by}");
}

#[test]
fn everybody_is_served_when_the_last_desktop_has_come_back() {
    let made = Made::new();
    let facts = made.record.facts();
    assert_eq!(served(&facts, made.lost), Ok(made.lost + ms(900)));
}

#[test]
fn nobody_is_served_before_the_site_answers() {
    let made = Made::new();
    let says = |change: &dyn Fn(&mut Facts), why: &str| {
        let mut facts = Facts { phones: made.record.facts().phones.clone(), ..Facts::default() };
        facts.desks.clone_from(&made.record.facts().desks);
        facts.calls.clone_from(&made.record.facts().calls);
        facts.answers.clone_from(&made.record.facts().answers);
        change(&mut facts);
        let said = served(&facts, made.lost).unwrap_err();
        assert!(said.contains(why), "{why}: {said}");
    };
    // One that was answered before the loss says nothing of it.
    says(&|facts| facts.answers.truncate(1), "does not answer OPTIONS");
    says(&|facts| facts.calls.truncate(2), "no call through the site");
    let nowhere = Stay { since: made.lost + ms(5), at: None };
    says(&|facts| facts.phones.get_mut("1012").unwrap().stays.push(nowhere), "phone 1012 finds nobody");
    says(&|facts| facts.desks.get_mut("2011").unwrap().stays.truncate(1), "agent 2011 has not come back");
}

#[test]
fn each_goal_is_missed_for_a_reason() {
    let north = |made: &mut Made| {
        let took = made.course.took_over.as_mut().unwrap();
        (took.id, took.name) = ("a".to_owned(), "north".to_owned());
    };
    misses(north, "another server", "north (epoch 5)");
    misses(|made| made.course.took_over = None, "another server", "nobody");
    misses(|made| made.task.goal = Some(ms(599)), "answers again", "after 600 ms");
    misses(|made| made.course.recovered = None, "everybody is served", "no: ");
    let cut = |made: &mut Made| {
        let at = made.lost + ms(4_000);
        made.record.call(0, |call| call.ended = Some((at, Outcome::Cut(Side::Site))));
    };
    misses(cut, "established calls", "1 lost of 2");
    let refused = |made: &mut Made| {
        let at = made.lost + ms(1_000);
        made.record.call(3, |call| {
            (call.answered, call.ended) = (None, Some((at, Outcome::Refused(Side::Site, 503))));
        });
    };
    misses(refused, "calls after everybody was served", "1 lost of 1");
    let forgets = |made: &mut Made| {
        Side::Site.of_mut(&mut made.seen).inherited.as_mut().unwrap().phones.remove("1012");
    };
    misses(forgets, "registrations kept", "1 of 2; without 1012");
    let alone = |made: &mut Made| {
        let at = made.lost + ms(700);
        Side::Peer.of_mut(&mut made.seen).modes.push((Some(at), "single-site".to_owned()));
    };
    misses(alone, "site-b notices nothing", "site-b worked alone");
    let short = |made: &mut Made| {
        (made.course.whole, made.course.unwhole) = (None, Some("north does not answer".to_owned()));
    };
    misses(short, "pair is whole", "no: north does not answer");
}

#[test]
fn an_agent_is_logged_out_however_that_shows() {
    let desk = |change: fn(&mut Party, Instant)| {
        move |made: &mut Made| {
            let at = made.lost + ms(800);
            made.record.desk("2011", |desk| change(desk, at));
        }
    };
    misses(desk(|desk, at| desk.logged_out.push(at)), "no agent", "1 of 1 did not: 2011");
    misses(desk(|desk, at| desk.logins.push(at)), "no agent", "2011");
    misses(desk(|desk, _| desk.resumed.clear()), "no agent", "2011");
    let forgets = |made: &mut Made| {
        Side::Site.of_mut(&mut made.seen).inherited.as_mut().unwrap().agents.clear();
    };
    misses(forgets, "no agent", "2011");
}

#[test]
fn a_gap_may_cost_one_call_for_each_tenth_of_a_second() {
    let with = |lost: u64| {
        let made = Made::new();
        for place in 0..lost {
            let began = made.lost + ms(place);
            let gone = call("1011", Side::Site, began, None, (began + ms(8_000), Outcome::Silence));
            made.record.facts().calls.push(gone);
        }
        made.missed()
    };
    assert_eq!(with(6), []);
    let missed = with(7);
    assert_eq!(missed, [("calls in the gap".to_owned(), "7 lost of 8, in 600 ms".to_owned())]);
}
