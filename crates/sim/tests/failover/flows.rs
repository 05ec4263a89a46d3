//! More flows of the office: transfers by phones, calls sent on and forked, reliable provisional responses, conferences,
//! lamps and mailboxes.

use std::cell::RefCell;
use std::rc::Rc;

use tandem_cti::EventName::{Established, Ringing};
use tandem_cti::Role;
use tandem_sim::ua::offer::Direction;
use tandem_sim::ua::{OnCall, Phase, Reliable};
use tandem_sim::{A, CallId, UaId, ms};

use crate::office::{Ends, Flow, Office, Step, asks, ua_of};

/// Watchers of lamps, and whose they watch.
const LAMPS: [(&str, &str); 3] = [("1027", "1011"), ("1028", "1013"), ("1033", "1027")];

impl Office {
    /// Their phones.
    pub fn more_phones(&mut self) {
        for number in ["1044", "1045", "1046", "1047", "1048", "1049", "1050", "1051", "1052", "1053", "1054"]
        {
            self.phone(number, ms(80));
        }
        for number in ["1055", "1057", "1058", "1059", "1060", "1061", "1062", "1063", "1064", "1065", "1066"]
        {
            self.phone(number, ms(80));
        }
        for number in ["1008", "1056", "1067", "1068", "1069", "1070", "1071", "1072", "1073"] {
            self.phone(number, ms(80));
        }
        // Two phones of one number: the second to ring answers.
        self.sim.phone("1043").registers_at(A).rings_on().on();
        self.sim.phone("1043").registers_at(A).answers_after(ms(90)).with(|p| p.ring_after = ms(20)).on();
        let mut casts = |number: &str, cast: fn(&mut tandem_sim::ua::Profile)| {
            let ua = ua_of(&self.sim, number);
            self.sim.change(ua, cast);
        };
        casts("1045", |p| p.on_call = OnCall::SendOn { to: "1046", after: ms(60) });
        casts("1008", |p| p.on_call = OnCall::RingOn);
        casts("1056", |p| p.reliable = Reliable::Only);
        casts("1050", |p| p.reliable = Reliable::Only);
        casts("1051", |p| (p.reliable, p.early_media) = (Reliable::Takes, true));
        casts("1052", |p| p.reliable = Reliable::Takes);
        casts("1053", |p| (p.reliable, p.early_media) = (Reliable::Takes, true));
        casts("1055", |p| p.reliable = Reliable::Takes);
    }

    /// Calls that stand.
    pub fn more_standing(&mut self) {
        let of = |office: &mut Self, name, from, to, ends, parties: &[&str]| {
            office.calls(name, from, to, ends);
            let parties = parties.iter().map(|number| ua_of(&office.sim, number)).collect();
            office.flows.last_mut().expect("it was begun").parties = parties;
        };
        let three = ["1062", "1063", "1064"];
        of(self, "call whose party consults", "1062", "1063", Ends::Joined, &three);
        of(self, "consultation", "1063", "1064", Ends::Joined, &three);
        let three = ["1065", "1066", "1067"];
        of(self, "call that is sent on blindly", "1065", "1066", Ends::Joined, &three);
        let three = ["1068", "1069", "1070"];
        of(self, "call whose party waits for the outcome", "1068", "1069", Ends::Either, &three);
        of(self, "call that is held and taken back", "1060", "1061", Ends::Talking, &["1060", "1061"]);
        of(self, "call that becomes a conference", "1057", "1058", Ends::Confers, &["1057", "1058", "1059"]);
        let desk = self.sim.desktop("sue", Role::Supervisor, A);
        self.sim.change_desk(desk, |desk| desk.reconnects = Some(ms(100)));
        for dn in ["1057", "1058", "1059"] {
            self.sim.ask(desk, "TRegisterAddress", &[("ThisDN", dn)]);
        }
        self.desks.push(desk);
        for (watcher, number) in LAMPS {
            let ua = ua_of(&self.sim, watcher);
            self.sim.subscribe(ua, "dialog", number);
        }
        let mailbox = ua_of(&self.sim, "1034");
        self.sim.subscribe(mailbox, "message-summary", "1034");
    }

