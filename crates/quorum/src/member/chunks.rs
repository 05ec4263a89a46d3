//! A snapshot travels in chunks, a few at a time, each acknowledged by how much has come. A sender that hears nothing goes
//! back to what was acknowledged last; a receiver that was started again says 0.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft::SnapshotStatus;
use raft::eraftpb::Message;

use super::Member;
use crate::frame::{Frame, Kind};
use crate::io::{Note, Output, Write};
use crate::limits::{CHUNK, CHUNK_PATIENCE, CHUNK_TRIES, CHUNKS_IN_FLIGHT, MAX_SNAPSHOT};
use crate::log::raft_snapshot;
use crate::message;
use crate::roster::MemberId;
use crate::stored::Snapshot;
use crate::wire::{Take, put_piece};

/// A snapshot on its way to a member.
#[derive(Debug)]
pub(super) struct Sending {
    /// The engine's message, without the state.
    head: Bytes,
    place: u64,
    data: Bytes,
    checksum: u32,
    acknowledged: u64,
    sent: u64,
    silent: u32,
    tries: u32,
}

impl Sending {
    pub(super) fn percent(&self) -> u8 {
        let whole = (self.data.len() as u64).max(1);
        u8::try_from(self.acknowledged.min(whole) * 100 / whole).unwrap_or(100)
    }
}

/// A snapshot on its way here.
#[derive(Debug)]
pub(super) struct Receiving {
    from: MemberId,
    place: u64,
    checksum: u32,
    length: u64,
    got: BytesMut,
}

/// The fields before a chunk's bytes.
struct Chunk {
    head: Bytes,
    place: u64,
    length: u64,
    checksum: u32,
    offset: u64,
    bytes: Bytes,
}

impl Chunk {
    fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.bytes.len() + self.head.len() + 40);
        put_piece(&mut out, &self.head);
        out.put_u64(self.place);
        out.put_u64(self.length);
        out.put_u32(self.checksum);
        out.put_u64(self.offset);
        put_piece(&mut out, &self.bytes);
        out.freeze()
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        let mut take = Take::new(bytes);
        let head = take.piece()?;
        let (place, length, checksum, offset) = (take.u64()?, take.u64()?, take.u32()?, take.u64()?);
        let bytes = take.piece()?;
        let inside = offset.checked_add(bytes.len() as u64).is_some_and(|end| end <= length);
        (inside && length <= MAX_SNAPSHOT).then_some(Self { head, place, length, checksum, offset, bytes })
    }
}

impl Member {
    pub(super) fn send_snapshot(&mut self, message: &Message) {
        let to = message.to;
        let held = self.engine.store().snapshot_held();
        let (base, data) = (held.base.clone(), held.data.clone());
        let mut head = BytesMut::new();
        if message::encode(message, Some(&base), &mut head).is_none() {
            return;
        }
        self.note(Note::SnapshotSent { to: MemberId(to), bytes: data.len() as u64 });
        let checksum = crc32fast::hash(&data);
        let sending = Sending {
            head: head.freeze(),
            place: base.index,
            data,
            checksum,
            acknowledged: 0,
            sent: 0,
            silent: 0,
            tries: 0,
        };
        self.sending.insert(to, sending);
        self.send_chunks(to);
    }

    /// Sends as much as may be on its way at once. An empty state is one empty chunk.
    fn send_chunks(&mut self, to: u64) {
        let Some(sending) = self.sending.get_mut(&to) else { return };
        let length = sending.data.len() as u64;
        let window = sending.acknowledged + CHUNK as u64 * CHUNKS_IN_FLIGHT;
        let mut chunks = Vec::new();
        while sending.sent < length.min(window) || (length == 0 && chunks.is_empty()) {
            let offset = sending.sent;
            let end = (offset + CHUNK as u64).min(length);
            let range = usize::try_from(offset).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
            let bytes = sending.data.slice(range);
            let (head, place, checksum) = (sending.head.clone(), sending.place, sending.checksum);
            chunks.push(Chunk { head, place, length, checksum, offset, bytes }.encode());
            sending.sent = end;
        }
        for chunk in chunks {
            let frame = self.frame(Kind::Chunk, MemberId(to), chunk);
            self.outputs.push_back(frame);
        }
    }

    pub(super) fn chunk_got(&mut self, frame: &Frame) {
        let from = frame.from.0;
        let mut take = Take::new(frame.payload.clone());
        let (Some(place), Some(got)) = (take.u64(), take.u64()) else { return };
        let Some(sending) = self.sending.get_mut(&from).filter(|sending| sending.place == place) else {
            return;
        };
        let length = sending.data.len() as u64;
        if got > length {
            return;
        }
        if got >= length {
            self.sending.remove(&from);
            self.engine.report_snapshot(from, SnapshotStatus::Finish);
            return;
        }
        if got > sending.acknowledged {
            sending.silent = 0;
            sending.tries = 0;
        }
        // Less than before: it was started again.
        if got == 0 && sending.acknowledged > 0 {
            sending.sent = 0;
        }
        sending.acknowledged = got;
        sending.sent = sending.sent.max(got);
        self.send_chunks(from);
    }

