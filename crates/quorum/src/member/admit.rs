//! Which frames a member takes in, and which messages the engine may see.
//!
//! Some break a lease, and are not for a follower to see:
//!
//! * An answer with a higher term makes the engine forget whom it follows, and with it what it has promised. Only who asks
//!   (a leader, a candidate) is answered; an answer to anybody else is a late one.
//! * A member that was started again has forgotten whom it acknowledged. It helps elect nobody until that cannot matter.
//! * A member with an empty log may be one that lost its disk. It helps elect nobody until a leader has filled it.
//!
//! Some break the engine, which takes for granted that no disk loses what it confirmed:
//!
//! * A heartbeat that tells of more entries than there are. The leader learns from the frame's boot number that the member
//!   was started again, and asks anew what it has.
//! * Entries that contradict what was agreed on.

use bytes::Bytes;
use raft::eraftpb::{Message, MessageType};
use raft::{CAMPAIGN_TRANSFER, StateRole};

use super::{Heard, Member};
use crate::frame::{BadFrame, Frame, Kind};
use crate::io::{Note, Output, StandDown, Stopped, Write};
use crate::limits::MAX_APPEND;
use crate::message;
use crate::roster::{self, MemberId};
use crate::stored::Record;

/// What to do with a message.
enum Verdict {
    Admit,
    Drop,
    /// The log contradicts the leader's here.
    Diverged(u64),
}

/// A leader speaks to those who belong to its group, and to nobody else.
fn is_from_a_leader(frame: &Frame) -> bool {
    let kind = || {
        message::decode(frame.payload.clone(), frame.from.0, frame.to.0).map(|(message, _)| message.msg_type)
    };
    match frame.kind {
        Kind::Chunk => true,
        Kind::Message => matches!(kind(), Some(MessageType::MsgAppend | MessageType::MsgHeartbeat)),
        Kind::ChunkGot | Kind::Superseded | Kind::Dismissed | Kind::Relinquished => false,
    }
}

impl Member {
    pub(super) fn frame_came(&mut self, bytes: &Bytes) {
        match Frame::decode(bytes) {
            Err(bad) => self.note(Note::BadFrame(bad)),
            Ok(frame) if frame.to != self.identity.id || frame.from == self.identity.id => {}
            Ok(frame) if self.identity.group == 0 && frame.group != 0 => {
                self.join(&frame);
                self.admit_frame(frame);
            }
            Ok(frame) if frame.group != self.identity.group => {
                self.note(Note::OtherGroup { from: frame.from });
            }
            Ok(frame) => self.admit_frame(frame),
        }
    }

    /// The first member that speaks to one that knows nothing takes it into its group.
    fn join(&mut self, frame: &Frame) {
        self.identity.group = frame.group;
        self.identity.generation = frame.generation;
        let records = vec![Record::Identity(self.identity.clone())];
        self.write_own(Write { records, ..Write::default() }, None);
    }

    fn admit_frame(&mut self, frame: Frame) {
        if frame.generation != self.identity.generation {
            self.other_generation(&frame);
            return;
        }
        if self.stopped == Some(Stopped::Dismissed) && is_from_a_leader(&frame) {
            // It was taken in again. What it has is as good as it was.
            self.stopped = None;
        }
        if self.stopped.is_some() {
            return;
        }
        self.heard(&frame);
        match frame.kind {
            Kind::Message => self.message_came(frame),
            Kind::Chunk => self.chunk_came(&frame),
            Kind::ChunkGot => self.chunk_got(&frame),
            Kind::Dismissed => self.stop(Stopped::Dismissed, StandDown::Dismissed),
            Kind::Relinquished => self.relinquished(&frame),
            // Of the same generation it means nothing.
            Kind::Superseded => {}
        }
    }

    fn heard(&mut self, frame: &Frame) {
        let heard = Heard { boot: frame.boot, at: self.now };
        let before = self.peers.insert(frame.from.0, heard);
        if self.peers.len() > 4 * crate::limits::MAX_MEMBERS {
            self.peers.retain(|id, _| self.roster.get(MemberId(*id)).is_some());
        }
        if before.is_some_and(|before| before.boot != frame.boot) {
            self.note(Note::Restarted { id: frame.from });
            self.ask_anew(frame.from.0);
        }
    }

    /// A member that was started again may have less than it had: what it has is asked, not remembered.
    fn ask_anew(&mut self, id: u64) {
        if !self.is_leader() {
            return;
        }
        self.sending.remove(&id);
        let next = self.last() + 1;
        if let Some(progress) = self.engine.raft.mut_prs().get_mut(id) {
            progress.become_probe();
            progress.matched = 0;
            progress.next_idx = next;
        }
    }

    fn message_came(&mut self, frame: Frame) {
        let from = frame.from;
        let Some((message, base)) = message::decode(frame.payload, from.0, self.id()) else {
            self.note(Note::BadFrame(BadFrame::Payload));
            return;
        };
        // Snapshots come in chunks.
        if base.is_none() {
            self.step(message);
        }
    }

