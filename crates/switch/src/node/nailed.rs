//! Connections nailed up to agents' phones: set up when an agent logs in at a DN with a static contact, dropped when he
//! logs out.

use super::Node;
use crate::call::NailUp;

impl Node {
    /// An agent logged in: his phone is connected, if `connect-nailedup-on-login` is in force for him.
    pub(super) fn nail(&mut self, dn: &str, agent_id: &str) {
        let directory = std::sync::Arc::clone(&self.rooms.directory);
        let Some(id) = directory.find(dn.as_bytes()) else { return };
        if directory.extension(id).is_none_or(|extension| extension.class.contact.is_none()) {
            return;
        }
        let options = directory.agent_options(dn, agent_id);
        let Some(at) = options.connect_nailedup_on_login else { return };
        let nail = NailUp { ticket: None, dn: id, at, idle: options.disconnect_nailedup_timeout };
        // A phone that cannot be reached now is rung when a call comes.
        let _ = self.calls.nail(&mut self.rooms, nail);
    }

    /// He logged out: a call over the connection runs on, and the connection ends with it.
    pub(super) fn unnail(&mut self, dn: &str) {
        self.calls.unnail(&mut self.rooms, dn);
    }
}
