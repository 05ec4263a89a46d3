//! What a member does with single messages, as no simulation would happen to send them.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use raft::eraftpb::{Message, MessageType};

use super::Member;
use crate::frame::{Frame, Kind as FrameKind};
use crate::io::{Input, Note, Output};
use crate::message;
use crate::roster::{Kind, MemberId, MemberInfo, Roster, Seat, Votes};
use crate::settings::Settings;
use crate::stored::{Base, HardState, Identity, LogEntry, Persisted, Snapshot};

struct Desk {
    member: Member,
    now: Instant,
}

impl Desk {
    /// Member 2 of three, with entries 2 and 3 of term 5, long after its start.
    fn new() -> Self {
        Self::with(HardState { term: 5, vote: 1, commit: 3 }, vec![entry(2, 5), entry(3, 5)])
    }

    fn with(hard: HardState, entries: Vec<LogEntry>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant will do to count from")]
        let now = Instant::now();
        let kinds = [Kind::Server, Kind::Server, Kind::Witness].into_iter().zip(1..);
        let roster = Roster::new(kinds.map(|(kind, id)| {
            let address = format!("10.0.0.{id}");
            MemberInfo { id: MemberId(id), kind, seat: Seat::Voter, address }
        }));
        let votes = Votes { voters: vec![1, 2, 3], ..Votes::default() };
        let base = Base { index: 1, term: 1, votes, roster };
        let identity =
            Identity { group: 7, generation: 0, id: MemberId(2), superseded: None, takeover: None };
        let snapshot = Snapshot { base, data: Bytes::new() };
        let persisted = Persisted { identity, hard, snapshot, entries, fresh: false };
        let settings = Settings::new(Kind::Server, 1, 1);
        let mut desk = Self { member: Member::start(settings, persisted, now).unwrap(), now };
        desk.drain();
        desk.now += desk.member.settings.timing.quiet();
        desk
    }

    fn drain(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(output) = self.member.poll_output() {
            if let Output::Write(write) = &output {
                self.member.handle_input(Input::Stored { token: write.token }, self.now);
            }
            outputs.push(output);
        }
        outputs
    }

    /// A message comes; what is answered to its sender?
    fn tell(
        &mut self,
        from: u64,
        kind: MessageType,
        term: u64,
        set: impl FnOnce(&mut Message),
    ) -> Vec<Message> {
        self.tell_all(from, kind, term, set).0
    }

    fn tell_all(
        &mut self,
        from: u64,
        kind: MessageType,
        term: u64,
        set: impl FnOnce(&mut Message),
    ) -> (Vec<Message>, Vec<Output>) {
        self.now += Duration::from_millis(1);
        let mut message = Message { from, to: 2, term, ..Message::default() };
        message.set_msg_type(kind);
        set(&mut message);
        let mut payload = BytesMut::new();
        message::encode(&message, None, &mut payload).unwrap();
        let (from, to) = (MemberId(from), MemberId(2));
        let payload = payload.freeze();
        let frame = Frame { kind: FrameKind::Message, group: 7, generation: 0, boot: 9, from, to, payload };
        self.member.handle_input(Input::Frame { bytes: frame.encode() }, self.now);
        let outputs = self.drain();
        let answers = outputs.iter().filter_map(|output| {
            let Output::Send { frame, .. } = output else { return None };
            let frame = Frame::decode(frame).unwrap();
            message::decode(frame.payload, 2, frame.to.0).map(|(message, _)| message)
        });
        (answers.collect(), outputs)
    }

    /// Some ticks pass.
    fn live(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.now += self.member.settings.timing.tick;
            self.member.handle_timeout(self.now);
            self.drain();
        }
    }

    fn heartbeat(&mut self) {
        let answers = self.tell(1, MessageType::MsgHeartbeat, 5, |_| {});
        assert_eq!(answers.len(), 1, "it follows");
    }

    /// Member 3 asks for its vote in `term`; does it get it?
    fn votes(&mut self, term: u64) -> bool {
        let up_to_date = |message: &mut Message| (message.index, message.log_term) = (9, term - 1);
        let answers = self.tell(3, MessageType::MsgRequestVote, term, up_to_date);
        answers.iter().any(|answer| answer.msg_type == MessageType::MsgRequestVoteResponse && !answer.reject)
    }
}

fn entry(index: u64, term: u64) -> LogEntry {
    LogEntry { index, term, kind: 0, data: Bytes::from_static(b"batch"), context: Bytes::new() }
}

#[test]
fn a_follower_helps_elect_nobody_while_its_leader_is_heard() {
    let mut desk = Desk::new();
    desk.heartbeat();
    assert!(!desk.votes(9));
    desk.live(desk.member.settings.timing.election_ticks);
    assert!(desk.votes(9));
}

#[test]
fn a_late_answer_with_a_higher_term_does_not_have_a_follower_forget_its_leader() {
    for kind in [
        MessageType::MsgHeartbeatResponse,
        MessageType::MsgAppendResponse,
        MessageType::MsgRequestVoteResponse,
        MessageType::MsgRequestPreVoteResponse,
    ] {
        let mut desk = Desk::new();
        desk.heartbeat();
        desk.tell(3, kind, 8, |message| message.reject = true);
        assert!(!desk.votes(9), "{kind:?}");
    }
}

