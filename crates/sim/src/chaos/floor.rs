//! Agents, their desktops and queue calls among the chaos: whatever a client may ask, at any time, sensible or not.

use std::time::Duration;

use tandem_cti::Role;
use tandem_switch::directory::floor::{AgentOptions, NoAnswerAction, NoAnswerOverflow, WrapUp};

use super::{Chaos, refusal};
use crate::desktop::DeskId;
use crate::dice::Dice;
use crate::office;
use crate::sites::{A, B, Setup, SiteId};
use crate::time::{ms, secs};
use crate::ua::{OnCall, Registers};

/// Desktops of agents; the nth works at DN 1000 + n under the login `an`.
const DESKS: usize = 6;

/// A random floor.
pub(super) fn setup(dice: &mut Dice, mut setup: Setup) -> Setup {
    let mut floor = office::floor(options(dice));
    floor.logout_on_disconnect_grace = if dice.chance(300) { secs(dice.below(12)) } else { Duration::ZERO };
    for queue in &mut floor.queues {
        queue.max_length = if dice.chance(200) { 2 } else { 0 };
        // A caller who vanished without a CANCEL waits until then.
        queue.max_wait = secs(if dice.chance(300) { 3 + dice.below(30) } else { 60 });
        queue.overflow_without_agents = dice.chance(150);
        // Nor may overflow lead in a circle: calls may go round for ever where each place lets them wait.
        let over: &[&str] =
            if *queue.number == *"7000" { &["7001", "4711", "95550100"] } else { &["4711", "95550100"] };
        let to = dice.pick(over).map(|to| (*to).into());
        queue.overflow = to.filter(|_| dice.chance(500));
    }
    setup.floor = Some(floor);
    setup.overheard = !dice.chance(150);
    setup
}

fn options(dice: &mut Dice) -> AgentOptions {
    let wraps = [None, Some(WrapUp::Timed(secs(4))), Some(WrapUp::Timed(secs(20))), Some(WrapUp::Untimed)];
    let actions = [NoAnswerAction::None, NoAnswerAction::NotReady, NoAnswerAction::Logout];
    let overflows = [
        Vec::new(),
        vec![NoAnswerOverflow::Recall],
        vec![NoAnswerOverflow::Release],
        vec![NoAnswerOverflow::To("95550100".into()), NoAnswerOverflow::Release],
        vec![NoAnswerOverflow::To("7001".into())],
    ];
    AgentOptions {
        wrap_up_time: dice.pick(&wraps).copied().flatten(),
        legal_guard_time: dice.chance(200).then(|| secs(3)),
        logout_on_out_of_service: Some(dice.chance(300)),
        logout_on_disconnect: Some(dice.chance(600)),
        agent_emu_login_on_call: Some(dice.chance(200)),
        agent_no_answer_timeout: Some(secs(dice.below(10))),
        agent_no_answer_action: dice.pick(&actions).copied(),
        agent_no_answer_overflow: dice.pick(&overflows).cloned(),
        inbound_bsns_calls: Some(dice.chance(300)),
        internal_bsns_calls: Some(dice.chance(200)),
        ..AgentOptions::default()
    }
}

fn dn(desk: usize) -> String {
    format!("{}", 1001 + desk)
}

impl Chaos {
    pub(super) fn add_desktops(&mut self) {
        if self.sim.setup.floor.is_none() {
            return;
        }
        let takes_part = self.enters();
        let mixer = self.sim.phone("mixer").registers_at(A).with(|p| {
            p.addr = office::MIXER.into();
            p.registers = Registers::Never;
            p.on_call = OnCall::Answer { after: ms(10) };
        });
        let mixer = mixer.switched_off();
        let mixer = self.place(mixer, takes_part);
        self.phones.push(mixer);
        let persons = (1..=DESKS).map(|n| (format!("pa{n}"), Role::Agent));
        let others = [("sue".to_owned(), Role::Supervisor), ("ray".to_owned(), Role::RoutingApplication)];
        for (person, role) in persons.chain(others) {
            let takes_part = self.enters();
            let site = self.any_site();
            let after = self.dice.between(ms(200), secs(6));
            let desk = self.sim.desktop_switched_off(&person, role, site);
            self.desks.push(desk);
            if takes_part {
                self.sim.change_desk(desk, |desk| desk.reconnects = Some(after));
                self.sim.connect(desk);
                let place = self.desks.len() - 1;
                if place < DESKS {
                    self.register(place);
                    self.login(place);
                }
            }
        }
        self.register_queues();
    }

