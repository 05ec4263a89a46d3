//! Each reason is found where it is so, in the direction that it is about, and nowhere else.

use proptest::prelude::*;

use super::*;
use crate::continuity::{DrForward, Mode};
use crate::trunk::Phase;

fn trunk(name: &str, contact: &str, peer: bool) -> TrunkNow {
    TrunkNow {
        name: name.into(),
        contact: contact.into(),
        peer,
        state: Phase::InService,
        reason: "answered".into(),
        oos_check_s: 10,
        oos_force_s: 5,
    }
}

fn phone(dn: &str) -> Extension {
    Extension { dn: dn.into(), in_service: true, refresh_s: Some(30), ..Extension::default() }
}

fn agent(number: u32) -> Agent {
    Agent { agent_id: format!("20{number:02}"), dn: format!("10{number:02}"), preferred_site: None }
}

/// A site where nothing is wrong: phones 1001 to 1004 are registered, two agents work.
fn site(name: &str, other: &str, agents: &[u32]) -> Facts {
    Facts {
        server: name.into(),
        switch: name.into(),
        version: "1.0".into(),
        unix_ms: 1_000_000,
        mode: Mode::Peered,
        draining: false,
        moves_away_percent: 0,
        options: OptionsNow {
            dr_forward: DrForward::Oos,
            shutdown_sip_reject_code: 302,
            max_expires_s: 3600,
        },
        goals: Goals { recovery_goal_s: 60, site_timeout_s: Some(70) },
        extensions: ["1001", "1002", "1003", "1004"].map(phone).into(),
        queues: vec!["7000".into()],
        routing_points: vec!["7900".into()],
        logins: (1..=4).map(|number| agent(number).agent_id).collect(),
        places: Vec::new(),
        agents: agents.iter().map(|number| agent(*number)).collect(),
        trunks: vec![trunk(other, "sip:peer", true), trunk("gateway", "sip:gateway", false)],
        calls: Calls { now: 0, over_peer: 0, most: 1000 },
    }
}

fn pair() -> (Facts, Facts) {
    (site("site-a", "to-b", &[1, 2]), site("site-b", "to-a", &[3, 4]))
}

/// What is found when `change` is done to site A, then to site B instead: (id, severity, loss) each.
fn found(change: impl Fn(&mut Facts)) -> [Vec<(String, Severity, Lost)>; 2] {
    let ids = |report: Report| {
        assert_eq!(report.ready, report.score >= 50, "{report:?}");
        assert_eq!(report.ready, report.reasons.iter().all(|r| r.severity != Severity::Blocker));
        for reason in &report.reasons {
            assert!(
                !reason.text.is_empty() && !reason.advice.is_empty() && reason.count <= reason.of,
                "{reason:?}"
            );
            assert!(reason.examples.len() <= MAX_EXAMPLES);
        }
        report.reasons.into_iter().map(|reason| (reason.id, reason.severity, reason.lost)).collect()
    };
    let ((mut a, b), (c, mut d)) = (pair(), pair());
    change(&mut a);
    change(&mut d);
    [ids(assess(&a, Ok(&b))), ids(assess(&c, Ok(&d)))]
}

/// The reason is found with each site, about the loss of the changed site and of the other one as given.
fn is_found(id: &str, severity: Severity, changed_is_lost: bool, change: impl Fn(&mut Facts)) {
    let (a, b) = match changed_is_lost {
        true => (Lost::ThisSite, Lost::PeerSite),
        false => (Lost::PeerSite, Lost::ThisSite),
    };
    assert_eq!(found(change), [vec![(id.to_owned(), severity, a)], vec![(id.to_owned(), severity, b)]]);
}

fn is_found_either_way(id: &str, severity: Severity, change: impl Fn(&mut Facts)) {
    let wanted = vec![(id.to_owned(), severity, Lost::Either)];
    assert_eq!(found(change), [wanted.clone(), wanted]);
}

fn changed(facts: &mut Facts, dn: &str, change: impl FnOnce(&mut Extension)) {
    change(facts.extensions.iter_mut().find(|extension| extension.dn == dn).unwrap());
}