    pub(super) fn step(&mut self, message: Message) {
        if self.is_leader()
            && !self.votes.knows(message.from)
            && self.roster.get(MemberId(message.from)).is_none()
        {
            self.outputs.push_back(self.frame(Kind::Dismissed, MemberId(message.from), Bytes::new()));
            return;
        }
        match self.judge(&message) {
            Verdict::Drop => return,
            Verdict::Diverged(index) => {
                self.stop(Stopped::Diverged { index }, StandDown::Diverged);
                return;
            }
            Verdict::Admit => {}
        }
        let (from, term) = (message.from, message.term);
        let leads = matches!(
            message.msg_type,
            MessageType::MsgAppend | MessageType::MsgHeartbeat | MessageType::MsgSnapshot
        );
        // What the engine refuses it has good reason to: nothing is lost but this message.
        let _ = self.engine.step(message);
        // Whoever knows the leader of a term needs no other vote in it, not even after it has lost its memory of the first.
        let raft = &mut self.engine.raft;
        if leads && raft.term == term && raft.leader_id == from && raft.vote == 0 {
            raft.vote = from;
        }
    }

    fn judge(&mut self, message: &Message) -> Verdict {
        let state = self.engine.raft.state;
        let only = |good: bool| if good { Verdict::Admit } else { Verdict::Drop };
        match message.msg_type {
            MessageType::MsgAppend => self.judge_entries(message),
            MessageType::MsgHeartbeat => {
                let last = self.last();
                if message.commit > last && message.term >= self.engine.raft.term {
                    self.note(Note::LogTooShort { last, believed: message.commit });
                    return Verdict::Drop;
                }
                Verdict::Admit
            }
            MessageType::MsgAppendResponse => {
                only(state == StateRole::Leader && message.index <= self.last())
            }
            MessageType::MsgHeartbeatResponse => only(state == StateRole::Leader),
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => only(self.may_vote(message)),
            MessageType::MsgRequestVoteResponse => only(state == StateRole::Candidate),
            MessageType::MsgRequestPreVoteResponse => only(state == StateRole::PreCandidate),
            MessageType::MsgTimeoutNow => {
                only(self.settings.kind == roster::Kind::Server && self.last() > 0 && !self.is_installing())
            }
            // From the chunks.
            MessageType::MsgSnapshot => Verdict::Admit,
            MessageType::MsgHup
            | MessageType::MsgBeat
            | MessageType::MsgPropose
            | MessageType::MsgUnreachable
            | MessageType::MsgSnapStatus
            | MessageType::MsgCheckQuorum
            | MessageType::MsgTransferLeader
            | MessageType::MsgReadIndex
            | MessageType::MsgReadIndexResp => Verdict::Drop,
        }
    }

    fn may_vote(&mut self, message: &Message) -> bool {
        if self.last() == 0 {
            return false;
        }
        // A leader that hands over has given up its lease before it said so.
        if message.context == CAMPAIGN_TRANSFER {
            return true;
        }
        match self.quiet_until {
            Some(until) if self.now < until => false,
            _ => {
                self.quiet_until = None;
                true
            }
        }
    }

    fn judge_entries(&self, message: &Message) -> Verdict {
        let log = &self.engine.raft.raft_log;
        if message.term < self.engine.raft.term || message.index < log.committed {
            return Verdict::Admit;
        }
        let agreed =
            |index: u64, term: u64| index > log.committed || log.term(index).is_ok_and(|ours| ours == term);
        let mut claims = message.entries.iter().map(|entry| (entry.index, entry.term));
        match claims.find(|(index, term)| !agreed(*index, *term)) {
            Some((index, _)) => Verdict::Diverged(index),
            None if !agreed(message.index, message.log_term) => Verdict::Diverged(message.index),
            None => Verdict::Admit,
        }
    }

    pub(super) fn frame(&self, kind: Kind, to: MemberId, payload: Bytes) -> Output {
        let Self { identity, settings, .. } = self;
        let frame = Frame {
            kind,
            group: identity.group,
            generation: identity.generation,
            boot: settings.boot,
            from: identity.id,
            to,
            payload,
        };
        Output::Send { to, frame: frame.encode() }
    }

    /// Sends a message of the engine; a snapshot in chunks, and entries in messages that are not too long: the engine puts
    /// whatever is proposed at once into one.
    pub(super) fn send(&mut self, message: &Message) {
        if message.msg_type == MessageType::MsgSnapshot {
            self.send_snapshot(message);
        } else if message.msg_type == MessageType::MsgAppend && message.entries.len() > 1 {
            for part in message::parts(message, MAX_APPEND) {
                self.send_whole(&part);
            }
        } else {
            self.send_whole(message);
        }
    }

    fn send_whole(&mut self, message: &Message) {
        let mut payload = bytes::BytesMut::with_capacity(128);
        if message::encode(message, None, &mut payload).is_some() {
            let frame = self.frame(Kind::Message, MemberId(message.to), payload.freeze());
            self.outputs.push_back(frame);
        }
    }
}
