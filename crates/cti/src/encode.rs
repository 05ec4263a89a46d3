//! Writing events. Thousands of clients may hear one event: it is serialised once, and each client's own number and
//! reference are put in afterwards.

use std::fmt::Write;

use crate::Event;

/// An event as text, but for what is each client's own.
#[derive(Clone, Debug)]
pub struct Body {
    text: String,
    /// Where each client's own members go: after the event's name and number.
    at: usize,
}

impl Body {
    /// The shared text of an event. Its own number and reference, if it has any, are left out.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        if event.sequence.is_some() || event.reference_id.is_some() {
            return Self::of(&Event { sequence: None, reference_id: None, ..event.clone() });
        }
        let head = format!("{{\"event\":\"{}\",\"number\":{}", event.event.as_str(), event.number);
        let text = serde_json::to_string(event).unwrap_or_default();
        if text.starts_with(&head) {
            return Self { text, at: head.len() };
        }
        // Lists of pairs have texts as keys, so an event is always written.
        Self { at: head.len(), text: head + "}" }
    }

    /// The text for one client.
    #[must_use]
    pub fn with(&self, sequence: u64, reference_id: Option<u32>) -> String {
        let (head, tail) = self.text.split_at_checked(self.at).unwrap_or((&self.text, ""));
        let mut text = String::with_capacity(self.text.len() + 64);
        text.push_str(head);
        // Writing to a string does not fail.
        let _ = write!(text, ",\"EventSequenceNumber\":{sequence}");
        if let Some(reference_id) = reference_id {
            let _ = write!(text, ",\"ReferenceID\":{reference_id}");
        }
        text.push_str(tail);
        text
    }
}

/// An event as one client gets it. For many clients keep its [`Body`].
#[must_use]
pub fn encode(event: &Event, sequence: u64, reference_id: Option<u32>) -> String {
    Body::of(event).with(sequence, reference_id)
}
