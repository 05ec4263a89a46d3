//! REGISTER, and bindings that expire.

use tandem_sip::{Envelope, Flow, HeaderName, Message, TxnId, Uri, response_to};

use super::Node;
use crate::admission::Purpose;
use crate::directory::DnId;
use crate::event::Event;
use crate::guard::source_of;
use crate::registrar::{Binding, Registered};
use crate::reject::Reject;
use crate::storm::Rank;

/// Option tags that a registrar understands in a REGISTER, beside those of calls.
pub(super) const REGISTRAR_DOES: [&[u8]; 3] = [b"path", b"outbound", b"gruu"];

/// A REGISTER that waits for its turn.
#[derive(Debug)]
pub(super) struct Waiting {
    txn: TxnId,
    flow: Flow,
    request: Message,
}

impl Node {
    /// Serves a REGISTER, or lets it wait for its turn.
    pub(super) fn register(&mut self, txn: TxnId, flow: Flow, request: &Message, env: &Envelope<'_>) {
        let (rate, now) = (self.register_rate(), self.rooms.now.mono);
        if self.storm.admits(rate, now) {
            return self.register_now(txn, flow, request, env);
        }
        let rank = self.rank(flow, request, env);
        let source = self.has_a_share(flow, env).then(|| source_of(flow.remote.ip()));
        let waiting = Waiting { txn, flow, request: request.clone() };
        self.rooms.counters.registers_waited += 1;
        if let Some(Waiting { txn, flow, request }) = self.storm.wait(rank, source, waiting, rate, now) {
            self.turn_away(txn, flow, &request, rate);
        }
        self.tell_storm();
    }

    /// Serves the REGISTERs whose turn has come.
    pub(super) fn run_registers(&mut self) {
        let (rate, now) = (self.register_rate(), self.rooms.now.mono);
        let spread = u64::from(self.rooms.directory.options.registration.expires_spread) * 10;
        while let Some(Waiting { txn, flow, request }) = self.storm.pop(rate, now) {
            let Ok(env) = request.envelope() else { continue };
            let shorter = self.rooms.ids.below(spread + 1);
            self.rooms.registrar.shorten(u32::try_from(shorter).unwrap_or(0));
            self.register_now(txn, flow, &request, &env);
        }
        self.rooms.registrar.shorten(0);
        self.tell_storm();
    }

    fn register_rate(&self) -> u32 {
        self.rooms.directory.options.registration.register_rate
    }

    /// Whether no more than a share may wait of its source: that is not said of trunks, of networks in `allow`, and of a
    /// phone that comes by the flow that it registered over.
    fn has_a_share(&self, flow: Flow, env: &Envelope<'_>) -> bool {
        self.rooms.trunks.identify(&self.rooms.directory, flow).is_none()
            && !self.rooms.directory.options.guard.allows(flow.remote.ip())
            && !self.rooms.is_known_flow(flow, env)
    }

    fn rank(&self, flow: Flow, request: &Message, env: &Envelope<'_>) -> Rank {
        let number = env.to.uri().ok().and_then(|uri| uri.user_unescaped());
        let number = number.as_deref().and_then(|number| std::str::from_utf8(number).ok());
        let shown = self.rooms.has_shown(flow, request, env);
        match number.and_then(|number| self.floor.agents.at(number)) {
            Some(agent) if shown && agent.calls > 0 => Rank::OnCall,
            Some(_) if shown => Rank::LoggedIn,
            None if shown => Rank::Other,
            Some(_) => Rank::SaysAgent,
            None => Rank::Stranger,
        }
    }

    fn turn_away(&mut self, txn: TxnId, flow: Flow, request: &Message, rate: u32) {
        let rooms = &mut self.rooms;
        rooms.counters.registers_refused += 1;
        let after = self.storm.retry_after_s(rate, |below| rooms.ids.below(below));
        let reject =
            Reject::because(503, "Too Many Registrations").with(HeaderName::RetryAfter, after.to_string());
        if let Ok(env) = request.envelope() {
            rooms.refuse_and_forget(txn, flow, request, &env, &reject);
        }
    }

    fn tell_storm(&mut self) {
        if let Some(told) = self.storm.poll_told() {
            self.rooms.report(Event::Storm(told));
        }
    }

    fn register_now(&mut self, txn: TxnId, flow: Flow, request: &Message, env: &Envelope<'_>) {
        if let Err(reject) = self.try_register(txn, flow, request, env) {
            self.rooms.refuse(txn, flow, request, env, &reject);
        }
    }

