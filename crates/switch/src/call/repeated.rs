//! INVITEs of callers whose calls were taken up with a 2xx that they may not have had. One that comes again is that one, and no
//! new call: the transaction that would have known it went with the process.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use tandem_sip::{Dialog, Envelope};

/// Call-ID, From-tag and CSeq.
type Name = (Box<[u8]>, Box<[u8]>, u32);

/// See the module. As many as calls had been answered within the time in which a caller repeats his INVITE.
#[derive(Debug, Default)]
pub(crate) struct Repeated {
    answers: BTreeMap<Name, (Instant, u16, Bytes)>,
}

impl Repeated {
    /// The INVITE of this dialog's far end was answered so.
    pub fn answered(&mut self, dialog: &Dialog, cseq: u32, until: Instant, (code, response): (u16, Bytes)) {
        let name = (dialog.call_id().into(), dialog.remote_tag().into(), cseq);
        self.answers.insert(name, (until, code, response));
    }

    /// What an INVITE outside dialogs was answered, if it was.
    pub fn answer_to(&mut self, invite: &Envelope<'_>, now: Instant) -> Option<(u16, Bytes)> {
        if self.answers.is_empty() {
            return None;
        }
        self.answers.retain(|_, (until, ..)| *until > now);
        let name = (invite.call_id.into(), invite.from_tag?.into(), invite.cseq.number);
        self.answers.get(&name).map(|(_, code, response)| (*code, response.clone()))
    }
}