    fn any_site(&mut self) -> SiteId {
        if self.dice.chance(500) { A } else { B }
    }

    fn desk(&self, place: usize) -> DeskId {
        self.desks.get(place).copied().unwrap_or(DeskId(usize::MAX))
    }

    fn any_desk(&mut self) -> usize {
        usize::try_from(self.dice.below(DESKS as u64)).unwrap_or(0)
    }

    /// His own DN most of the time, or somebody else's.
    fn any_dn(&mut self, place: usize) -> String {
        if self.dice.chance(100) { dn(self.any_desk()) } else { dn(place) }
    }

    fn register(&mut self, place: usize) {
        let (desk, dn) = (self.desk(place), self.any_dn(place));
        self.sim.ask(desk, "TRegisterAddress", &[("ThisDN", &dn)]);
    }

    fn register_queues(&mut self) {
        for (place, dns) in [(DESKS, ["7000", "7001"]), (DESKS + 1, ["7900", "7000"])] {
            for dn in dns {
                let desk = self.desk(place);
                self.sim.ask(desk, "TRegisterAddress", &[("ThisDN", dn)]);
            }
        }
    }

    fn login(&mut self, place: usize) {
        let mode = if self.dice.chance(600) { "AutoIn" } else { "ManualIn" };
        let (desk, seat, agent) = (self.desk(place), self.any_dn(place), format!("a{}", place + 1));
        if seat != dn(place) {
            // He sits down elsewhere, and may be logged in at his own place still.
            self.sim.ask(desk, "TRegisterAddress", &[("ThisDN", &seat)]);
        }
        let dn = seat;
        self.sim.ask(desk, "TAgentLogin", &[("ThisDN", &dn), ("AgentID", &agent), ("WorkMode", mode)]);
    }

    pub(super) fn act_at_desks(&mut self) {
        let place = self.any_desk();
        // Who does not take part has no connection, and looks for none.
        if self.sim.desk(self.desk(place)).reconnects.is_none() {
            return;
        }
        match self.dice.below(100) {
            0..8 => self.register(place),
            8..20 => self.login(place),
            20..24 => self.ask_dn(place, "TAgentLogout", &[]),
            24..40 => self.ask_dn(place, "TAgentSetReady", &[]),
            40..46 => {
                let modes = ["AuxWork", "AfterCallWork", "WalkAway", "ManualIn", "LegalGuard"];
                let mode = self.dice.pick(&modes).copied().unwrap_or("AuxWork");
                self.ask_dn(place, "TAgentSetNotReady", &[("WorkMode", mode)]);
            }
            46..52 => {
                let to = self.any_number();
                self.ask_dn(place, "TMakeCall", &[("OtherDN", to)]);
            }
            52..84 => self.control(place),
            84..87 => self.route(),
            87..89 => {
                let (sue, dn) = (self.desk(DESKS), dn(place));
                self.sim.ask(sue, "TAgentLogout", &[("ThisDN", &dn)]);
            }
            89..91 => self.register_queues(),
            91..95 => {
                let (desk, how) = (self.desk(place), refusal(&mut self.dice));
                self.sim.break_link(desk, how);
            }
            95..98 => self.move_desk(place),
            _ => self.ask_dn(place, "TUnregisterAddress", &[]),
        }
    }

