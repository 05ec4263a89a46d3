//! A busy office at a pair: every flow of calls that there is, begun within a tenth of a second, each in phones of its own.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use tandem_cti::EventName::{Established, Released, Ringing};
use tandem_cti::{EventName, Role};
use tandem_sim::ua::offer::Direction;
use tandem_sim::ua::{OnCall, Phase, Registers};
use tandem_sim::{A, CallId, DeskId, Setup, Sim, UaId, ms, office, secs};
use tandem_switch::directory::floor::{AgentOptions, NoAnswerOverflow, WrapUp};

/// What must be true of a call when everything has calmed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Two talk.
    Talking,
    /// Nobody does.
    Over,
    /// The caller waits on.
    Waits,
    /// Two talk, or nobody does: it was in set-up, or the parties end it themselves.
    Either,
    /// The two whom a third has connected talk, and he is gone.
    Joined,
    /// All parties are at the mixer.
    Confers,
}

/// One call of the office.
#[derive(Clone, Debug)]
pub struct Flow {
    pub name: &'static str,
    pub call: CallId,
    /// Everybody who may have part in it.
    pub parties: Vec<UaId>,
    /// Caller and number that its record names.
    pub record: (&'static str, &'static str),
    pub ends: Ends,
    /// Two talked when the office began.
    pub stood: bool,
}

/// Requests that were asked and not answered.
type Unanswered = Rc<RefCell<BTreeSet<&'static str>>>;

/// A step of a script: true when it is done.
pub type Step = Box<dyn FnMut(&mut Sim) -> bool>;

/// See the module.
pub struct Office {
    pub sim: Sim,
    pub flows: Vec<Flow>,
    /// Those who register before it begins.
    pub registered: Vec<&'static str>,
    /// Agents and the state that they begin in.
    pub agents: Vec<(&'static str, &'static str)>,
    pub desks: Vec<DeskId>,
    scripts: Rc<RefCell<BTreeSet<&'static str>>>,
    pub(crate) unanswered: Unanswered,
}

/// A site with a floor, a pair or a server alone, whose phones' media are `anchored` or pass by; nobody is there yet.
pub fn setup(pair: bool, anchored: bool) -> Setup {
    let options = AgentOptions { wrap_up_time: Some(WrapUp::Timed(secs(3))), ..AgentOptions::default() };
    let mut setup = Setup { extensions: 80, mailbox: Some("gw1"), ..Setup::with_floor(1, options) };
    let login =
        setup.floor.as_mut().and_then(|floor| floor.logins.iter_mut().find(|login| &*login.id == "a8"));
    if let Some(login) = login {
        login.options.agent_no_answer_timeout = Some(ms(120));
        login.options.agent_no_answer_overflow = Some(vec![NoAnswerOverflow::To("1048".into())]);
    }
    setup.pairs = [A].into_iter().filter(|_| pair).collect();
    setup.anchored = anchored;
    setup
}

impl Office {
    /// Everybody is there, and calls stand that are to be held, transferred or ended.
    pub fn ready(seed: u64, pair: bool, anchored: bool) -> Self {
        let mut sim = Sim::new(seed, setup(pair, anchored));
        sim.net.weather.latency = ms(5);
        sim.run_for(ms(600));
        let mut office = Self {
            sim,
            flows: Vec::new(),
            registered: Vec::new(),
            agents: Vec::new(),
            desks: Vec::new(),
            scripts: Rc::default(),
            unanswered: Rc::default(),
        };
        if let (false, Some(site)) = (pair, office.sim.site_mut(A)) {
            (site.commit_delay, site.dies_late) = (ms(3), seed % 2 == 1);
            site.recorder.takes_its_time = true;
        }
        office.phones();
        office.desktops();
        office.standing();
        office.sim.run_for(ms(400));
        assert!(!pair || office.sim.is_whole(A), "the pair is whole before anything begins");
        office
    }

    pub fn phone(&mut self, number: &'static str, answers: Duration) -> UaId {
        self.registered.push(number);
        let phone = self.sim.phone(number).registers_at(A).answers_after(answers);
        phone.with(|p| p.ring_after = ms(20)).on()
    }

