//! The place of the service in the numbered stream of one site's events.

use serde::{Deserialize, Serialize};
use tandem_cti::Resumed;

/// Where a stream is continued: what `TOpenServer` names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Session.
    pub session: String,
    /// `EventSequenceNumber` of the last event that counts.
    pub after: u64,
}

/// What an event is to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The next one.
    Next,
    /// One that was heard before.
    Again,
    /// Others should have come before it: this one was expected.
    Missing(u64),
}

/// Follows a stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    session: Option<String>,
    /// Last number; `None` when any number may come next.
    last: Option<u64>,
    /// Number of the answer to `TOpenServer` that went ahead of what was missed.
    ahead: Option<u64>,
}

impl Stream {
    /// Goes on at a stored position.
    pub fn restore(&mut self, position: Position) {
        *self = Self { session: Some(position.session), last: Some(position.after), ahead: None };
    }

    /// What to name when the session is continued.
    pub fn position(&self) -> Option<Position> {
        Some(Position { session: self.session.clone()?, after: self.last? })
    }

    /// The answer to `TOpenServer`: it may stand before events that have lower numbers.
    pub fn opened(&mut self, session: Option<&str>, resumed: Resumed, sequence: Option<u64>) {
        let same = session.is_some() && session == self.session.as_deref();
        self.ahead = None;
        match resumed {
            Resumed::Continued if same => self.ahead = sequence,
            Resumed::Continued | Resumed::Gap | Resumed::New => self.last = sequence,
        }
        self.session = session.map(str::to_owned);
        self.skip();
    }

    /// Takes the number of the next event.
    pub fn take(&mut self, sequence: u64) -> Place {
        match self.last {
            Some(last) if sequence <= last => return Place::Again,
            Some(last) if sequence > last + 1 => return Place::Missing(last + 1),
            Some(_) | None => {}
        }
        self.last = Some(sequence);
        self.skip();
        Place::Next
    }

    /// The answer that went ahead has its number in the stream too.
    fn skip(&mut self) {
        if let (Some(ahead), Some(last)) = (self.ahead, self.last)
            && ahead <= last + 1
        {
            self.last = Some(last.max(ahead));
            self.ahead = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_counts_once_and_none_is_skipped() {
        let mut stream = Stream::default();
        stream.opened(Some("s"), Resumed::New, Some(1));
        assert_eq!(stream.take(2), Place::Next);
        assert_eq!(stream.take(2), Place::Again);
        assert_eq!(stream.take(4), Place::Missing(3));
        assert_eq!(stream.position(), Some(Position { session: "s".into(), after: 2 }));
    }

    #[test]
    fn the_answer_to_a_resumption_may_come_before_what_was_missed() {
        let mut stream = Stream::default();
        stream.restore(Position { session: "s".into(), after: 5 });
        stream.opened(Some("s"), Resumed::Continued, Some(8));
        assert_eq!(stream.position().unwrap().after, 5);
        assert_eq!((stream.take(6), stream.take(7)), (Place::Next, Place::Next));
        assert_eq!(stream.position().unwrap().after, 8);
        assert_eq!(stream.take(9), Place::Next);
    }

    #[test]
    fn a_gap_and_a_new_session_begin_where_they_say() {
        let mut stream = Stream::default();
        stream.restore(Position { session: "s".into(), after: 5 });
        stream.opened(Some("s"), Resumed::Gap, Some(90));
        assert_eq!(stream.take(91), Place::Next);
        stream.opened(Some("t"), Resumed::New, Some(1));
        assert_eq!(stream.take(2), Place::Next);
        assert_eq!(stream.position(), Some(Position { session: "t".into(), after: 2 }));
    }
}
