//! A node with phones that answer by themselves and clients that speak JSON. Everything that a client is told is looked at.

use std::sync::Arc;
use std::time::Duration;

use tandem_cti::{Event, EventName, Malformed, Role, Unreadable};
use tandem_switch::FloorCounts;
use tandem_switch::Input;
use tandem_switch::cti::{CtiInput, LinkId, Outgoing};
use tandem_switch::directory::Directory;
use tandem_switch::media::{MediaNews, MediaOrder};

use crate::office::{ANNA, BERT, DORA, FIXED, MIXER, Plans, office};
use crate::phones::{Acts, Phone, Phones};
use crate::support::{Bed, GATEWAY, PEER};

pub struct Hall {
    pub bed: Bed,
    phones: Phones,
    /// What clients were told, in order.
    pub heard: Vec<Outgoing>,
    /// The media server plays what it is asked to; else there is none.
    pub plays: bool,
    next_reference: u32,
    next_call: u32,
}

pub fn at(dn: &str) -> String {
    match dn {
        FIXED => "10.0.0.33:5060".to_owned(),
        "gateway" => GATEWAY.to_owned(),
        "mixer" => MIXER.to_owned(),
        "peer" => PEER.to_owned(),
        dn => format!("10.0.0.1{}:5060", &dn[3..]),
    }
}

impl Hall {
    pub fn open() -> Self {
        Self::with(|_| {})
    }

    /// Phones of 1001, 1002 and 1004 are registered; that of 1003 and the gateway are where they are configured to be.
    pub fn with(change: impl FnOnce(&mut Plans)) -> Self {
        Self::of(office(change))
    }

    pub fn of(directory: Arc<Directory>) -> Self {
        let mut bed = Bed::with(directory);
        for dn in [ANNA, BERT, DORA] {
            bed.register(dn, &at(dn));
        }
        let all = [ANNA, BERT, FIXED, DORA, "gateway", "mixer", "peer"].map(at);
        let phones = all.into_iter().map(|at| (at.clone(), Phone::new(&at))).collect();
        let mut hall =
            Self { bed, phones, heard: Vec::new(), plays: false, next_reference: 100, next_call: 0 };
        hall.bed.told.clear();
        hall
    }

    pub fn phone(&mut self, dn: &str) -> &mut Phone {
        self.phones.get_mut(&at(dn)).unwrap()
    }

    pub fn acts(&mut self, dn: &str, acts: Acts) {
        self.phone(dn).acts = acts;
    }

    /// Lets phones answer until nobody sends anything.
    pub fn run(&mut self) {
        for _ in 0..10_000 {
            self.listen();
            for order in std::mem::take(&mut self.bed.media) {
                let news = match order {
                    MediaOrder::Play { id, turn, offer, .. } if self.plays => {
                        Some(MediaNews::Playing { id, turn, sdp: offer })
                    }
                    order
                    @ (MediaOrder::Play { .. } | MediaOrder::Quiet { .. } | MediaOrder::Stop { .. }) => {
                        order.failed("there is none")
                    }
                };
                if let Some(news) = news {
                    self.bed.node.handle_input(Input::Media(news), self.bed.now);
                    self.bed.drain();
                }
            }
            if self.bed.sent.is_empty() && self.bed.told.is_empty() {
                return;
            }
            for (remote, message) in std::mem::take(&mut self.bed.sent) {
                let Some(phone) = self.phones.get_mut(&remote.to_string()) else { continue };
                for text in phone.hears(&message) {
                    self.bed.receive(&remote.to_string(), &text);
                }
            }
        }
        panic!("phones and server never come to rest");
    }

    #[track_caller]
    fn listen(&mut self) {
        for told in std::mem::take(&mut self.bed.told) {
            let faults = told.event.faults();
            assert!(faults.is_empty(), "{faults:?} in {:?}", told.event);
            self.heard.push(told);
        }
    }