    /// They begin.
    pub fn more_begins(&mut self) {
        let of = |office: &Self, name, who: &str| (ua_of(&office.sim, who), office.flow(name));
        let (joins, first) = of(self, "call whose party consults", "1063");
        let consulted = self.flow("consultation");
        self.sim.at(ms(30), move |sim| sim.transfer(joins, first, "1064", Some(consulted)));
        let (blind, sent) = of(self, "call that is sent on blindly", "1066");
        self.sim.at(ms(40), move |sim| sim.refer(blind, sent, "1067", true));
        let (told, waits) = of(self, "call whose party waits for the outcome", "1069");
        self.sim.at(ms(50), move |sim| sim.transfer(told, waits, "1070", None));
        let (holds, held) = of(self, "call that is held and taken back", "1060");
        self.sim.at(ms(25), move |sim| sim.hold(holds, held, Direction::SendOnly));
        self.sim.at(ms(150), move |sim| sim.hold(holds, held, Direction::SendRecv));
        self.calls("forked call", "1044", "1043", Ends::Either);
        self.calls("call that its callee sends on", "1047", "1045", Ends::Either);
        self.calls("call that an agent does not answer", "1049", "1008", Ends::Either);
        self.calls("call of who takes reliable responses only", "1050", "1051", Ends::Either);
        self.calls("call between two who take reliable responses", "1052", "1053", Ends::Either);
        self.calls("call to whom responds reliably", "1054", "1055", Ends::Either);
        let late = ua_of(&self.sim, "1071");
        self.sim.at(ms(60), move |sim| sim.subscribe(late, "dialog", "1057"));
        let again = ua_of(&self.sim, "1027");
        self.sim.at(ms(110), move |sim| sim.at_ua(again, |ua, now| ua.subscribe_again(0, now)));
        let mailbox = ua_of(&self.sim, "gw1");
        self.sim.at(ms(80), move |sim| sim.at_ua(mailbox, |ua, now| ua.tell_mailbox("1034", true, now)));
        self.confers();
    }

    /// A party consults another, and the three go to the mixer.
    fn confers(&mut self) {
        let (sue, unanswered) = (*self.desks.last().expect("sue"), Rc::clone(&self.unanswered));
        let first = self.sim.desk(sue).last_of(Established, "1058").and_then(|event| event.conn_id.clone());
        let first = first.expect("they talk");
        let (call, consult) = (Rc::new(RefCell::new(first)), Rc::new(RefCell::new(String::new())));
        let parties = [("ThisDN", "1058"), ("OtherDN", "1059")];
        let mut steps: Vec<Step> = vec![asks(sue, "TInitiateConference", &parties, &call, &unanswered)];
        let known = Rc::clone(&consult);
        steps.push(Box::new(move |sim| {
            let ringing = sim.desk(sue).last_of(Ringing, "1059").and_then(|event| event.conn_id.clone());
            ringing.is_some_and(|conn| {
                *known.borrow_mut() = conn;
                true
            })
        }));
        steps.push(Box::new(move |sim| sim.desk(sue).last_of(Established, "1059").is_some()));
        let mut completes = None;
        steps.push(Box::new(move |sim| {
            let step = completes.get_or_insert_with(|| {
                let other: &'static str = Box::leak(consult.borrow().clone().into_boxed_str());
                let with = [("ThisDN", "1058"), ("ConsultConnID", other)];
                asks(sue, "TCompleteConference", &with, &call, &unanswered)
            });
            step(sim)
        }));
        self.plays("conference by request", steps);
    }

    /// What lamps and mailboxes show that is not so.
    pub fn shown_wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (watcher, number) in LAMPS.into_iter().chain([("1071", "1057")]) {
            let talks = self.live(ua_of(&self.sim, number)).filter(|phase| *phase == Phase::Talking).count();
            let ua = self.sim.ua(ua_of(&self.sim, watcher)).expect("a phone");
            let shown = ua.watches().first().map(|watch| (watch.confirmed(), watch.lamps.len()));
            if shown != Some((talks, talks)) {
                wrong.push(format!("{watcher} sees {shown:?} at {number}, where {talks} calls are"));
            }
        }
        let mailbox = self.sim.ua(ua_of(&self.sim, "1034")).expect("a phone");
        if !mailbox.watches().first().is_some_and(|watch| watch.heard.contains("yes")) {
            wrong.push("1034 does not hear of its mailbox".into());
        }
        wrong
    }

    /// The calls of a device that are not over.
    pub fn live(&self, ua: UaId) -> impl Iterator<Item = Phase> {
        let legs = self.sim.ua(ua).into_iter().flat_map(|ua| ua.legs());
        legs.filter(|leg| !leg.is_over()).map(|leg| leg.phase)
    }

    /// Whether all parties of a flow are at the mixer, one call each; or the first two talk as they did, for the request
    /// came to nothing: whom they consulted may have gone to the mixer by then.
    pub fn confers_now(&self, flow: &Flow) -> bool {
        let at_mixer = self.live(ua_of(&self.sim, "mixer")).count();
        let calls: Vec<Vec<Phase>> = flow.parties.iter().map(|ua| self.live(*ua).collect()).collect();
        let talk = |numbers: [usize; 3]| {
            let talks = |(calls, number): (&Vec<Phase>, usize)| {
                calls.len() == number && calls.iter().all(|phase| *phase == Phase::Talking)
            };
            calls.iter().zip(numbers).all(talks)
        };
        match at_mixer {
            3 => talk([1, 1, 1]),
            0 => talk([1, 1, 0]) || talk([1, 2, 1]),
            _ => false,
        }
    }

    /// A call by its name.
    pub fn flow(&self, name: &str) -> CallId {
        self.flows.iter().find(|flow| flow.name == name).expect(name).call
    }
}
