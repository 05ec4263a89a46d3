//! Agents: logins, postures and their rows (semantics of `EventAgentLogin` … `EventAgentLogout`).

use std::sync::Arc;

use tandem_cti::{Event, EventName, KvList, Value};

use crate::count::Delta;
use crate::limits::{MAX_REASON, MAX_STATIONS};
use crate::model::Stat;
use crate::row::Row;
use crate::station::{Login, Posture, Station};

impl Stat {
    /// An event of an Extension.
    pub(crate) fn station_event(&mut self, site: usize, dn: &Arc<str>, event: &Event, time_ms: u64) {
        if self.stations.len() >= MAX_STATIONS && !self.stations.contains_key(&(site, Arc::clone(dn))) {
            self.lose();
            return;
        }
        let mut station = self.take(site, dn);
        #[allow(
            clippy::wildcard_enum_match_arm,
            reason = "the other events are about calls or say nothing to count"
        )]
        match event.event {
            EventName::AgentLogin => self.login(site, dn, &mut station, event, time_ms),
            EventName::AgentLogout => self.logout(site, dn, &mut station, time_ms),
            EventName::AgentReady => {
                self.posture(site, dn, &mut station, event, Posture::Ready, time_ms);
            }
            EventName::AgentNotReady => {
                let posture = Posture::not_ready(event.work_mode);
                self.posture(site, dn, &mut station, event, posture, time_ms);
            }
            EventName::DnOutOfService => station.in_service = Some(false),
            EventName::DnBackInService => station.in_service = Some(true),
            EventName::Registered | EventName::AddressInfo => {
                self.describe_station(site, dn, &mut station, event, time_ms);
            }
            _ => self.call_event(site, dn, &mut station, event, time_ms),
        }
        self.put(site, dn, station, time_ms);
    }

    /// A repeated login of the same agent is no change of state.
    fn login(&mut self, site: usize, dn: &Arc<str>, station: &mut Station, event: &Event, time_ms: u64) {
        let Some(agent) = event.agent_id.as_deref() else { return };
        if let Some(login) = station.login.as_mut().filter(|login| &*login.agent == agent) {
            let queue = event.this_queue.as_deref().map(Arc::from);
            login.queues.extend(queue.filter(|queue| !login.queues.contains(queue)));
            return;
        }
        self.sit_down(site, dn, station, event, Posture::not_ready(event.work_mode), time_ms);
    }

    /// Whoever was there before is logged out.
    fn sit_down(
        &mut self,
        site: usize,
        dn: &Arc<str>,
        station: &mut Station,
        event: &Event,
        posture: Posture,
        time_ms: u64,
    ) {
        let Some(agent) = event.agent_id.as_deref().map(Arc::<str>::from) else { return };
        self.logout(site, dn, station, time_ms);
        self.seat(site, dn, &agent, time_ms, true);
        station.login = Some(Login {
            agent,
            since_ms: time_ms,
            posture,
            posture_since_ms: time_ms,
            reason: reason(event),
            queues: event.this_queue.as_deref().map(Arc::from).into_iter().collect(),
        });
    }

    pub(crate) fn logout(&mut self, site: usize, dn: &Arc<str>, station: &mut Station, time_ms: u64) {
        let Some(login) = station.login.take() else { return };
        self.posture_over(site, dn, &login, time_ms);
        self.seat(site, dn, &login.agent, time_ms, false);
    }

    pub(crate) fn posture(
        &mut self,
        site: usize,
        dn: &Arc<str>,
        station: &mut Station,
        event: &Event,
        posture: Posture,
        time_ms: u64,
    ) {
        let agent = event.agent_id.as_deref();
        let same_agent = |login: &&mut Login| agent.is_none_or(|agent| &*login.agent == agent);
        let Some(login) = station.login.as_mut().filter(same_agent) else {
            self.sit_down(site, dn, station, event, posture, time_ms);
            return;
        };
        let reason = reason(event);
        if login.posture == posture && login.reason == reason {
            return;
        }
        let before = login.clone();
        (login.posture, login.posture_since_ms, login.reason) = (posture, time_ms, reason);
        self.posture_over(site, dn, &before, time_ms);
    }

    /// A state that lasted no time at all is no row: the login itself tells one with each state.
    fn posture_over(&mut self, site: usize, dn: &Arc<str>, login: &Login, time_ms: u64) {
        let from = login.posture_since_ms;
        if time_ms == from {
            return;
        }
        let (state, work_mode) = match login.posture {
            Posture::Ready => ("Ready", None),
            Posture::NotReady(mode) => ("NotReady", Some(mode.as_str().into())),
            Posture::AfterCallWork => ("AfterCallWork", None),
        };
        if login.posture == Posture::AfterCallWork {
            let objects = self.desk_objects(site, dn, Some(&login.agent));
            self.count(objects, time_ms, Delta::WrappedUp(time_ms.saturating_sub(from)));
        }
        let name = self.site_name(site);
        self.push_row(Row::AgentState {
            id: format!("state:{name}:{dn}:{}:{from}", login.agent),
            site: name,
            dn: Arc::clone(dn),
            agent: Arc::clone(&login.agent),
            state: state.into(),
            work_mode,
            reason: login.reason.clone(),
            login_unix_ms: login.since_ms,
            from_unix_ms: from,
            to_unix_ms: time_ms,
        });
    }
}

/// Why: the event's reasons, or its `ReasonCode`.
fn reason(event: &Event) -> Option<String> {
    let written = |list: &KvList, wanted: Option<&str>| {
        let items = list.iter().filter(|(key, _)| wanted.is_none_or(|wanted| wanted == key.as_str()));
        let texts: Vec<String> = items
            .filter_map(|(key, value)| {
                let value = match value {
                    Value::Int(number) => number.to_string(),
                    Value::Text(text) => text.clone(),
                    Value::List(_) => return None,
                };
                Some(if wanted.is_some() { value } else { format!("{key}={value}") })
            })
            .collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    };
    let reason = written(&event.reasons, None).or_else(|| written(&event.extensions, Some("ReasonCode")))?;
    Some(reason.chars().take(MAX_REASON).collect())
}
