//! What is stored of a drain, so that whoever serves after this process goes on with it, and the other server of a pair
//! sees its end.

use tandem_peer::replica::{Change, Op, Reader, Record, Writer};

/// See the module. There is one at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draining {
    /// Who asked for it.
    pub by: Box<str>,
    /// When it began, ms since the Unix epoch.
    pub since_unix_ms: u64,
    /// Calls in progress then.
    pub calls_then: u32,
    /// Agents logged in then.
    pub agents_then: u32,
    /// Nothing is left: the process may end.
    pub over: bool,
}

impl Record for Draining {
    const KIND: u8 = 10;

    fn encode(&self, out: &mut Writer<'_>) {
        out.bool(self.over);
        out.str(&self.by);
        out.u64(self.since_unix_ms);
        out.u32(self.calls_then);
        out.u32(self.agents_then);
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            over: fields.bool()?,
            by: fields.str()?.into(),
            since_unix_ms: fields.u64()?,
            calls_then: fields.u32()?,
            agents_then: fields.u32()?,
        })
    }
}

/// Whether a change of the stored records says that the site is drained: whoever stands by may end as well.
#[must_use]
pub fn says_drained(change: &Change) -> bool {
    change.key.kind == Draining::KIND
        && matches!(&change.op, Op::Put(value) if Draining::decode(value).is_some_and(|drain| drain.over))
}

#[cfg(test)]
mod tests {
    use tandem_peer::Replicated;
    use tandem_peer::replica::ChangeLog;

    use super::*;

    #[test]
    fn only_the_end_of_a_drain_says_that_the_site_is_drained() {
        let mut log = ChangeLog::new(1, 1);
        let drain =
            Draining { by: "ops".into(), since_unix_ms: 7, calls_then: 3, agents_then: 2, over: false };
        let mut record = Replicated::create(1, drain, &mut log);
        record.update(&mut log, |drain| drain.over = true);
        let whole = record.clone();
        record.delete(&mut log);
        let changes: Vec<Change> = log.take_batch().into_iter().flat_map(|batch| batch.changes()).collect();
        assert_eq!(changes.iter().map(says_drained).collect::<Vec<_>>(), [false, true, false]);
        let Some(Op::Put(value)) = changes.get(1).map(|change| &change.op) else { panic!("a record") };
        assert_eq!(Draining::decode(value).as_ref(), Some(&whole));
    }
}
