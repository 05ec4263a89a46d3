//! Sessions under test: clients by their links, and what each hears.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_cti::{ControlMode, Event, EventName, Refusal, RegisterMode, Resumed, Role};
use tandem_peer::{ChangeLog, ReplicaSet};
use tandem_switch::Now;
use tandem_switch::cti::sessions::{Admitted, Gone, Opened, Opening, Sessions};
use tandem_switch::cti::{LinkId, Outgoing, SessionId};

pub struct Desk {
    pub sessions: Sessions,
    pub log: ChangeLog,
    pub now: Now,
    tokens: u128,
    /// What the store holds.
    pub stored: ReplicaSet,
}

/// Who connects.
#[derive(Clone, Copy)]
pub struct Client {
    pub link: u64,
    pub person: &'static str,
    pub role: Role,
}

pub const ALICE: Client = Client { link: 1, person: "alice", role: Role::Agent };
pub const BOB: Client = Client { link: 2, person: "bob", role: Role::Agent };
pub const CAROL: Client = Client { link: 3, person: "carol", role: Role::Supervisor };

impl Client {
    pub fn over(self, link: u64) -> Self {
        Self { link, ..self }
    }
}

pub fn dn(number: &str) -> Arc<str> {
    number.into()
}

pub fn ringing(number: &str) -> Event {
    Event { this_dn: Some(number.to_owned()), ..Event::new(EventName::Ringing) }
}

impl Desk {
    pub fn new() -> Self {
        let now = Now { mono: Instant::now(), unix_ms: 1_700_000_000_000 };
        let (sessions, log) = (Sessions::default(), ChangeLog::new(1, 1));
        Self { sessions, log, now, tokens: 0xabc, stored: ReplicaSet::new() }
    }

    pub fn pass(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        self.sessions.handle_timeout(&mut self.log, self.now);
    }

    pub fn pass_s(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    pub fn opened(&mut self, client: Client, resume: Option<(&str, u64)>) -> Opened {
        self.tokens += 1;
        let opening = Opening {
            link: LinkId(client.link),
            person: dn(client.person),
            role: client.role,
            application: "test",
            resume,
            reference_id: Some(1),
            server: "site-a",
            token: self.tokens,
        };
        self.sessions.open(&mut self.log, self.now, &opening)
    }

    /// Opens a session and gives its number and token.
    pub fn open(&mut self, client: Client) -> (SessionId, String) {
        assert_eq!(self.opened(client, None), Opened::New);
        let welcome = self.heard(client.link);
        let [welcome] = welcome.as_slice() else { panic!("{welcome:?}") };
        assert_eq!(welcome.event.resumed, Some(Resumed::New));
        let session = self.sessions.who(LinkId(client.link)).unwrap().session;
        (session, welcome.event.session.clone().unwrap())
    }

    /// Opens a session that has registered one DN to share.
    pub fn desk_at(&mut self, client: Client, number: &str) -> (SessionId, String) {
        let (session, token) = self.open(client);
        self.register(session, number, RegisterMode::Share).unwrap();
        (session, token)
    }

    pub fn register(&mut self, session: SessionId, number: &str, mode: RegisterMode) -> Result<(), Refusal> {
        self.register_by(session, number, mode, ControlMode::Default)
    }

    pub fn force(&mut self, session: SessionId, number: &str, mode: RegisterMode) -> Result<(), Refusal> {
        self.register_by(session, number, mode, ControlMode::Force)
    }

    fn register_by(
        &mut self,
        session: SessionId,
        number: &str,
        mode: RegisterMode,
        control: ControlMode,
    ) -> Result<(), Refusal> {
        self.sessions.register(&mut self.log, self.now, session, &dn(number), mode, control)
    }

    pub fn tell(&mut self, number: &str) {
        self.tell_asked(number, None);
    }

    pub fn tell_asked(&mut self, number: &str, asked: Option<(SessionId, Option<u32>)>) {
        self.sessions.tell(&mut self.log, self.now, number, ringing(number), asked);
    }

    pub fn answer(&mut self, session: SessionId, reference: u32, event: Event) {
        self.sessions.answer(&mut self.log, self.now, session, Some(reference), event);
    }

    pub fn admit(&mut self, session: SessionId, reference: u32) -> Admitted {
        self.sessions.admit(session, Some(reference))
    }

    pub fn close(&mut self, client: Client) {
        self.sessions.closed(self.now, LinkId(client.link));
    }

    /// Everything that leaves; nothing may go anywhere but over this link.
    pub fn heard(&mut self, link: u64) -> Vec<Outgoing> {
        let all = self.outgoing();
        assert!(all.iter().all(|outgoing| outgoing.link == LinkId(link)), "{all:?}");
        all
    }

    pub fn outgoing(&mut self) -> Vec<Outgoing> {
        std::iter::from_fn(|| self.sessions.poll_outgoing()).collect()
    }

    /// Links and numbers of what leaves.
    pub fn numbers(&mut self) -> Vec<(u64, u64)> {
        self.outgoing().iter().map(|outgoing| (outgoing.link.0, outgoing.sequence)).collect()
    }

    pub fn gone(&mut self) -> Vec<Gone> {
        std::iter::from_fn(|| self.sessions.poll_gone()).collect()
    }

    pub fn closing(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.sessions.poll_close()).map(|link| link.0).collect()
    }

    /// Stores what was logged.
    pub fn commit(&mut self) -> usize {
        let mut bytes = 0;
        while let Some(batch) = self.log.take_batch() {
            bytes += batch.bytes().len();
            for change in batch.changes() {
                self.stored.apply(&change);
            }
        }
        bytes
    }

    /// Another server takes over with what was stored.
    pub fn fail_over(&mut self) {
        self.commit();
        self.sessions = Sessions::default();
        self.log.begin_epoch(self.log.epoch() + 1);
        for change in self.stored.changes().collect::<Vec<_>>() {
            assert!(self.sessions.restore(&mut self.log, self.now, &change));
        }
    }
}