    fn try_register(
        &mut self,
        txn: TxnId,
        flow: Flow,
        request: &Message,
        env: &Envelope<'_>,
    ) -> Result<(), Reject> {
        let rooms = &mut self.rooms;
        let aor: Uri<'_> = env.to.uri().map_err(|_| Reject::because(400, "Bad To"))?;
        let dn = aor.user_unescaped().and_then(|user| rooms.directory.find(&user));
        if rooms.directory.options.authenticate.register {
            rooms.prove(flow, request, env, dn, Purpose::Register)?;
        }
        let dn = dn.ok_or_else(|| Reject::new(404))?;
        rooms.may_come_from_there(dn, flow, request, env)?;
        let directory = std::sync::Arc::clone(&rooms.directory);
        let done = rooms.registrar.register(dn, request, env, flow, &directory, &mut rooms.log, rooms.now)?;
        rooms.counters.registers += 1;
        self.accept_register(txn, flow, request, env, dn, done);
        self.phone_is_back(dn);
        let number = || directory.extension(dn).map(|e| e.number.clone()).unwrap_or_default();
        if done.came_in_service {
            self.phone_seen(&number(), true);
            self.light_mailbox_lamp(dn);
            self.rooms.report(Event::DnBackInService { dn: number(), reason: "registered".into() });
        }
        if done.went_out_of_service {
            self.phone_seen(&number(), false);
            self.rooms.report(Event::DnOutOfService { dn: number(), reason: "unregistered".into() });
        }
        Ok(())
    }

    fn accept_register(
        &mut self,
        txn: TxnId,
        flow: Flow,
        request: &Message,
        env: &Envelope<'_>,
        dn: DnId,
        done: Registered,
    ) {
        let rooms = &mut self.rooms;
        let options = &rooms.directory.options.registration;
        let tag = rooms.ids.tag().text();
        let source = Some(flow.remote);
        let mut builder = response_to(&mut rooms.scratch, request, env, 200, b"OK", Some(&tag), source);
        let aor =
            env.to.uri().ok().filter(|_| options.gruu && request.has_token(HeaderName::Supported, b"gruu"));
        let gruus = &rooms.gruus;
        let more = |binding: &Binding| aor.map(|aor| gruus.params(&aor, binding)).unwrap_or_default();
        rooms.registrar.write_contacts_with(dn, more, &mut builder, rooms.now);
        // RFC 3327 5.3: the phone learns the way to it, if it knows what that is.
        if request.has_token(HeaderName::Supported, b"path") {
            builder.copy(request, HeaderName::Path);
        }
        if done.outbound {
            builder.header(HeaderName::Require, b"outbound");
        }
        if done.outbound && done.first_hop && options.flow_timer_s > 0 {
            builder.raw_header(b"Flow-Timer", options.flow_timer_s.to_string().as_bytes());
        }
        if let Some(route) = &options.service_route {
            builder.raw_header(b"Service-Route", route.as_bytes());
        }
        if rooms.directory.options.authenticate.register {
            builder
                .raw_header(b"Authentication-Info", &rooms.admission.next_nonce(flow.remote.ip(), rooms.now));
        }
        builder.header(HeaderName::Date, &http_date(rooms.now.unix_ms));
        let payload = builder.finish(b"");
        rooms.endpoint.respond(txn, 200, payload, rooms.now.mono);
    }

    pub(super) fn expire(&mut self) {
        let rooms = &mut self.rooms;
        let mut gone = Vec::new();
        let expired = rooms.registrar.expire(&mut rooms.log, rooms.now, &mut gone);
        rooms.counters.bindings_expired += expired as u64;
        for (dn, ghost) in gone {
            let number = self.rooms.directory.extension(dn).map(|e| e.number.clone()).unwrap_or_default();
            self.phone_seen(&number, false);
            let reason = match ghost {
                Some(why) => format!("its last contact was removed: {why}").into(),
                None => "its registration expired".into(),
            };
            self.rooms.report(Event::DnOutOfService { dn: number, reason });
        }
    }
}

/// RFC 1123 date in GMT, as RFC 3261 20.17 wants it.
fn http_date(unix_ms: u64) -> [u8; 29] {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = unix_ms / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let mut out = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let mut put = |at: usize, text: &[u8]| {
        for (slot, byte) in out.iter_mut().skip(at).zip(text) {
            *slot = *byte;
        }
    };
    let two = |number: u64| [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
    put(0, DAYS.get((days % 7) as usize).copied().unwrap_or("Thu").as_bytes());
    put(5, &two(day));
    put(8, MONTHS.get((month as usize).wrapping_sub(1)).copied().unwrap_or("Jan").as_bytes());
    put(12, &two(year / 100));
    put(14, &two(year % 100));
    put(17, &two(second / 3600));
    put(20, &two(second / 60 % 60));
    put(23, &two(second % 60));
    out
}

/// Year, month and day of a number of days since 1970-01-01 in the proleptic Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let of_era = z % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::http_date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (unix_s, wanted) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_289_692_799, "Sat, 13 Nov 2010 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(std::str::from_utf8(&http_date(unix_s * 1000)).unwrap(), wanted);
        }
    }
}
