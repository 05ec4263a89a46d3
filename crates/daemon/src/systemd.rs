//! What systemd is told, `sd_notify(3)`: that the server serves, that it lives, that it ends. A thread of its own tells it:
//! when systemd does not read, that must hold up nobody who handles calls.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::limits::MAX_SYSTEMD_WORDS;

/// A word to systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It serves.
    Ready,
    /// Its loop comes round.
    Alive,
    /// It ends because it was told to.
    Stopping,
}

/// The way to systemd; without it, words are lost.
#[derive(Clone)]
pub struct Systemd {
    words: Option<SyncSender<Word>>,
    watchdog: Option<Duration>,
}

impl Systemd {
    /// As the environment says (`NOTIFY_SOCKET`, `WATCHDOG_USEC`).
    pub fn from_environment() -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self::absent();
        }
        let (words, heard) = sync_channel(MAX_SYSTEMD_WORDS);
        let thread = std::thread::Builder::new().name("systemd".to_owned()).spawn(move || {
            for word in heard {
                tell(word);
            }
        });
        if let Err(error) = thread {
            tracing::error!(%error, "systemd cannot be told anything");
        }
        Self { words: Some(words), watchdog: sd_notify::watchdog_enabled() }
    }

    /// Nobody listens.
    pub fn absent() -> Self {
        Self { words: None, watchdog: None }
    }

    /// How long systemd waits for a sign of life; `None`: it does not wait.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Tells it, sooner or later; never waits.
    pub fn tell(&self, word: Word) {
        if let Some(words) = &self.words {
            // Words that find no room are repeated (the sign of life) or of no use to somebody who does not read.
            let _ = words.try_send(word);
        }
    }
}

fn tell(word: Word) {
    let state = match word {
        Word::Ready => NotifyState::Ready,
        Word::Alive => NotifyState::Watchdog,
        Word::Stopping => NotifyState::Stopping,
    };
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, ?word, "systemd cannot be told");
    }
}