fn nowhere(extension: &mut Extension) {
    (extension.in_service, extension.refresh_s) = (false, None);
}

#[test]
fn two_sites_with_dual_registered_phones_and_one_configuration_are_ready() {
    let (a, b) = pair();
    let report = assess(&a, Ok(&b));
    assert!(report.ready && report.complete && report.reasons.is_empty(), "{report:?}");
    assert_eq!((report.score, report.peer.as_deref()), (100, Some("site-b")));
    for (outlook, lost, server) in
        [(&report.outlooks[0], Lost::ThisSite, "site-a"), (&report.outlooks[1], Lost::PeerSite, "site-b")]
    {
        assert_eq!((outlook.lost, outlook.server.as_str()), (lost, server));
        assert_eq!((outlook.agents, outlook.phone_there, outlook.phone_lost), (Some(2), Some(2), Some(0)));
    }
}

#[test]
fn a_phone_registered_at_one_site_only_moves_and_is_not_lost() {
    for (agent_of_a, dn) in [(true, "1001"), (false, "1003")] {
        let (mut a, mut b) = pair();
        changed(if agent_of_a { &mut b } else { &mut a }, dn, nowhere);
        let report = assess(&a, Ok(&b));
        assert!(report.ready && report.score == 100, "{report:?}");
        let outlook = &report.outlooks[usize::from(!agent_of_a)];
        assert_eq!(
            (outlook.phone_there, outlook.phone_moves, outlook.phone_lost),
            (Some(1), Some(1), Some(0))
        );
        assert_eq!(outlook.moves_within_s, Some(30));
        let [reason] = report.reasons.as_slice() else { panic!("{report:?}") };
        assert_eq!(
            (reason.id.as_str(), reason.severity, reason.count, reason.of),
            ("phones-move", Severity::Note, 1, 2)
        );
    }
}

#[test]
fn a_phone_that_renews_too_seldom_for_the_goal_is_a_warning() {
    let (mut a, mut b) = pair();
    changed(&mut a, "1001", |extension| extension.refresh_s = Some(300));
    changed(&mut b, "1001", nowhere);
    let report = assess(&a, Ok(&b));
    let [reason] = report.reasons.as_slice() else { panic!("{report:?}") };
    assert_eq!(
        (reason.id.as_str(), reason.severity, reason.lost),
        ("phones-move-late", Severity::Warning, Lost::ThisSite)
    );
    assert!(reason.text.contains("within 300 s") && reason.text.contains("60 s"), "{}", reason.text);
    assert!(report.ready && report.score < 100);
}

#[test]
fn an_agent_whose_phone_is_nowhere_or_silent_or_unknown_there_would_have_none() {
    let wanted = |id: &str, lost| vec![(id.to_owned(), Severity::Blocker, lost)];
    let judged = |change: &dyn Fn(&mut Facts, &mut Facts, &str)| {
        [("1001", Lost::ThisSite), ("1003", Lost::PeerSite)].map(|(dn, lost)| {
            let (mut a, mut b) = pair();
            if lost == Lost::ThisSite {
                change(&mut a, &mut b, dn);
            } else {
                change(&mut b, &mut a, dn);
            }
            let report = assess(&a, Ok(&b));
            let ids: Vec<_> = report.reasons.into_iter().map(|r| (r.id, r.severity, r.lost)).collect();
            (ids, lost, report.outlooks[usize::from(lost == Lost::PeerSite)].phone_lost)
        })
    };
    for (found, lost, count) in judged(&|dead, left, dn| {
        changed(dead, dn, nowhere);
        changed(left, dn, nowhere);
    }) {
        assert_eq!((found, count), (wanted("agent-phone-nowhere", lost), Some(1)));
    }
    for (found, lost, count) in judged(&|_, left, dn| {
        changed(left, dn, |e| {
            (e.fixed, e.in_service, e.dr_forward) = (true, false, Some(DrForward::NoAgent));
        });
    }) {
        assert_eq!((found, count), (wanted("agent-phone-silent", lost), Some(1)));
    }
    for (found, lost, count) in judged(&|_, left, dn| left.extensions.retain(|e| e.dn != dn)) {
        assert_eq!(found[0], wanted("agent-dn-missing", lost)[0]);
        assert_eq!((found[1].0.as_str(), count), ("extensions-missing", Some(1)));
    }
}

