//! What a new configuration takes from clients: DNs that are gone from it, and sessions of persons who are.

use std::sync::Arc;

use tandem_peer::ChangeLog;

use super::{Gone, Sessions, Who};
use crate::cti::SessionId;
use crate::time::Now;

impl Sessions {
    /// Ends the registrations of DNs that are not configured any more, and tells each client.
    pub fn forget_dns(&mut self, log: &mut ChangeLog, now: Now, is_configured: &dyn Fn(&str) -> bool) {
        let of = |(session, client): (&SessionId, &super::Client)| {
            let gone = client.dns.keys().filter(|dn| !is_configured(dn)).map(Arc::clone);
            gone.map(|dn| (*session, dn)).collect::<Vec<_>>()
        };
        let gone: Vec<(SessionId, Arc<str>)> = self.clients.iter().flat_map(of).collect();
        for (session, dn) in gone {
            self.take(log, now, session, &dn);
        }
    }

    /// Ends the sessions of persons who may not go on as they are. Each counts as disconnected first.
    pub fn dismiss(&mut self, log: &mut ChangeLog, unwanted: &dyn Fn(&Who) -> bool) {
        let sessions: Vec<_> = self.clients.values().map(|client| (client.who(), client.link())).collect();
        for (who, link) in sessions.into_iter().filter(|(who, _)| unwanted(who)) {
            self.gone.push_back(Gone::Disconnected { session: who.session });
            self.end(log, who.session);
            self.closing.extend(link);
        }
    }
}