    fn phones(&mut self) {
        for number in ["1001", "1002", "1003", "1004", "1005", "1006", "1007"] {
            self.phone(number, ms(80));
        }
        for number in ["1011", "1012", "1013", "1014", "1015", "1016", "1017", "1018", "1019", "1021", "1023"]
        {
            self.phone(number, ms(80));
        }
        for number in ["1022", "1024", "1025", "1026", "1027", "1028", "1033", "1034", "1035", "1036"] {
            self.phone(number, ms(80));
        }
        for number in ["1029", "1030"] {
            let phone = self.phone(number, ms(80));
            self.sim.change(phone, |p| p.tcp = true);
        }
        let ua = |sim: &Sim, number: &str| ua_of(sim, number);
        let (rings_on, refuses) = (ua(&self.sim, "1022"), ua(&self.sim, "1024"));
        self.sim.change(rings_on, |p| p.on_call = OnCall::RingOn);
        self.sim.change(refuses, |p| p.on_call = OnCall::Refuse { code: 486, after: ms(80) });
        let (early, delayed) = (ua(&self.sim, "1025"), ua(&self.sim, "1026"));
        self.sim.change(early, |p| p.early_media = true);
        self.sim.change(delayed, |p| p.delayed_offer = true);
        for n in [1, 2] {
            self.sim.gateway(n).with(|p| p.load_share = false).answers_after(ms(80)).on();
        }
        self.more_phones();
        let mixer = self.sim.phone("mixer").with(|p| {
            p.addr = office::MIXER.into();
            p.registers = Registers::Never;
            p.on_call = OnCall::Answer { after: ms(10) };
        });
        mixer.on();
        self.sim.run_for(ms(200));
    }

    fn desktops(&mut self) {
        let agents = [
            ("a1", "1001", "AutoIn", "Ready"),
            ("a2", "1002", "ManualIn", "NotReady"),
            ("a3", "1003", "ManualIn", "NotReady"),
            ("a4", "1004", "ManualIn", "NotReady"),
            ("a5", "1005", "ManualIn", "NotReady"),
            ("a6", "1006", "ManualIn", "NotReady"),
            ("a7", "1007", "ManualIn", "NotReady"),
            ("a8", "1008", "ManualIn", "NotReady"),
        ];
        for (agent, dn, mode, state) in agents {
            let desk = self.sim.desktop(&format!("p{agent}"), Role::Agent, A);
            self.sim.change_desk(desk, |desk| desk.reconnects = Some(ms(100)));
            self.sim.ask(desk, "TRegisterAddress", &[("ThisDN", dn)]);
            self.sim.ask(desk, "TAgentLogin", &[("ThisDN", dn), ("AgentID", agent), ("WorkMode", mode)]);
            if mode == "ManualIn" {
                self.sim.ask(desk, "TAgentSetNotReady", &[("ThisDN", dn)]);
            }
            self.desks.push(desk);
            self.agents.push((agent, state));
        }
        self.sim.run_for(ms(200));
    }

    pub fn calls(&mut self, name: &'static str, from: &'static str, to: &'static str, ends: Ends) -> CallId {
        let caller = ua_of(&self.sim, from);
        let call = self.sim.call(caller, to);
        // Who is transferred to gets a call of the server's own making.
        let third = match name {
            "call that is transferred" => Some("1019"),
            "call that is transferred by request" => Some("1007"),
            _ => None,
        };
        let callee = third.map(|_| ua_of(&self.sim, to));
        let third = third.map(|third| ua_of(&self.sim, third));
        let parties = third.map_or_else(Vec::new, |third| vec![caller, callee.unwrap_or(caller), third]);
        self.flows.push(Flow { name, call, parties, record: (from, to), ends, stood: false });
        call
    }

    fn standing(&mut self) {
        let pairs = [
            ("call that somebody ends", "1013", "1014", Ends::Over),
            ("call that is held", "1015", "1016", Ends::Talking),
            ("call that is transferred", "1017", "1018", Ends::Either),
            ("call that nobody touches", "1027", "1028", Ends::Talking),
            ("call over TCP", "1029", "1030", Ends::Talking),
            ("call with requests within", "1033", "1034", Ends::Talking),
            ("call that is transferred by request", "1004", "1006", Ends::Either),
            ("call with the outside", "1035", "95550100", Ends::Talking),
        ];
        for (name, from, to, ends) in pairs {
            self.calls(name, from, to, ends);
        }
        self.more_standing();
        let waits = [
            ("first who waits", "gw1", Ends::Talking),
            ("second who waits", "gw1", Ends::Waits),
            ("third who waits", "gw1", Ends::Waits),
            ("reliable one who waits", "1056", Ends::Waits),
        ];
        for (name, from, ends) in waits {
            self.calls(name, from, "7001", ends);
            self.sim.run_for(ms(10));
        }
        self.sim.run_for(ms(300));
        for flow in self.flows.iter_mut().filter(|flow| !flow.name.ends_with("waits")) {
            flow.stood = true;
            self.sim.expect(self.sim.is_talking(flow.call), flow.name);
        }
        let waiting = self.sim.queue(A, "7001").map(|queue| queue.waiting);
        self.sim.expect(waiting == Some(4), "four wait");
    }