    /// A desktop asks the same for ever; a desktop whose program has lost its way asks nonsense.
    pub(super) fn storm_at_desk(&mut self, times: u64) {
        let place = self.any_desk();
        if self.desks.is_empty() || self.sim.desk(self.desk(place)).reconnects.is_none() {
            return;
        }
        let asks = ["TAgentSetReady", "TQueryAddress", "TRegisterAddress", "TReleaseCall", "TNothing"];
        let request = self.dice.pick(&asks).copied().unwrap_or("TNothing");
        (0..times).for_each(|_| self.ask_dn(place, request, &[]));
    }

    fn move_desk(&mut self, place: usize) {
        let (desk, site, after) = (self.desk(place), self.any_site(), self.dice.between(ms(100), secs(8)));
        self.sim.crash_desktop(desk);
        self.sim.change_desk(desk, |desk| desk.site = site);
        self.sim.at(after, move |sim| sim.connect(desk));
    }

    fn ask_dn(&mut self, place: usize, request: &str, more: &[(&str, &str)]) {
        let (desk, dn) = (self.desk(place), self.any_dn(place));
        let mut asks = vec![("ThisDN", dn.as_str())];
        asks.extend(more);
        let reference = self.sim.ask(desk, request, &asks);
        if self.dice.chance(60) {
            self.sim.ask_as(desk, reference, request, &asks);
        }
    }

    fn any_number(&mut self) -> &'static str {
        let numbers =
            ["1001", "1002", "1003", "1004", "1005", "1006", "7000", "7001", "7900", "95550100", "4711"];
        self.dice.pick(&numbers).copied().unwrap_or("1001")
    }

    /// Something that has to do with the calls that a desktop knows.
    fn control(&mut self, place: usize) {
        let calls: Vec<String> = self.sim.desk(self.desk(place)).calls.iter().cloned().collect();
        let Some(conn) = self.dice.pick(&calls).cloned() else { return };
        let other = self.dice.pick(&calls).cloned().unwrap_or_default();
        let to = self.any_number();
        let (conn, to) = (("ConnID", conn.as_str()), ("OtherDN", to));
        match self.dice.below(20) {
            0..7 => self.ask_dn(place, "TAnswerCall", &[conn]),
            7 => self.ask_dn(place, "THoldCall", &[conn]),
            8 => self.ask_dn(place, "TRetrieveCall", &[conn]),
            9 => self.ask_dn(place, "TReleaseCall", &[conn]),
            10 => self.ask_dn(place, "TInitiateTransfer", &[conn, to]),
            11 => self.ask_dn(place, "TCompleteTransfer", &[conn, ("ConsultConnID", &other)]),
            12 => self.ask_dn(place, "TMuteTransfer", &[conn, to]),
            13 => self.ask_dn(place, "TSingleStepTransfer", &[conn, to]),
            14 => self.ask_dn(place, "TCompleteConference", &[conn, ("ConsultConnID", &other)]),
            15 => self.ask_dn(place, "TAlternateCall", &[conn, ("HeldConnID", &other)]),
            16 => self.ask_dn(place, "TReconnectCall", &[conn, ("HeldConnID", &other)]),
            17 => self.ask_dn(place, "TRedirectCall", &[conn, to]),
            18 => self.ask_dn(place, "TAttachUserData", &[conn, ("UserData", r#"{"k":"v"}"#)]),
            _ => self.ask_dn(place, "TClearCall", &[conn]),
        }
    }

    fn route(&mut self) {
        let ray = self.desk(DESKS + 1);
        let calls: Vec<String> = self.sim.desk(ray).calls.iter().cloned().collect();
        let (Some(conn), to) = (self.dice.pick(&calls).cloned(), self.any_number()) else { return };
        self.sim.ask(ray, "TRouteCall", &[("ThisDN", "7900"), ("ConnID", &conn), ("OtherDN", to)]);
    }
}
