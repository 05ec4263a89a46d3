//! A message of the engine as bytes.
//!
//! Our own form and not the engine's protobuf: it is bounded while it is read, entries share the frame's memory, and the
//! only kinds that can arrive are those which a member sends to another. Bytes behind the last known field are a later
//! release's and are passed over.

use bytes::{BufMut, Bytes, BytesMut};
use raft::eraftpb::{Entry, EntryType, Message, MessageType};

use crate::limits::{MAX_INDEX, MAX_TERM};
use crate::stored::{Base, LogEntry};
use crate::wire::{Take, put_piece};

/// The kinds that travel, by their number on the wire. The numbers are the engine's and never change.
const KINDS: [(u8, MessageType); 10] = [
    (3, MessageType::MsgAppend),
    (4, MessageType::MsgAppendResponse),
    (5, MessageType::MsgRequestVote),
    (6, MessageType::MsgRequestVoteResponse),
    (7, MessageType::MsgSnapshot),
    (8, MessageType::MsgHeartbeat),
    (9, MessageType::MsgHeartbeatResponse),
    (14, MessageType::MsgTimeoutNow),
    (17, MessageType::MsgRequestPreVote),
    (18, MessageType::MsgRequestPreVoteResponse),
];

/// Bytes of a message's context: a lease round or the word that a leader asked for this election.
const MAX_CONTEXT: usize = 64;

/// The engine's entry as ours, sharing memory.
pub(crate) fn entry_of(entry: &Entry) -> LogEntry {
    let kind = match entry.entry_type {
        EntryType::EntryNormal => 0,
        EntryType::EntryConfChange => 1,
        EntryType::EntryConfChangeV2 => 2,
    };
    let (data, context) = (entry.data.clone(), entry.context.clone());
    LogEntry { index: entry.index, term: entry.term, kind, data, context }
}

/// Ours as the engine's, sharing memory.
pub(crate) fn entry_to(entry: &LogEntry) -> Entry {
    let entry_type = match entry.kind {
        2 => EntryType::EntryConfChangeV2,
        _ => EntryType::EntryNormal,
    };
    Entry {
        entry_type,
        term: entry.term,
        index: entry.index,
        data: entry.data.clone(),
        context: entry.context.clone(),
        ..Entry::default()
    }
}

/// Appends a message; who sends it to whom is the frame's. `None` for a kind that does not travel.
pub(crate) fn encode(message: &Message, base: Option<&Base>, out: &mut BytesMut) -> Option<()> {
    let (kind, _) = KINDS.iter().find(|(_, kind)| *kind == message.msg_type)?;
    out.put_u8(*kind);
    for number in [
        message.term,
        message.log_term,
        message.index,
        message.commit,
        message.commit_term,
        message.reject_hint,
        message.request_snapshot,
    ] {
        out.put_u64(number);
    }
    out.put_u8(message.reject.into());
    put_piece(out, &message.context);
    out.put_u32(u32::try_from(message.entries.len()).ok()?);
    for entry in &message.entries {
        entry_of(entry).encode(out);
    }
    out.put_u8(base.is_some().into());
    if let Some(base) = base {
        base.encode(out);
    }
    Some(())
}

/// Reads a message and, of a snapshot's, the place that it stands for.
pub(crate) fn decode(bytes: Bytes, from: u64, to: u64) -> Option<(Message, Option<Base>)> {
    let mut take = Take::new(bytes);
    let number = take.u8()?;
    let (_, kind) = KINDS.iter().find(|(known, _)| *known == number)?;
    let mut message = Message { from, to, ..Message::default() };
    message.set_msg_type(*kind);
    message.term = take.u64().filter(|term| (1..=MAX_TERM).contains(term))?;
    message.log_term = take.u64()?;
    message.index = take.u64()?;
    message.commit = take.u64()?;
    message.commit_term = take.u64()?;
    message.reject_hint = take.u64()?;
    message.request_snapshot = take.u64()?;
    message.reject = take.flag()?;
    message.context = take.piece().filter(|context| context.len() <= MAX_CONTEXT)?;
    let count = take.u32()?;
    for _ in 0..count {
        message.entries.push(entry_to(&LogEntry::decode(&mut take)?));
    }
    let base = match take.flag()? {
        true => Some(Base::decode(&mut take)?),
        false => None,
    };
    let in_bounds = |index: u64| index <= MAX_INDEX;
    let bounded = [message.index, message.commit, message.reject_hint, message.request_snapshot];
    let whole = base.is_some() == (*kind == MessageType::MsgSnapshot) && is_row(&message);
    (whole && bounded.into_iter().all(in_bounds)).then_some((message, base))
}

/// The same entries in messages of about `most` bytes, each following the one before. One entry is never cut.
pub(crate) fn parts(message: &Message, most: u64) -> Vec<Message> {
    let mut parts: Vec<Message> = Vec::new();
    let mut bytes = 0;
    let mut before = (message.index, message.log_term);
    for entry in &message.entries {
        let size = (entry.data.len() + entry.context.len()) as u64;
        bytes += size;
        match parts.last_mut().filter(|_| bytes <= most) {
            Some(part) => part.entries.push(entry.clone()),
            None => {
                bytes = size;
                let mut part = Message {
                    index: before.0,
                    log_term: before.1,
                    commit: message.commit,
                    ..Message::default()
                };
                part.set_msg_type(message.msg_type);
                (part.from, part.to, part.term) = (message.from, message.to, message.term);
                part.entries.push(entry.clone());
                parts.push(part);
            }
        }
        before = (entry.index, entry.term);
    }
    parts
}

/// Do the entries follow each other, behind the one that the message names, in terms that never fall?
fn is_row(message: &Message) -> bool {
    let mut expected = message.index;
    let mut term = message.log_term;
    message.entries.iter().all(|entry| {
        expected += 1;
        let follows = entry.index == expected && entry.term >= term && entry.term <= message.term;
        term = entry.term;
        follows
    })
}