#[test]
fn phones_are_counted_by_the_way_they_are_in_service() {
    let (mut a, mut b) = pair();
    changed(&mut b, "1001", nowhere);
    for facts in [&mut a, &mut b] {
        changed(facts, "1002", nowhere);
        facts.extensions.push(Extension { port: true, ..phone("1900") });
    }
    changed(&mut b, "1003", |e| e.fixed = true);
    a.extensions.push(phone("1005"));
    b.extensions.extend([phone("1006"), phone("1007")]);
    let phones = assess(&a, Ok(&b)).phones.unwrap();
    assert_eq!(phones, Ways { both: 1, this_site: 2, peer_site: 2, fixed: 1, nowhere: 1 });
    let why = NotAsked { text: "no".into(), advice: "no".into() };
    assert_eq!(assess(&a, Err(&why)).phones, None);
}

#[test]
fn a_place_says_which_dn_an_agent_has_at_the_other_site() {
    let (mut a, mut b) = pair();
    for (facts, own) in [(&mut a, "1001"), (&mut b, "5001")] {
        facts.extensions = vec![phone(own)];
        let dns = vec![("site-a".into(), "1001".into()), ("site-b".into(), "5001".into())];
        facts.places = vec![Place { name: "desk".into(), dns }];
    }
    a.agents = vec![agent(1)];
    b.agents = Vec::new();
    let report = assess(&a, Ok(&b));
    assert_eq!(report.outlooks[0].phone_there, Some(1), "{report:?}");
    assert!(!report.reasons.iter().any(|reason| reason.id == "agent-dn-missing"));
}

#[test]
fn objects_that_one_site_lacks_are_named() {
    is_found("queues-missing", Severity::Blocker, false, |facts| facts.queues.clear());
    is_found("routing-points-missing", Severity::Blocker, false, |facts| facts.routing_points.clear());
    is_found("extensions-missing", Severity::Warning, true, |facts| facts.extensions.push(phone("1009")));
    let port = || Extension { port: true, ..phone("1900") };
    is_found("ports-missing", Severity::Warning, true, |facts| facts.extensions.push(port()));
    let place = || Place { name: "desk-9".into(), dns: Vec::new() };
    is_found("places-missing", Severity::Warning, true, |facts| facts.places.push(place()));
    is_found("logins-missing", Severity::Warning, true, |facts| facts.logins.push("2099".into()));
    let (a, mut b) = pair();
    b.logins.retain(|id| id != "2001");
    let report = assess(&a, Ok(&b));
    let [reason] = report.reasons.as_slice() else { panic!("{report:?}") };
    assert_eq!((reason.severity, reason.lost), (Severity::Blocker, Lost::ThisSite));
    assert_eq!(reason.examples, ["2001"]);
}

#[test]
fn trunks_that_lead_from_one_site_only_or_are_down_are_named() {
    let second = |facts: &mut Facts| facts.trunks.push(trunk("carrier", "sip:carrier", false));
    is_found("trunks-single-homed", Severity::Warning, true, second);
    let down = |facts: &mut Facts| facts.trunks[1].state = Phase::OutOfService;
    is_found("trunks-out", Severity::Blocker, false, down);
    let peer = |facts: &mut Facts| facts.trunks[0].state = Phase::OutOfService;
    is_found("peer-trunk-out", Severity::Blocker, false, peer);
    let none = |facts: &mut Facts| {
        facts.trunks.remove(1);
    };
    is_found("trunks-single-homed", Severity::Blocker, false, none);
    let (mut a, mut b) = pair();
    for facts in [&mut a, &mut b] {
        facts.trunks.push(trunk("carrier", "sip:carrier", false));
    }
    b.trunks[2].state = Phase::OutOfService;
    let report = assess(&a, Ok(&b));
    let [reason] = report.reasons.as_slice() else { panic!("{report:?}") };
    assert_eq!(
        (reason.id.as_str(), reason.severity, reason.count, reason.of),
        ("trunks-out", Severity::Warning, 1, 2)
    );
}