    /// Everything begins.
    pub fn begins(&mut self) {
        let of = |office: &Self, name, who: &str| (ua_of(&office.sim, who), office.flow(name));
        let (ends, ended) = of(self, "call that somebody ends", "1013");
        self.sim.at(ms(40), move |sim| sim.hang_up(ends, ended));
        let (holds, held) = of(self, "call that is held", "1015");
        self.sim.at(ms(20), move |sim| sim.hold(holds, held, Direction::SendOnly));
        let (back, _) = of(self, "call that is held", "1016");
        self.sim.at(ms(180), move |sim| sim.hold(back, held, Direction::SendRecv));
        let (refers, referred) = of(self, "call that is transferred", "1018");
        self.sim.at(ms(30), move |sim| sim.refer(refers, referred, "1019", false));
        let (within, in_call) = of(self, "call with requests within", "1033");
        for (after, method) in [(50, "UPDATE"), (90, "INFO"), (130, "OPTIONS"), (170, "MESSAGE")] {
            self.sim.at(ms(after), move |sim| sim.send_within(within, in_call, method));
        }
        let (tcp, over_tcp) = of(self, "call over TCP", "1029");
        self.sim.at(ms(70), move |sim| sim.send_within(tcp, over_tcp, "INFO"));
        self.calls("plain call", "1011", "1012", Ends::Either);
        self.calls("call that is refused", "1023", "1024", Ends::Over);
        let cancelled = self.calls("call that is cancelled", "1021", "1022", Ends::Over);
        let gives_up = ua_of(&self.sim, "1021");
        self.sim.at(ms(120), move |sim| sim.hang_up(gives_up, cancelled));
        self.calls("call with early media", "gw2", "1025", Ends::Either);
        self.calls("call without an offer", "1026", "95550101", Ends::Either);
        self.calls("call that a queue offers", "gw2", "7000", Ends::Either);
        self.comes_late("1041", false);
        self.comes_late("1042", true);
        self.by_request();
        self.transfers_by_request();
        self.more_begins();
    }

    /// A phone is switched on in the middle of it.
    fn comes_late(&mut self, number: &'static str, tcp: bool) {
        let profile = self.sim.phone(number).registers_at(A).with(|p| p.tcp = tcp).switched_off();
        self.sim.at(ms(60), move |sim| {
            sim.add(profile);
        });
    }

