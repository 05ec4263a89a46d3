//! One player: a session of an engine with a caller, from the first wish to the withdrawal of the last.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tandem_switch::media::{MediaId, MediaNews, Repeat};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep_until};

use super::engine::{Engine, NgError, sdp_of};
use super::{MediaEdge, describe};
use crate::limits::MEDIA_CHECK_EVERY;

/// What the player is to do now.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Play a file.
    Play {
        /// Number of the order.
        turn: u32,
        /// Name of the file.
        file: Arc<str>,
        /// How often.
        repeat: Repeat,
    },
    /// Play nothing.
    Quiet,
}

/// See the module.
pub struct Player {
    edge: Arc<MediaEdge>,
    id: MediaId,
    /// Its name at the engine, where it is a call.
    name: String,
    offer: Bytes,
    wishes: watch::Receiver<Wish>,
    turn: u32,
}

impl Player {
    pub fn new(
        edge: Arc<MediaEdge>,
        id: MediaId,
        name: String,
        offer: Bytes,
        wishes: watch::Receiver<Wish>,
    ) -> Self {
        let turn = match &*wishes.borrow() {
            Wish::Play { turn, .. } => *turn,
            Wish::Quiet => 0,
        };
        Self { edge, id, name, offer, wishes, turn }
    }

    pub async fn run(mut self) {
        let opened = self.open().await;
        let (engine, sdp) = match opened {
            Ok(opened) => opened,
            Err(why) => return self.failed(&why).await,
        };
        let outcome = self.obey(&engine, &sdp).await;
        // An engine that is lost has nothing to delete, and one that comes back forgets silent calls by itself.
        let asked = engine.ask("delete", self.about(json!({ "delete-delay": 0 }))).await;
        if let Err(error) = asked {
            tracing::debug!(engine = %engine.addr, name = %self.name, %error, "player not deleted");
        }
        if let Err(why) = outcome {
            self.failed(&why).await;
        }
    }

    async fn failed(self, why: &str) {
        let Self { edge, id, name, wishes, turn, .. } = self;
        let turn = {
            // Wishes are sent under this lock: each is either the one that failed, or meets a player that is lost.
            let _players = edge.locked();
            let latest = match &*wishes.borrow() {
                Wish::Play { turn, .. } => *turn,
                Wish::Quiet => turn,
            };
            drop(wishes);
            latest
        };
        tracing::warn!(name, why, "nothing is played to a caller");
        edge.tell(MediaNews::Failed { id, turn, why: why.into() }).await;
    }

    /// Makes the session, at the first engine that works and can.
    async fn open(&self) -> Result<(Arc<Engine>, Bytes), String> {
        let engines = &self.edge.engines;
        let first = usize::try_from(self.edge.next.load(Relaxed)).unwrap_or(0) % engines.len().max(1);
        let (before, after) = engines.split_at(first);
        let mut why = "no media server answers".to_owned();
        for engine in after.iter().chain(before).filter(|engine| engine.is_up()) {
            match self.open_at(engine).await {
                Ok(sdp) => return Ok((Arc::clone(engine), sdp)),
                Err(error) => why = format!("{error} ({})", engine.addr),
            }
        }
        Err(why)
    }

    async fn open_at(&self, engine: &Engine) -> Result<Bytes, NgError> {
        let refused = |why: &str| NgError::Refused(why.to_owned());
        let text = std::str::from_utf8(&self.offer).map_err(|_| refused("the offer is not UTF-8"))?;
        // The far side is plain RTP whatever the caller speaks (DTLS, ICE): the engine stands between.
        let offer = json!({
            "sdp": text, "replace": ["origin"], "transport-protocol": "RTP/AVP", "ICE": "remove",
            "rtcp-mux": ["demux"],
        });
        let passed_on = sdp_of(&engine.ask("offer", self.about(offer)).await?)?;
        let answered = match describe::answer(&passed_on) {
            Some(answer) => {
                let answer = json!({ "sdp": answer, "to-tag": "player", "replace": ["origin"] });
                engine.ask("answer", self.about(answer)).await.and_then(|answer| sdp_of(&answer))
            }
            None => Err(refused("the caller offers no codec that can be played")),
        };
        if answered.is_err() {
            let _ = engine.ask("delete", self.about(json!({ "delete-delay": 0 }))).await;
        }
        answered.map(|answer| describe::both_ways(&self.offer, &answer).into())
    }

    /// Does what is wished until the wishes end, which is `Ok`, or the session is lost.
    async fn obey(&mut self, engine: &Engine, sdp: &Bytes) -> Result<(), String> {
        loop {
            let wish = self.wishes.borrow_and_update().clone();
            let ends_at = self.fulfil(engine, sdp, wish).await.map_err(|error| error.to_string())?;
            if !self.until_another_wish(engine, ends_at).await? {
                return Ok(());
            }
        }
    }

    /// Begins what is wished; when it ends by itself.
    async fn fulfil(&mut self, engine: &Engine, sdp: &Bytes, wish: Wish) -> Result<Option<Instant>, NgError> {
        let (turn, file, repeat) = match wish {
            Wish::Play { turn, file, repeat } => (turn, file, repeat),
            Wish::Quiet => {
                // A refusal says that nothing plays.
                return match engine.ask("stop media", self.about(json!({}))).await {
                    Err(NgError::Silent) => Err(NgError::Silent),
                    Ok(_) | Err(NgError::Refused(_)) => Ok(None),
                };
            }
        };
        self.turn = turn;
        let times = match repeat {
            Repeat::Once => 1,
            Repeat::Forever => i32::MAX,
        };
        let file = format!("{}/{file}", self.edge.directory);
        let about = self.about(json!({ "file": file, "repeat-times": times }));
        let played = engine.ask("play media", about).await.map_err(|error| match error {
            NgError::Refused(why) => NgError::Refused(format!("{why}: {file}")),
            NgError::Silent => NgError::Silent,
        })?;
        let duration = played.get("duration").and_then(Value::as_u64).unwrap_or(0);
        self.edge.tell(MediaNews::Playing { id: self.id, turn, sdp: sdp.clone() }).await;
        Ok((repeat == Repeat::Once).then(|| Instant::now() + Duration::from_millis(duration)))
    }

    /// False when the wishes have ended.
    async fn until_another_wish(
        &mut self,
        engine: &Engine,
        ends_at: Option<Instant>,
    ) -> Result<bool, String> {
        let mut ends_at = ends_at;
        let mut check = interval_at(Instant::now() + MEDIA_CHECK_EVERY, MEDIA_CHECK_EVERY);
        loop {
            let end = ends_at.unwrap_or_else(Instant::now);
            tokio::select! {
                changed = self.wishes.changed() => return Ok(changed.is_ok()),
                () = engine.lost() => return Err("the media server was lost".to_owned()),
                () = sleep_until(end), if ends_at.is_some() => {
                    ends_at = None;
                    self.edge.tell(MediaNews::Ended { id: self.id, turn: self.turn }).await;
                }
                // An engine that was started anew answers pings, and knows nothing of its former life.
                _ = check.tick() => {
                    if let Err(NgError::Refused(why)) = engine.ask("query", self.about(json!({}))).await {
                        return Err(format!("the media server forgot the call: {why}"));
                    }
                }
            }
        }
    }

    fn about(&self, more: Value) -> Map<String, Value> {
        let mut about = match more {
            Value::Object(more) => more,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Map::new()
            }
        };
        about.insert("call-id".to_owned(), json!(self.name));
        about.insert("from-tag".to_owned(), json!("caller"));
        about
    }
}