#[test]
fn timers_that_do_not_fit_are_named() {
    is_found("desktops-early", Severity::Warning, true, |facts| facts.goals.site_timeout_s = Some(14));
    is_found("desktops-stay", Severity::Warning, true, |facts| facts.goals.site_timeout_s = Some(0));
    for fits in [Some(15), None] {
        assert_eq!(found(|facts| facts.goals.site_timeout_s = fits), [vec![], vec![]]);
    }
    let slow = |facts: &mut Facts| facts.trunks[0].oos_check_s = 56;
    is_found("detection-late", Severity::Warning, false, slow);
    let just = |facts: &mut Facts| facts.trunks[0].oos_check_s = 55;
    assert_eq!(found(just), [vec![], vec![]]);
}

#[test]
fn a_drain_of_the_site_that_would_be_left_is_a_blocker_and_its_own_is_not() {
    is_found("left-site-drains", Severity::Blocker, false, |facts| facts.draining = true);
}

#[test]
fn a_site_that_moves_its_work_away_is_no_place_to_go() {
    is_found("left-site-migrates", Severity::Blocker, false, |facts| facts.moves_away_percent = 30);
}

#[test]
fn calls_that_would_be_lost_are_counted_and_cost_no_points() {
    let busy = |facts: &mut Facts| facts.calls = Calls { now: 12, over_peer: 3, most: 1000 };
    is_found("calls-lost", Severity::Note, true, busy);
    let (mut a, b) = pair();
    busy(&mut a);
    let report = assess(&a, Ok(&b));
    assert_eq!((report.outlooks[0].calls_lost, report.outlooks[1].calls_lost), (Some(12), Some(0)));
    assert!(report.reasons[0].text.contains("3 of them go through both sites"));
    assert_eq!(report.score, 100);
}

#[test]
fn a_site_that_takes_fewer_calls_than_both_have_now_is_a_warning() {
    let (mut a, mut b) = pair();
    (a.calls.now, b.calls.now, b.calls.most) = (60, 60, 100);
    let found: Vec<_> = assess(&a, Ok(&b)).reasons.into_iter().filter(|r| r.id == "max-calls-low").collect();
    let [reason] = found.as_slice() else { panic!() };
    assert_eq!((reason.severity, reason.lost, reason.count), (Severity::Warning, Lost::ThisSite, 20));
}

#[test]
fn static_contacts_without_no_agent_are_named() {
    let fixed = |forward: Option<DrForward>| {
        move |facts: &mut Facts| changed(facts, "1004", |e| (e.fixed, e.dr_forward) = (true, forward))
    };
    for forward in [None, Some(DrForward::Off), Some(DrForward::Oos)] {
        is_found_either_way("static-not-forwarded", Severity::Warning, fixed(forward));
    }
    assert_eq!(found(fixed(Some(DrForward::NoAgent))), [vec![], vec![]]);
    let application = |facts: &mut Facts| {
        facts.options.dr_forward = DrForward::NoAgent;
        fixed(None)(facts);
    };
    assert_eq!(found(application), [vec![], vec![]]);
}

#[test]
fn versions_and_clocks_that_differ_are_named() {
    is_found_either_way("versions-differ", Severity::Warning, |facts| facts.version = "1.1".into());
    is_found_either_way("clocks-apart", Severity::Warning, |facts| facts.unix_ms += CLOCKS_APART_MS + 1);
    assert_eq!(found(|facts| facts.unix_ms += CLOCKS_APART_MS), [vec![], vec![]]);
}