    /// A call that desktops make, answer, hold, take back and end.
    fn by_request(&mut self) {
        let (two, three, unanswered) = (self.desks[1], self.desks[2], Rc::clone(&self.unanswered));
        let call = Rc::new(RefCell::new(String::new()));
        let mut steps: Vec<Step> =
            vec![asks(two, "TMakeCall", &[("ThisDN", "1002"), ("OtherDN", "1003")], &call, &unanswered)];
        let known = Rc::clone(&call);
        steps.push(Box::new(move |sim| {
            let ringing = sim.desk(three).last_of(Ringing, "1003").and_then(|event| event.conn_id.clone());
            ringing.is_some_and(|conn| {
                *known.borrow_mut() = conn;
                true
            })
        }));
        let heard = |desk, name: EventName, dn: &'static str| -> Step {
            Box::new(move |sim| sim.desk(desk).last_of(name, dn).is_some())
        };
        steps.push(asks(three, "TAnswerCall", &[("ThisDN", "1003")], &call, &unanswered));
        steps.push(heard(two, Established, "1002"));
        steps.push(asks(two, "THoldCall", &[("ThisDN", "1002")], &call, &unanswered));
        steps.push(asks(two, "TRetrieveCall", &[("ThisDN", "1002")], &call, &unanswered));
        steps.push(asks(two, "TReleaseCall", &[("ThisDN", "1002")], &call, &unanswered));
        steps.push(heard(three, Released, "1003"));
        self.plays("calls by request", steps);
    }

    /// An agent consults another about his call, and leaves it to him.
    fn transfers_by_request(&mut self) {
        let (four, seven, unanswered) = (self.desks[3], self.desks[6], Rc::clone(&self.unanswered));
        let first = self.sim.desk(four).last_of(Established, "1004").and_then(|event| event.conn_id.clone());
        let first = first.unwrap_or_default();
        let call = Rc::new(RefCell::new(first.clone()));
        let consult = Rc::new(RefCell::new(String::new()));
        let mut steps: Vec<Step> = vec![asks(
            four,
            "TInitiateTransfer",
            &[("ThisDN", "1004"), ("OtherDN", "1007")],
            &call,
            &unanswered,
        )];
        let known = Rc::clone(&consult);
        steps.push(Box::new(move |sim| {
            let ringing = sim.desk(seven).last_of(Ringing, "1007").and_then(|event| event.conn_id.clone());
            ringing.is_some_and(|conn| {
                *known.borrow_mut() = conn;
                true
            })
        }));
        steps.push(Box::new(move |sim| sim.desk(seven).last_of(Established, "1007").is_some()));
        let leaves: &'static str = Box::leak(first.into_boxed_str());
        let whom: [(&'static str, &'static str); 1] = [("ThisDN", "1004")];
        let asked = Rc::clone(&consult);
        let mut completes = None;
        steps.push(Box::new(move |sim| {
            let step = completes.get_or_insert_with(|| {
                let other: &'static str = Box::leak(asked.borrow().clone().into_boxed_str());
                let call = Rc::new(RefCell::new(leaves.to_owned()));
                asks(four, "TCompleteTransfer", &[whom[0], ("ConsultConnID", other)], &call, &unanswered)
            });
            step(sim)
        }));
        self.plays("transfer by request", steps);
    }

    /// An agent of the queue in which three wait is ready from now on.
    pub fn an_agent_is_ready(&mut self) {
        let no_call = Rc::default();
        let ready = asks(self.desks[4], "TAgentSetReady", &[("ThisDN", "1005")], &no_call, &self.unanswered);
        self.plays("an agent is ready", vec![ready]);
    }

    pub fn plays(&mut self, name: &'static str, steps: Vec<Step>) {
        self.scripts.borrow_mut().insert(name);
        let steps = Rc::new(RefCell::new(steps.into_iter().collect()));
        play(&mut self.sim, name, steps, Rc::clone(&self.scripts));
    }

    /// Scripts that have not come to their end.
    pub fn unfinished(&self) -> Vec<&'static str> {
        self.scripts.borrow().iter().copied().collect()
    }

    /// What is wrong when everything has calmed down.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for flow in &self.flows {
            let mut open: Vec<_> = self.sim.legs(flow.call).filter(|(_, leg)| !leg.is_over()).collect();
            if !flow.parties.is_empty() {
                let legs = |ua: &UaId| self.sim.ua(*ua).into_iter().flat_map(|device| device.legs());
                let all = flow.parties.iter().flat_map(|ua| legs(ua).map(|leg| (*ua, leg)));
                open = all.filter(|(_, leg)| !leg.is_over()).collect();
            }
            let waits = open.len() == 1 && open.iter().all(|(_, leg)| leg.phase == Phase::Ringing);
            let talk = open.len() == 2 && open.iter().all(|(_, leg)| leg.phase == Phase::Talking);
            let kept = match flow.ends {
                Ends::Talking => talk,
                Ends::Over => open.is_empty(),
                Ends::Waits => waits,
                Ends::Joined => talk,
                Ends::Confers => self.confers_now(flow),
                // Who consults another has two calls until he completes it.
                Ends::Either if flow.stood => {
                    talk || (open.len() == 4 && open.iter().all(|(_, leg)| leg.phase == Phase::Talking))
                }
                Ends::Either => talk || open.is_empty(),
            };
            if !kept {
                let name = |ua: &UaId| self.sim.ua(*ua).map(|device| device.profile.name.clone());
                let legs: Vec<_> = open
                    .iter()
                    .map(|(ua, leg)| (name(ua).unwrap_or_default(), leg.role, leg.phase))
                    .collect();
                wrong.push(format!("{}: {legs:?}", flow.name));
            }
        }
        wrong.extend(self.unanswered.borrow().iter().map(|request| format!("{request} is never answered")));
        for parties in [["1002", "1003"], ["1002", "1007"]] {
            let legs = parties
                .iter()
                .flat_map(|number| self.sim.ua(ua_of(&self.sim, number)))
                .flat_map(|ua| ua.legs());
            let open: Vec<_> = legs.filter(|leg| !leg.is_over()).map(|leg| (leg.role, leg.phase)).collect();
            if open.iter().any(|(_, phase)| *phase != Phase::Talking) {
                wrong.push(format!("{parties:?} are left with {open:?}"));
            }
        }
        wrong.extend(self.agents_wrong());
        wrong.extend(self.shown_wrong());
        wrong
    }

    /// Everybody hangs up.
    pub fn everybody_hangs_up(&mut self) {
        let all: Vec<UaId> = (0..).map(UaId).take_while(|id| self.sim.ua(*id).is_some()).collect();
        all.into_iter().for_each(|ua| self.sim.hang_up_all(ua));
    }

    /// What is wrong with the records of calls when everybody has hung up: each call has one.
    pub fn records_wrong(&self) -> Vec<String> {
        let cdrs = self.sim.cdrs(A);
        let uuids: BTreeSet<&str> = cdrs.iter().map(|cdr| &*cdr.call_uuid).collect();
        let mut wrong = Vec::new();
        if uuids.len() != cdrs.len() {
            let twice =
                cdrs.iter().filter(|cdr| cdrs.iter().filter(|c| c.call_uuid == cdr.call_uuid).count() > 1);
            wrong.push(format!(
                "more than one record of a call: {:?}",
                twice.map(|cdr| (&cdr.from, &cdr.to)).collect::<Vec<_>>()
            ));
        }
        for flow in self.flows.iter().filter(|flow| flow.stood) {
            let (from, to) = flow.record;
            let records = cdrs.iter().filter(|cdr| cdr.from == from && cdr.to == to).count();
            if records != 1 {
                wrong.push(format!("{}: {records} records", flow.name));
            }
        }
        wrong
    }

    /// Agents who are not there.
    pub fn agents_wrong(&self) -> Vec<String> {
        let there = self.sim.agents(A);
        let missing = self.agents.iter().filter(|(id, _)| !there.iter().any(|agent| agent.agent_id == *id));
        missing.map(|(id, _)| format!("{id} is logged out")).collect()
    }

    /// Phones whose registrations the server does not have.
    pub fn unregistered(&self) -> Vec<&'static str> {
        self.registered.iter().copied().filter(|number| self.sim.bindings(A, number) != 1).collect()
    }
}