    /// Lets time pass, each timer at its own moment.
    pub fn pass(&mut self, seconds: u64) {
        let end = self.bed.now.plus(Duration::from_secs(seconds));
        self.run();
        let mut turns = 0;
        while let Some((due, _)) = self.bed.node.poll_timeout().filter(|(due, _)| *due <= end.mono) {
            turns += 1;
            assert!(turns < 200_000, "timers never come to rest: {:?}", self.bed.node.poll_timeout());
            self.bed.now = self.bed.now.plus(due.saturating_duration_since(self.bed.now.mono));
            self.bed.node.handle_timeout(self.bed.now);
            self.bed.drain();
            self.run();
        }
        self.bed.now = end;
    }

    pub fn cti(&mut self, input: CtiInput) {
        self.bed.node.handle_input(Input::Cti(input), self.bed.now);
        self.bed.drain();
        self.run();
    }

    /// A person connects.
    pub fn joins(&mut self, link: u64, person: &str, role: Role) {
        self.cti(CtiInput::Open {
            link: LinkId(link),
            person: person.into(),
            role,
            application: "test".into(),
            resume: None,
            reference_id: None,
        });
    }

    /// The token of a link's session.
    #[track_caller]
    pub fn session(&self, link: u64) -> String {
        let opened = |told: &&Outgoing| told.link == LinkId(link) && told.event.session.is_some();
        self.heard.iter().find(opened).and_then(|told| told.event.session.clone()).unwrap()
    }

