//! Desktops in scenarios: one line each, and questions that explain themselves.

use tandem_cti::{Event, EventName, Role};

use super::{DeskId, Desktop};
use crate::sim::Sim;
use crate::sites::SiteId;
use crate::time::{ms, secs};

impl Sim {
    /// A desktop of a person, connected to a site.
    pub fn desktop(&mut self, person: &str, role: Role, site: SiteId) -> DeskId {
        let id = self.desktop_switched_off(person, role, site);
        self.connect(id);
        id
    }

    /// The same, not connected yet.
    pub fn desktop_switched_off(&mut self, person: &str, role: Role, site: SiteId) -> DeskId {
        let id = DeskId(self.desks.len());
        let [high, low] = u16::try_from(id.0).unwrap_or(u16::MAX).to_be_bytes();
        self.desks.push(Desktop::new(person, role, site, [10, 3, high, low].into()));
        id
    }

    /// A desktop itself.
    ///
    /// # Panics
    /// If there is none of that number.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "a scenario made it")]
    pub fn desk(&self, id: DeskId) -> &Desktop {
        &self.desks[id.0]
    }

    /// Changes a desktop.
    pub fn change_desk(&mut self, id: DeskId, change: impl FnOnce(&mut Desktop)) {
        if let Some(desk) = self.desks.get_mut(id.0) {
            change(desk);
        }
    }

    /// A desktop asks for something. A value that begins with `{` is an object, `ServiceID` is a number, all others are
    /// strings. The reference.
    pub fn ask(&mut self, id: DeskId, request: &str, attributes: &[(&str, &str)]) -> u32 {
        let reference = self.desks.get_mut(id.0).map_or(0, Desktop::reference);
        self.ask_as(id, reference, request, attributes);
        reference
    }

    /// The same under a reference that may have been used before.
    pub fn ask_as(&mut self, id: DeskId, reference: u32, request: &str, attributes: &[(&str, &str)]) {
        let mut json = format!(r#"{{"request":"{request}","ReferenceID":{reference}"#);
        for (name, value) in attributes {
            let bare = value.starts_with('{') || *name == "ServiceID";
            let quoted = if bare { (*value).to_owned() } else { format!("\"{value}\"") };
            json.push_str(&format!(r#","{name}":{quoted}"#));
        }
        json.push('}');
        self.send_request(id, reference, &json);
    }

    /// A desktop asks, and half a second passes. The answer, whatever it is.
    ///
    /// # Panics
    /// If there is none.
    pub fn asks(&mut self, id: DeskId, request: &str, attributes: &[(&str, &str)]) -> Event {
        let reference = self.ask(id, request, attributes);
        self.run_until(secs(40), &format!("{request} is answered"), |sim| {
            sim.desk(id).answer(reference).is_some()
        });
        self.run_for(ms(20));
        self.desk(id).answer(reference).cloned().unwrap_or_else(|| Event::new(EventName::Error))
    }

    /// A desktop asks and is not refused.
    ///
    /// # Panics
    /// If it is.
    pub fn does(&mut self, id: DeskId, request: &str, attributes: &[(&str, &str)]) -> Event {
        let answer = self.asks(id, request, attributes);
        let refused = answer.event == EventName::Error;
        self.expect(!refused, &format!("{request} is not refused: {:?}", answer.error_message));
        answer
    }

    /// An agent's desktop that has registered the DN and logged the agent in. `a1` is the agent of `pa1`.
    ///
    /// # Panics
    /// If he cannot log in.
    pub fn agent_at(&mut self, agent: &str, dn: &str, site: SiteId, mode: &str) -> DeskId {
        let id = self.desktop(&format!("p{agent}"), Role::Agent, site);
        self.does(id, "TRegisterAddress", &[("ThisDN", dn)]);
        self.does(id, "TAgentLogin", &[("ThisDN", dn), ("AgentID", agent), ("WorkMode", mode)]);
        id
    }

    /// Lets time pass until a desktop hears an event at a DN that it has not heard before this was asked.
    ///
    /// # Panics
    /// If it does not within 40 s.
    pub fn awaits(&mut self, id: DeskId, name: EventName, dn: &str) -> Event {
        let known = self.desk(id).heard.len();
        self.awaits_after(id, known, name, dn)
    }

    /// The same, counted from an earlier length of the transcript.
    ///
    /// # Panics
    /// If it does not within 40 s.
    pub fn awaits_after(&mut self, id: DeskId, known: usize, name: EventName, dn: &str) -> Event {
        let find = |sim: &Self| {
            let mut heard = sim.desk(id).heard.iter().skip(known).map(|heard| &heard.event);
            heard.find(|event| event.event == name && event.this_dn.as_deref() == Some(dn)).cloned()
        };
        self.run_until(secs(40), &format!("{} at {dn}", name.as_str()), |sim| find(sim).is_some());
        find(self).unwrap_or_else(|| Event::new(name))
    }
}