#[test]
fn desktops_and_phones_that_prefer_different_sites_are_named() {
    let away = |facts: &mut Facts| facts.agents[0].preferred_site = Some("elsewhere".into());
    is_found_either_way("agents-not-at-preferred-site", Severity::Warning, away);
    let home = |facts: &mut Facts| facts.agents[0].preferred_site = Some(facts.switch.clone());
    assert_eq!(found(home), [vec![], vec![]]);
    let apart = |facts: &mut Facts| {
        home(facts);
        let dn = facts.agents[0].dn.clone();
        changed(facts, &dn, nowhere);
    };
    is_found_either_way("phones-not-at-preferred-site", Severity::Warning, apart);
}

#[test]
fn without_the_peer_a_site_judges_what_it_knows_and_says_why_that_is_not_all() {
    let (mut a, _) = pair();
    a.calls.now = 5;
    a.trunks[0].oos_check_s = 56;
    let why = NotAsked { text: "the peer was not asked".into(), advice: "add [peer-http]".into() };
    let report = assess(&a, Err(&why));
    let ids: Vec<_> = report.reasons.iter().map(|reason| (reason.id.as_str(), reason.lost)).collect();
    let wanted = [
        ("peer-not-asked", Lost::Either),
        ("detection-late", Lost::PeerSite),
        ("calls-lost", Lost::ThisSite),
    ];
    assert_eq!(ids, wanted);
    assert!(!report.ready && !report.complete && report.peer.is_none());
    assert_eq!((report.outlooks[0].phone_lost, report.outlooks[1].agents), (None, None));
    assert_eq!(report.blockers(Lost::ThisSite).count(), 1);
}

#[test]
fn a_server_without_a_peer_is_told_so_and_not_asked_for_one() {
    let (mut a, _) = pair();
    a.trunks.remove(0);
    a.mode = Mode::StandAlone;
    let why = NotAsked { text: "none".into(), advice: "none".into() };
    let report = assess(&a, Err(&why));
    assert_eq!(report.reasons.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["no-peer"]);
    assert!(report.complete && !report.ready);
}

#[test]
fn many_agents_are_counted_and_some_are_named() {
    let (mut a, mut b) = pair();
    a.agents = (1..=4).cycle().take(2_000).map(agent).collect();
    b.extensions.clear();
    let report = assess(&a, Ok(&b));
    let reason = report.reasons.iter().find(|reason| reason.id == "agent-dn-missing").unwrap();
    assert_eq!((reason.count, reason.of, reason.examples.len()), (2_000, 2_000, MAX_EXAMPLES));
    assert_eq!(reason.cost(), 60);
}

#[test]
fn what_the_other_version_does_not_know_reads_as_nothing() {
    let text = r#"{"server":"b","switch":"b","version":"0","unix_ms":1,"mode":"single-site","draining":false,
        "options":{"dr_forward":"no-agent","shutdown_sip_reject_code":603,"max_expires_s":60},
        "calls":{"now":0,"over_peer":0,"most":1},"news":[1]}"#;
    let facts: Facts = serde_json::from_str(text).unwrap();
    assert!(facts.extensions.is_empty() && facts.mode == Mode::SingleSite);
    let (a, _) = pair();
    let (there, back) = (serde_json::to_string(&a).unwrap(), a);
    assert_eq!(serde_json::from_str::<Facts>(&there).unwrap(), back);
}

proptest! {
    #[test]
    fn a_reason_more_never_raises_the_score(costs in prop::collection::vec((0usize..3, 0usize..50, 1usize..50), 0..12)) {
        let severities = [Severity::Blocker, Severity::Warning, Severity::Note];
        let mut reasons: Vec<Reason> = Vec::new();
        let mut before = 100;
        for (severity, count, of) in costs {
            reasons.push(Reason {
                id: "x".into(),
                severity: severities[severity],
                lost: Lost::Either,
                text: String::new(),
                advice: String::new(),
                count,
                of,
                examples: Vec::new(),
            });
            let after = report::score(&reasons, Lost::ThisSite);
            prop_assert!(after <= before);
            let blocked = reasons.iter().any(|reason| reason.severity == Severity::Blocker);
            prop_assert_eq!(after < 50, blocked);
            before = after;
        }
    }
}