    pub(super) fn chunks_tick(&mut self) {
        let mut again = Vec::new();
        let mut lost = Vec::new();
        for (to, sending) in &mut self.sending {
            sending.silent += 1;
            if sending.silent < CHUNK_PATIENCE {
                continue;
            }
            sending.silent = 0;
            sending.tries += 1;
            sending.sent = sending.acknowledged;
            let list = if sending.tries > CHUNK_TRIES { &mut lost } else { &mut again };
            list.push(*to);
        }
        for to in again {
            self.send_chunks(to);
        }
        for to in lost {
            self.sending.remove(&to);
            self.note(Note::SnapshotFailed { to: MemberId(to) });
            self.engine.report_snapshot(to, SnapshotStatus::Failure);
        }
    }

    pub(super) fn chunk_came(&mut self, frame: &Frame) {
        let Some(chunk) = Chunk::decode(frame.payload.clone()) else { return };
        let same = |had: &Receiving| {
            (had.from, had.place, had.length, had.checksum)
                == (frame.from, chunk.place, chunk.length, chunk.checksum)
        };
        if !self.receiving.as_ref().is_some_and(same) {
            // Only a beginning begins: the rest of another is of no use.
            let (from, place, length, checksum) = (frame.from, chunk.place, chunk.length, chunk.checksum);
            self.receiving = Some(Receiving { from, place, length, checksum, got: BytesMut::new() });
        }
        let Some(receiving) = self.receiving.as_mut() else { return };
        if chunk.offset == receiving.got.len() as u64 {
            receiving.got.put_slice(&chunk.bytes);
        }
        let got = receiving.got.len() as u64;
        let mut answer = BytesMut::with_capacity(16);
        answer.put_u64(chunk.place);
        answer.put_u64(got);
        let answer = self.frame(Kind::ChunkGot, frame.from, answer.freeze());
        self.outputs.push_back(answer);
        if got == chunk.length {
            self.whole_came(&chunk, frame.from);
        }
    }

    fn whole_came(&mut self, chunk: &Chunk, from: MemberId) {
        let Some(receiving) = self.receiving.take() else { return };
        let data = receiving.got.freeze();
        if crc32fast::hash(&data) != receiving.checksum {
            return;
        }
        let Some((mut message, Some(base))) = message::decode(chunk.head.clone(), from.0, self.id()) else {
            return;
        };
        if base.index <= self.engine.raft.raft_log.committed || base.index != chunk.place {
            // What it has is at least as much; the engine tells the leader so.
            message.set_snapshot(raft_snapshot(&base));
            self.step(message);
            return;
        }
        message.set_snapshot(raft_snapshot(&base));
        self.arrived = Some(Snapshot { base, data });
        self.step(message);
    }

    /// The owner made the snapshot that was asked for.
    pub(super) fn snapshot_made(&mut self, index: u64, data: Bytes) {
        let Some(base) = self.wanted.take_if(|base| base.index == index) else { return };
        if data.remaining() as u64 > MAX_SNAPSHOT {
            self.note(Note::SnapshotTooLong { bytes: data.len() as u64 });
            return;
        }
        self.latest = (index, data.len() as u64);
        let snapshot = Snapshot { base, data };
        let first = match self.is_alone() {
            true => index + 1,
            false => self.engine.mut_store().compact(snapshot.clone(), self.settings.kept_behind),
        };
        let write = Write { snapshot: Some(snapshot), first_needed: Some(first), ..Write::default() };
        self.write_own(write, None);
    }

    /// Asks for a snapshot once the log is long enough: longer than the snapshot itself, so that a large state is not written
    /// again and again.
    pub(super) fn want_snapshot(&mut self) {
        let (latest, bytes) = self.latest;
        let long = self.applied.saturating_sub(latest) >= self.settings.snapshot_after
            || self.bytes_since_snapshot >= bytes.max(crate::limits::SNAPSHOT_AFTER_BYTES);
        let store = self.engine.store();
        let needed = store.is_snapshot_wanted();
        let newer = self.applied > store.snapshot_held().base.index || store.has_let_go();
        if self.wanted.is_some() || !(long || needed) || !newer {
            return;
        }
        let Some(term) = self.engine.store().term_at(self.applied) else { return };
        let (votes, roster) = (self.votes.clone(), self.roster.clone());
        self.wanted = Some(crate::stored::Base { index: self.applied, term, votes, roster });
        self.bytes_since_snapshot = 0;
        self.outputs.push_back(Output::SnapshotWanted { index: self.applied });
    }
}
