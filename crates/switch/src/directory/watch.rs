//! Who may watch what, and who may take what rings: options of event notification (RFC 6665).

use std::sync::Arc;

/// `dialog-watchers`: which Extensions may watch the calls of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Watchers {
    /// Every Extension of this switch.
    #[default]
    Everyone,
    /// None but itself.
    Own,
    /// These, in order, and itself.
    Only(Arc<[Box<str>]>),
}

impl Watchers {
    /// Whether this Extension, which is another one, is among them.
    #[must_use]
    pub fn may(&self, number: &str) -> bool {
        match self {
            Self::Everyone => true,
            Self::Own => false,
            Self::Only(numbers) => numbers.binary_search_by(|known| (**known).cmp(number)).is_ok(),
        }
    }
}

/// `call-pickup`: which other Extensions may take a call that rings at one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pickup {
    /// Those that `dialog-watchers` names.
    #[default]
    Named,
    /// Whoever may watch its calls.
    Watchers,
    /// None.
    Own,
}

/// Options of event notification at the Application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventOptions {
    /// `dialog-watchers`.
    pub dialog_watchers: Watchers,
    /// `call-pickup`.
    pub call_pickup: Pickup,
    /// `mwi-source`: the Trunk, or the Extension with a static contact, that says what waits in mailboxes.
    pub mwi_source: Option<Box<str>>,
    /// `mwi-implicit-notify`: phones that did not subscribe are told, too.
    pub mwi_implicit_notify: bool,
}

impl Default for EventOptions {
    fn default() -> Self {
        Self {
            dialog_watchers: Watchers::Everyone,
            call_pickup: Pickup::Named,
            mwi_source: None,
            mwi_implicit_notify: true,
        }
    }
}
