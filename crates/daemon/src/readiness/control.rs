//! The control link: while the peer trunk is lost, whether the peer's administration interface answers. It explains the
//! loss (`dr-failure-signals`); the modes follow the trunk alone.

use serde::Deserialize;
use tandem_peer::failure::Control;
use tandem_switch::Input;

use super::{PeerError, get};
use crate::command::{Commands, Unanswered};
use crate::config::PeerHttp;
use crate::limits::CONTROL_ASKED_EVERY;

/// What of the peer's status is read.
#[derive(Deserialize)]
struct Status {
    server: String,
}

/// Asks as long as the node wants it, until the node ends. `own` is the name of this server.
pub async fn watch(peer: PeerHttp, own: Box<str>, commands: Commands) {
    let mut complained = false;
    loop {
        tokio::time::sleep(CONTROL_ASKED_EVERY).await;
        match commands.ask(|peek| peek.node.asks_control()).await {
            Ok(true) => {}
            Ok(false) | Err(Unanswered::Busy | Unanswered::Late | Unanswered::Standby) => continue,
            Err(Unanswered::Stopping) => return,
        }
        match ask(&peer, &own).await {
            Ok(control) => {
                complained = false;
                commands.input(Input::PeerControl(control)).await;
            }
            Err(error) if !complained => {
                complained = true;
                tracing::warn!(%error, advice = error.advice(), "the control link tells nothing");
            }
            Err(_) => {}
        }
    }
}

/// What the peer's status page says.
///
/// # Errors
/// What keeps this server from asking: it says nothing about the peer.
async fn ask(peer: &PeerHttp, own: &str) -> Result<Control, PeerError> {
    match get(peer, "/api/status", false).await {
        Ok(answer) => match serde_json::from_slice::<Status>(&answer) {
            Ok(status) if *status.server == *own => Err(PeerError::Itself),
            Ok(_) => Ok(Control::Answers),
            Err(_) => Ok(Control::Ailing),
        },
        Err(PeerError::Unreachable(_) | PeerError::Late) => Ok(Control::Silent),
        Err(
            PeerError::Unauthorised(_)
            | PeerError::Forbidden(_)
            | PeerError::NoSuchPage
            | PeerError::Busy
            | PeerError::Status(_)
            | PeerError::TooLarge
            | PeerError::Unreadable,
        ) => Ok(Control::Ailing),
        Err(
            error @ (PeerError::NotConfigured
            | PeerError::Password(_)
            | PeerError::Certificates(_)
            | PeerError::Untrusted(_)
            | PeerError::NoTls(_)
            | PeerError::Itself),
        ) => Err(error),
    }
}