    /// A person connects and registers DNs.
    #[track_caller]
    pub fn joins_at(&mut self, link: u64, person: &str, role: Role, dns: &[&str]) {
        self.joins(link, person, role);
        for dn in dns {
            self.does(link, &format!(r#""request":"TRegisterAddress","ThisDN":"{dn}""#));
        }
    }

    pub fn leaves(&mut self, link: u64) {
        self.cti(CtiInput::Closed { link: LinkId(link) });
    }

    /// Sends a request, without its braces and `ReferenceID`, which is answered; lets phones answer.
    #[track_caller]
    pub fn asks(&mut self, link: u64, request: &str) -> u32 {
        self.next_reference += 1;
        let reference = self.next_reference;
        let text = format!(r#"{{"ReferenceID":{reference},{request}}}"#);
        let link = LinkId(link);
        self.cti(match tandem_cti::decode(&text) {
            Ok(request) => CtiInput::Request { link, request: Box::new(request) },
            Err(Unreadable::Malformed(Malformed { reference_id, refusal })) => {
                CtiInput::Malformed { link, reference_id, refusal }
            }
            Err(unreadable) => panic!("{text}: {unreadable:?}"),
        });
        reference
    }

    /// Answers to a request so far.
    pub fn answers(&self, link: u64, reference: u32) -> Vec<Arc<Event>> {
        let mine = |told: &&Outgoing| told.link == LinkId(link) && told.reference_id == Some(reference);
        self.heard.iter().filter(mine).map(|told| Arc::clone(&told.event)).collect()
    }

    /// Sends a request that is carried out: the event that says so.
    #[track_caller]
    pub fn does(&mut self, link: u64, request: &str) -> Arc<Event> {
        let event = self.answer(link, request);
        assert_ne!(event.event, EventName::Error, "{request}: {event:?}");
        event
    }

    /// Sends a request that is refused: the number.
    #[track_caller]
    pub fn refused(&mut self, link: u64, request: &str) -> u16 {
        let event = self.answer(link, request);
        assert_eq!(event.event, EventName::Error, "{request}: {event:?}");
        event.error_code.unwrap()
    }

    /// Sends a request: its one answer, which comes when phones have answered.
    #[track_caller]
    pub fn answer(&mut self, link: u64, request: &str) -> Arc<Event> {
        let reference = self.asks(link, request);
        if self.answers(link, reference).is_empty() {
            self.pass(70);
        }
        let answers = self.answers(link, reference);
        assert_eq!(answers.len(), 1, "answers to {request}: {answers:?}");
        Arc::clone(&answers[0])
    }

    /// A phone calls a number.
    pub fn dials(&mut self, from: &str, to: &str) -> String {
        self.next_call += 1;
        let id = format!("call{}", self.next_call);
        let number = if from == "gateway" { crate::office::OUTSIDE } else { from };
        let invite = self.phone(from).dials(number, to, &id);
        self.bed.receive(&at(from), &invite);
        self.run();
        id
    }

    /// A phone takes the call that rings at another one (INVITE with `Replaces`).
    #[track_caller]
    pub fn takes(&mut self, dn: &str, from: &str) {
        self.next_call += 1;
        let replaces = self.phone(from).ringing_dialog().expect("it rings there");
        let id = format!("call{}", self.next_call);
        let invite = self.phone(dn).dials(dn, from, &id);
        self.bed.receive(&at(dn), &crate::support::with(&invite, &replaces));
        self.run();
    }

    /// A phone answers what rings.
    pub fn picks_up(&mut self, dn: &str) {
        if let Some(ok) = self.phone(dn).answers_one(None) {
            self.bed.receive(&at(dn), &ok);
        }
        self.run();
    }

    /// A phone transfers its oldest call: to a number, or to the party of its next call. Whether it could.
    pub fn refers(&mut self, dn: &str, to: Option<&str>) -> bool {
        let Some(refer) = self.phone(dn).refers(to) else { return false };
        self.bed.receive(&at(dn), &refer);
        self.run();
        true
    }

    /// A phone ends all its calls.
    pub fn hangs_up(&mut self, dn: &str) {
        for text in self.phone(dn).hangs_up() {
            self.bed.receive(&at(dn), &text);
        }
        self.run();
    }

    /// Events of a DN that a link was told, by name.
    pub fn told(&self, link: u64, dn: &str) -> Vec<EventName> {
        self.events(link, dn).iter().map(|event| event.event).collect()
    }

    pub fn events(&self, link: u64, dn: &str) -> Vec<Arc<Event>> {
        let at = |told: &&Outgoing| told.link == LinkId(link) && told.event.this_dn.as_deref() == Some(dn);
        self.heard.iter().filter(at).map(|told| Arc::clone(&told.event)).collect()
    }

    /// The latest event of this name.
    #[track_caller]
    pub fn last(&self, name: EventName) -> Arc<Event> {
        let found = self.heard.iter().rev().find(|told| told.event.event == name);
        Arc::clone(&found.unwrap_or_else(|| panic!("{} was told", name.as_str())).event)
    }

    /// The ConnID of the latest event that has one.
    #[track_caller]
    pub fn conn(&self) -> String {
        let conn = self.heard.iter().rev().find_map(|told| told.event.conn_id.clone());
        conn.expect("an event of a call")
    }

    /// A new configuration.
    pub fn reloads(&mut self, directory: Arc<Directory>) {
        self.bed.node.handle_input(Input::Directory(directory), self.bed.now);
        self.bed.drain();
        self.run();
    }

    /// Everybody hangs up, also what begins to ring only now, and nothing is left.
    #[track_caller]
    pub fn closes(&mut self) {
        let phones = [ANNA, BERT, FIXED, DORA, "gateway", "mixer"];
        for dn in phones {
            self.acts(dn, Acts::Answers);
        }
        for _ in 0..4 {
            for dn in phones {
                self.hangs_up(dn);
            }
            self.pass(75);
        }
        self.is_empty();
    }

    #[track_caller]
    pub fn is_empty(&mut self) {
        assert_eq!(self.bed.node.floor_counts(), FloorCounts::default());
        let calls = self.bed.node.call_list(self.bed.now);
        assert!(calls.is_empty(), "{calls:?}");
        assert_eq!(self.bed.node.dialogs(), 0, "tags");
        assert_eq!(self.bed.cdrs.len() as u64, self.bed.node.counters().calls, "records");
    }
}