#[test]
fn a_member_that_was_just_started_helps_elect_nobody() {
    let mut desk = Desk::new();
    desk.now -= desk.member.settings.timing.quiet() - Duration::from_millis(2);
    assert!(!desk.votes(9));
    desk.now += desk.member.settings.timing.quiet();
    assert!(desk.votes(9));
}

#[test]
fn whoever_knows_the_leader_of_a_term_votes_for_nobody_else_in_it() {
    // It has lost the memory of its vote with its disk, and was filled again by the leader of term 6.
    let mut desk = Desk::new();
    desk.tell(1, MessageType::MsgHeartbeat, 6, |_| {});
    let hard = desk.member.engine.store().hard();
    assert_eq!((hard.term, hard.vote), (6, 1));
    let mut again = Desk::with(hard, vec![entry(2, 5), entry(3, 5)]);
    assert!(!again.votes(6));
    assert!(again.votes(7));
}

#[test]
fn a_heartbeat_that_believes_in_more_than_there_is_is_passed_over() {
    let mut desk = Desk::new();
    let (answers, outputs) = desk.tell_all(1, MessageType::MsgHeartbeat, 5, |message| message.commit = 50);
    assert!(answers.is_empty());
    assert!(outputs.contains(&Output::Note(Note::LogTooShort { last: 3, believed: 50 })), "{outputs:?}");
}

#[test]
fn entries_that_contradict_what_was_agreed_on_stop_the_member_and_not_the_process() {
    let mut desk = Desk::new();
    let other = |message: &mut Message| {
        (message.index, message.log_term) = (2, 4);
        message.entries.push(message::entry_to(&entry(3, 6)));
        message.commit = 3;
    };
    // Behind the last agreed place it is a past that is repeated; at it, a contradiction.
    let answers = desk.tell(1, MessageType::MsgAppend, 6, other);
    assert_eq!(answers.len(), 1, "{answers:?}");
    let beyond = |message: &mut Message| (message.index, message.log_term) = (3, 4);
    desk.tell(1, MessageType::MsgAppend, 6, beyond);
    let stopped = desk.member.status(desk.now).stopped;
    assert_eq!(stopped, Some(crate::io::Stopped::Diverged { index: 3 }));
    assert!(desk.member.readiness(desk.now).unwrap_err().to_string().contains("rejoin"));
    desk.member.rejoin(desk.now).unwrap();
    let outputs = desk.drain();
    assert!(outputs.contains(&Output::Install(Snapshot::default())), "{outputs:?}");
}

#[test]
fn what_a_later_release_adds_behind_a_message_is_passed_over() {
    let mut message = Message { from: 1, to: 2, term: 5, ..Message::default() };
    message.set_msg_type(MessageType::MsgHeartbeat);
    let mut payload = BytesMut::new();
    message::encode(&message, None, &mut payload).unwrap();
    payload.extend_from_slice(b"more");
    let (read, base) = message::decode(payload.freeze(), 1, 2).unwrap();
    assert_eq!((read, base), (message, None));
}

#[test]
fn much_that_was_proposed_at_once_travels_in_messages_that_are_not_too_long() {
    let mut message =
        Message { from: 1, to: 2, term: 5, index: 3, log_term: 4, commit: 3, ..Message::default() };
    message.set_msg_type(MessageType::MsgAppend);
    for index in 4..=40 {
        let data = vec![0; if index == 20 { 1_000_000 } else { 50_000 }].into();
        message.entries.push(message::entry_to(&LogEntry { data, ..entry(index, 5) }));
    }
    let parts = message::parts(&message, 256 << 10);
    assert!(parts.len() > 5);
    let mut before = (3, 4);
    for part in &parts {
        assert_eq!((part.index, part.log_term), before);
        let mut payload = BytesMut::new();
        message::encode(part, None, &mut payload).unwrap();
        assert!(payload.len() < crate::limits::MAX_FRAME / 2);
        let (read, _) = message::decode(payload.freeze(), 1, 2).unwrap();
        before = read.entries.last().map(|entry| (entry.index, entry.term)).unwrap();
    }
    assert_eq!(before, (40, 5));
}

#[test]
fn a_word_to_lead_means_nothing_to_a_member_without_a_log() {
    let mut desk = Desk::new();
    let answers = desk.tell(1, MessageType::MsgTimeoutNow, 5, |_| {});
    assert!(answers.iter().any(|answer| answer.msg_type == MessageType::MsgRequestVote), "it stands at once");
}

#[test]
fn a_paused_follower_counts_one_late_tick_and_that_before_what_it_then_hears() {
    let mut desk = Desk::new();
    desk.heartbeat();
    desk.now += Duration::from_secs(5);
    desk.heartbeat();
    assert!(!desk.votes(9), "what it did not live through was not its leader's silence");
    desk.live(desk.member.settings.timing.election_ticks - 2);
    assert!(!desk.votes(9), "its word is good for the whole of its length");
}

#[test]
fn a_leader_that_has_lost_its_vote_has_no_lease() {
    let mut desk = Desk::new();
    desk.member.engine.raft.become_candidate();
    desk.member.engine.raft.become_leader();
    desk.member.no_longer_sole();
    assert!(desk.member.lease_if_leader().holds_at(desk.member.now));
    desk.member.votes = Votes { voters: vec![1], learners: vec![2], ..Votes::default() };
    assert_eq!(
        desk.member.lease_if_leader(),
        crate::io::Lease::None,
        "member 1 votes alone, and asks nobody"
    );
}
