//! What seems to have failed when the peer trunk is lost: seen and told, and nothing else. The rules follow the trunk alone.

use std::sync::Arc;

use tandem_peer::continuity::Mode;
use tandem_peer::failure::{Control, FailureSignals};

use super::Node;
use crate::directory::Directory;
use crate::event::Event;
use crate::rooms::Device;
use crate::time::Now;
use crate::view;

impl Node {
    /// What is looked at. Gateways that turn away from a site that is drained say nothing of its peer.
    fn watched(&self) -> FailureSignals {
        let watched = self.rooms.directory.options.dr_failure_signals;
        FailureSignals { gateways: watched.gateways && !self.is_draining(), ..watched }
    }

    /// A new configuration is in force.
    pub(super) fn signals_adopt(&mut self, before: &Directory) {
        if self.watched().gateways && !before.options.dr_failure_signals.gateways {
            self.signals.count_from(self.rooms.now.mono);
        }
    }

    /// Whether the peer's administration interface is to be asked: its trunk is lost.
    #[must_use]
    pub fn asks_control(&self) -> bool {
        self.watched().control && self.mode() == Mode::SingleSite
    }

    /// A call came from somewhere.
    pub(super) fn call_seen(&mut self, origin: Device) {
        let peer = self.rooms.directory.options.dr_peer_trunk;
        if matches!(origin, Device::Trunk(id) if peer != Some(id)) && self.watched().gateways {
            self.signals.gateway_call(self.rooms.now.mono);
        }
    }

    /// A phone's registration began or ended.
    pub(super) fn phone_seen(&mut self, number: &Arc<str>, in_service: bool) {
        if self.watched().phones {
            self.signals.phone(number, in_service);
            self.judge_failure();
        }
    }

    /// The peer's administration interface was asked.
    pub(super) fn control_seen(&mut self, control: Control) {
        self.signals.control(control);
        self.judge_failure();
    }

    /// Tells what seems to have failed, if it is thought otherwise now.
    pub(super) fn judge_failure(&mut self) {
        if self.mode() != Mode::SingleSite {
            return;
        }
        if let Some((rating, seen)) = self.signals.judge(self.watched(), self.rooms.now.mono) {
            self.rooms.report(Event::PeerFailure { rating, seen });
        }
    }

    /// What is thought now, for an operator.
    pub(super) fn failure_view(&self, now: Now) -> Option<view::PeerFailure> {
        let lost = self.mode() == Mode::SingleSite;
        let (rating, seen, since) = self.signals.told(self.watched(), now.mono).filter(|_| lost)?;
        Some(view::PeerFailure {
            cause: rating.cause.as_str(),
            confidence: rating.confidence.as_str(),
            text: rating.to_string(),
            because: seen.to_string(),
            since_s: since.as_secs(),
        })
    }
}
