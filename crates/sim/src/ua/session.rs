//! Session timers of a phone (RFC 4028): it asks for them as a caller, grants them as a callee, refreshes what is its own to
//! refresh, and ends a call that nobody refreshed in time.

use std::time::Duration;

use super::Ua;
use super::client::{PATIENCE, Purpose};
use super::leg::Phase;
use super::offer::{self, Direction};
use crate::text::{Text, param};
use crate::time::{At, secs};

/// How a phone keeps session timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimers {
    /// The interval that it asks for as a caller.
    pub interval: Duration,
    /// As a caller it refreshes; otherwise it leaves that to the server.
    pub refreshes: bool,
    /// It takes UPDATE and refreshes by it; otherwise by re-INVITE.
    pub by_update: bool,
}

/// The session of one leg.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    interval: Duration,
    /// When this device refreshes it, if that is its own to do.
    refresh_at: Option<At>,
    /// When the call is over unless somebody has.
    ends_at: At,
}

impl Session {
    /// What a 2xx to this device's own request grants, or another's request asks for.
    fn agreed(message: &Text, own_role: &str, now: At) -> Option<Self> {
        let value = message.get("Session-Expires")?;
        let interval = secs(value.split(';').next()?.trim().parse().ok()?);
        let ours = param(value, "refresher") == Some(own_role);
        let refresh_at = ours.then(|| now + interval / 2);
        // RFC 4028 10: a little before its end.
        let ends_at = now + (interval - secs(32).min(interval / 3));
        Some(Self { interval, refresh_at, ends_at })
    }

    pub(super) fn is_ours(&self) -> bool {
        self.refresh_at.is_some()
    }

    pub(super) fn next_timeout(&self) -> At {
        self.refresh_at.map_or(self.ends_at, |at| at.min(self.ends_at))
    }
}

impl SessionTimers {
    fn allow(self) -> String {
        if self.by_update { offer::ALLOW.into() } else { offer::ALLOW.replace(", UPDATE", "") }
    }
}

impl Ua {
    /// The methods that it takes.
    pub(super) fn allow(&self) -> String {
        self.profile.session.map_or_else(|| offer::ALLOW.into(), SessionTimers::allow)
    }

    /// What its INVITE or UPDATE says of the session: what is agreed in this dialog, or what it would like.
    pub(super) fn asks_for_session(&self, request: Text, agreed: Option<Session>) -> Text {
        let Some(timers) = self.profile.session else { return request };
        let (interval, ours) = agreed
            .map_or((timers.interval, timers.refreshes), |session| (session.interval, session.is_ours()));
        let refresher = if ours { "uac" } else { "uas" };
        let value = format!("{};refresher={refresher}", interval.as_secs());
        request.with("Supported", "timer").with("Session-Expires", value)
    }

    /// 200 to a request that begins the session of a leg, or refreshes it, on the terms that it asks for.
    pub(super) fn accept(&mut self, at: usize, id: u64, fill: impl FnOnce(Text) -> Text, now: At) {
        let Some(request) = self.servers.get(at).map(|server| server.request.clone()) else { return };
        let asked = request.get("Session-Expires").filter(|_| self.profile.session.is_some());
        let grants = |response: Text| match asked {
            Some(value) => response.with("Require", "timer").with("Session-Expires", value),
            None => response,
        };
        self.respond(at, 200, |response| grants(fill(response)), now);
        self.session_begins(id, Session::agreed(&request, "uas", now));
    }

    /// This 2xx to a request of ours came.
    pub(super) fn session_confirmed(&mut self, id: u64, response: &Text, now: At) {
        self.session_begins(id, Session::agreed(response, "uac", now));
    }

    fn session_begins(&mut self, id: u64, session: Option<Session>) {
        if self.profile.session.is_some()
            && let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.is_over())
        {
            leg.session = session;
        }
    }

    /// The session is to be refreshed, or is over. False: it is neither.
    pub(super) fn session_timeout(&mut self, id: u64, now: At) -> bool {
        let Some(leg) = self.legs.get_mut(&id) else { return false };
        let Some(session) = leg.session.as_mut().filter(|session| session.next_timeout() <= now) else {
            return false;
        };
        if session.ends_at <= now {
            leg.heard.push("nobody refreshed the session".into());
            leg.session = None;
            self.hang_up_dialog(id, now);
        } else {
            session.refresh_at = Some(now + secs(5));
            self.refresh_session(id, now);
        }
        true
    }

    fn refresh_session(&mut self, id: u64, now: At) {
        let Some(timers) = self.profile.session else { return };
        if !timers.by_update {
            return self.reinvite(id, Direction::SendRecv, now);
        }
        let open = self.clients.iter().any(|c| c.purpose == Purpose::Within(id) && c.is_open());
        let contact = self.contact();
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.phase == Phase::Talking && !open) else {
            return;
        };
        leg.dialog.local_cseq += 1;
        let Some(to) = leg.dialog.next_hop() else { return };
        let request = leg.dialog.request("UPDATE", leg.dialog.local_cseq).with("Contact", contact);
        let agreed = leg.session;
        let request = self.asks_for_session(request, agreed);
        self.send_request(request, to, Purpose::Within(id), PATIENCE, now);
    }
}