/// The device of a number, or a gateway by its name.
pub fn ua_of(sim: &Sim, name: &str) -> UaId {
    let all = (0..).map(UaId).take_while(|id| sim.ua(*id).is_some());
    let found = all.into_iter().find(|id| sim.ua(*id).is_some_and(|ua| ua.profile.name == name));
    found.unwrap_or_else(|| panic!("no device {name}"))
}

/// A desktop asks something about a call, and asks again under the same reference when it was not answered and its
/// connection is another one.
pub fn asks(
    desk: DeskId,
    request: &'static str,
    with: &[(&'static str, &'static str)],
    call: &Rc<RefCell<String>>,
    unanswered: &Unanswered,
) -> Step {
    let (with, call, unanswered) = (with.to_vec(), Rc::clone(call), Rc::clone(unanswered));
    let mut asked = None;
    Box::new(move |sim| {
        let link = sim.desk(desk).link;
        let conn = call.borrow().clone();
        let mut attributes: Vec<(&str, &str)> = with.clone();
        if !conn.is_empty() {
            attributes.push(("ConnID", &conn));
        }
        match asked {
            None if link.is_some() => {
                unanswered.borrow_mut().insert(request);
                asked = Some((sim.ask(desk, request, &attributes), link));
            }
            Some((reference, _)) if sim.desk(desk).answer(reference).is_some() => {
                unanswered.borrow_mut().remove(request);
                return true;
            }
            Some((reference, over)) if link.is_some() && over != link => {
                sim.ask_as(desk, reference, request, &attributes);
                asked = Some((reference, link));
            }
            _ => {}
        }
        false
    })
}

fn play(
    sim: &mut Sim,
    name: &'static str,
    steps: Rc<RefCell<std::collections::VecDeque<Step>>>,
    scripts: Rc<RefCell<BTreeSet<&'static str>>>,
) {
    loop {
        let Some(mut step) = steps.borrow_mut().pop_front() else {
            scripts.borrow_mut().remove(name);
            return;
        };
        if !step(sim) {
            steps.borrow_mut().push_front(step);
            break;
        }
    }
    sim.at(ms(5), move |sim| play(sim, name, steps, scripts));
}
