//! One anchored leg: a session of an engine between the device and the rest of its call. A task makes it with the first
//! order, or takes up that of an earlier process; it moves it to another engine when its own is lost, and deletes it at
//! the end.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tandem_switch::anchor::{AnchorId, AnchorNews, End, Part, Profile, Seat, Speaks};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, sleep, timeout};

use super::MediaEdge;
use super::engine::{Engine, NgError, sdp_of};
use super::place::Place;
use crate::limits::{ANCHOR_CHECK_EVERY, ANCHOR_LOOK_EVERY, MEDIA_TAKE_UP_PATIENCE};

/// What is to be described.
#[derive(Clone, Debug)]
pub struct Describe {
    /// Number of the order.
    pub turn: u32,
    /// Whose description it is.
    pub from: End,
    /// Offer or answer.
    pub part: Part,
    /// It.
    pub sdp: Bytes,
    /// How the leg is spoken to.
    pub profile: Profile,
}

/// What a session is asked for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// A description.
    Description(Describe),
    /// This file, over and over, to the device; or nothing any more.
    Music(Option<Arc<str>>),
}

/// What an earlier process left.
#[derive(Clone, Debug)]
pub struct TakeUp {
    /// Both ends have been described.
    pub answered: bool,
    /// What plays to the device.
    pub music: Option<Arc<str>>,
}

/// See the module.
pub struct Session {
    edge: Arc<MediaEdge>,
    id: AnchorId,
    /// Its name at the engine, where it is a call.
    name: Arc<str>,
    orders: mpsc::Receiver<Wanted>,
    place: Arc<Place>,
    engine: Option<Arc<Engine>>,
    /// The latest offer: another engine has to hear it before it understands the answer.
    offer: Option<Describe>,
    answered: bool,
    /// The engine was lost, and the call does not know yet.
    lost: bool,
    /// It is not known yet whether the engine still has what an earlier process left. The music that is to play there then:
    /// that process may have died before it had said so.
    unproved: Option<Option<Arc<str>>>,
}

impl Session {
    pub fn new(
        edge: Arc<MediaEdge>,
        id: AnchorId,
        name: Arc<str>,
        orders: mpsc::Receiver<Wanted>,
        place: Arc<Place>,
    ) -> Self {
        let (engine, offer) = (None, None);
        let (answered, lost, unproved) = (false, false, None);
        Self { edge, id, name, orders, place, engine, offer, answered, lost, unproved }
    }

    /// Goes on with the session of an earlier process, at this engine.
    pub async fn go_on(mut self, engine: Option<Arc<Engine>>, take_up: TakeUp) {
        let at = match engine {
            Some(engine) => timeout(MEDIA_TAKE_UP_PATIENCE, engine.works()).await.ok().map(|()| engine),
            None => None,
        };
        match at {
            Some(engine) => {
                self.settle(&engine);
                (self.answered, self.unproved) = (take_up.answered, Some(take_up.music));
            }
            None => {
                tracing::warn!(name = %self.name, "the media server of a call that goes on does not answer");
                self.place.leave();
                self.lost = true;
            }
        }
        self.run().await;
    }

    pub async fn run(mut self) {
        let mut check = interval_at(Instant::now() + ANCHOR_CHECK_EVERY, ANCHOR_CHECK_EVERY);
        let edge = Arc::clone(&self.edge);
        loop {
            let engine = self.engine.clone();
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Wanted::Description(order)) => self.describe(order).await,
                    Some(Wanted::Music(file)) if self.unproved.is_some() => self.unproved = Some(file),
                    Some(Wanted::Music(file)) => self.music(file.as_deref()).await,
                    None => break,
                },
                _turn = edge.proving.acquire(), if self.unproved.is_some() => self.prove().await,
                () = lost(engine.as_deref()), if engine.is_some() => self.leave(true),
                // An engine that was started anew answers pings, and knows nothing of its former life.
                _ = check.tick(), if engine.is_some() => self.check().await,
                () = sleep(ANCHOR_LOOK_EVERY), if self.lost => self.tell_lost().await,
            }
        }
        if let Some(engine) = &self.engine {
            self.delete(engine).await;
        }
        self.leave(false);
    }

    async fn delete(&self, engine: &Engine) {
        let about = Map::from_iter([
            ("call-id".to_owned(), json!(&*self.name)),
            ("delete-delay".to_owned(), json!(0)),
        ]);
        if let Err(error) = engine.ask("delete", about).await {
            tracing::debug!(engine = %engine.addr, name = %self.name, %error, "session not deleted");
        }
    }

    fn leave(&mut self, lost: bool) {
        if let Some(engine) = self.engine.take() {
            engine.sessions.fetch_sub(1, Relaxed);
            self.place.leave();
        }
        (self.lost, self.answered, self.unproved) = (lost, false, None);
    }

    fn settle(&mut self, engine: &Arc<Engine>) {
        self.leave(false);
        engine.sessions.fetch_add(1, Relaxed);
        self.place.settle(engine.addr);
        self.engine = Some(Arc::clone(engine));
    }

    async fn check(&mut self) {
        let Some(engine) = &self.engine else { return };
        let about = Map::from_iter([("call-id".to_owned(), json!(&*self.name))]);
        if let Err(NgError::Refused(why)) = engine.ask("query", about).await {
            tracing::warn!(engine = %engine.addr, name = %self.name, why, "the media server forgot a call");
            self.leave(true);
        }
    }

    /// Asks the engine after what an earlier process left there, and has it play what is to play.
    async fn prove(&mut self) {
        let Some(music) = self.unproved.take() else { return };
        self.check().await;
        self.music(music.as_deref()).await;
    }

    /// The call offers both its parties another engine as soon as there is one. Many that were lost at once do so one
    /// after the other.
    async fn tell_lost(&mut self) {
        if !self.edge.has_engine() {
            return;
        }
        self.edge.paced().await;
        self.lost = false;
        self.edge.counters.moved.fetch_add(1, Relaxed);
        self.edge.tell_anchor(AnchorNews::Lost { id: self.id }).await;
    }

    /// Plays to the device, in place of what the other party sends. A call whose music is refused goes on in silence.
    async fn music(&self, file: Option<&str>) {
        let Some(engine) = &self.engine else { return };
        let mut about = Map::from_iter([
            ("call-id".to_owned(), json!(&*self.name)),
            ("from-tag".to_owned(), json!("far")),
        ]);
        let asked = match file {
            Some(file) => {
                let path = format!("{}/{file}", self.edge.directory);
                about.extend([
                    ("file".to_owned(), json!(path)),
                    ("repeat-times".to_owned(), json!(i32::MAX)),
                    ("flags".to_owned(), json!(["block-egress"])),
                ]);
                engine.ask("play media", about).await
            }
            None => engine.ask("stop media", about).await,
        };
        match (file, asked) {
            (Some(_), Ok(_)) => drop(self.edge.counters.plays.fetch_add(1, Relaxed)),
            (Some(file), Err(error)) => {
                self.edge.counters.failures.fetch_add(1, Relaxed);
                tracing::warn!(engine = %engine.addr, name = %self.name, file, %error, "no music on hold");
            }
            // A refusal says that nothing plays.
            (None, _) => {}
        }
    }

    async fn describe(&mut self, order: Describe) {
        let (id, turn) = (self.id, order.turn);
        let news = match self.ask(&order).await {
            Ok(sdp) => AnchorNews::Described { id, turn, sdp: sdp.into() },
            Err(error) => {
                let refused = matches!(error, NgError::Refused(_));
                let why = error.to_string();
                tracing::warn!(name = %self.name, why, "media not carried");
                AnchorNews::Failed { id, turn, why: why.into(), refused }
            }
        };
        self.edge.tell_anchor(news).await;
    }

    /// Asks the engine that has the session; if it cannot do it, the others in turn.
    async fn ask(&mut self, order: &Describe) -> Result<String, NgError> {
        let had = self.engine.clone();
        let mut error = NgError::Silent;
        if let Some(engine) = &had {
            match self.ask_at(engine, order).await {
                Ok(sdp) => return Ok(self.done(order, sdp)),
                Err(why) => error = why,
            }
        }
        let refused = error != NgError::Silent;
        for engine in self.edge.by_load() {
            // An answer that an engine refuses may be one to an offer that it has never heard of.
            let replay = self.offer.clone().filter(|_| order.part == Part::Answer);
            if had.as_ref().is_some_and(|had| Arc::ptr_eq(had, &engine)) && (!refused || replay.is_none()) {
                continue;
            }
            self.answered = false;
            let replayed = match &replay {
                Some(offer) => self.ask_at(&engine, offer).await.map(|_| ()),
                None => Ok(()),
            };
            let asked = match replayed {
                Ok(()) => self.ask_at(&engine, order).await,
                Err(why) => Err(why),
            };
            match asked {
                Ok(sdp) => {
                    self.settle(&engine);
                    let seat = Seat { name: Arc::clone(&self.name), engine: engine.addr };
                    self.edge.tell_anchor(AnchorNews::Placed { id: self.id, seat }).await;
                    // Who gave the answer was told of the engine that is lost.
                    self.lost = replay.is_some();
                    return Ok(self.done(order, sdp));
                }
                Err(why) => {
                    self.delete(&engine).await;
                    error = if matches!(error, NgError::Refused(_)) { error } else { why };
                }
            }
        }
        Err(error)
    }

    fn done(&mut self, order: &Describe, sdp: String) -> String {
        match order.part {
            Part::Offer => self.offer = Some(order.clone()),
            Part::Answer => self.answered = true,
        }
        sdp
    }

    async fn ask_at(&self, engine: &Engine, order: &Describe) -> Result<String, NgError> {
        let text = std::str::from_utf8(&order.sdp);
        let text = text.map_err(|_| NgError::Refused("the description is not UTF-8".to_owned()))?;
        let command = match order.part {
            Part::Offer => "offer",
            Part::Answer => "answer",
        };
        let about = about(&self.name, order, text, self.answered, self.edge.network());
        sdp_of(&engine.ask(command, about).await?)
    }
}

/// What the engine is told of a description.
fn about(name: &str, order: &Describe, sdp: &str, known: bool, near: Option<&str>) -> Map<String, Value> {
    let tag = |end: End| match end {
        End::Far => "far",
        End::Near => "near",
    };
    let offerer = if order.part == Part::Offer { order.from } else { order.from.other() };
    let mut about = Map::new();
    let mut put = |key: &str, value: Value| {
        about.insert(key.to_owned(), value);
    };
    put("call-id", json!(name));
    put("from-tag", json!(tag(offerer)));
    if known || order.part == Part::Answer {
        put("to-tag", json!(tag(offerer.other())));
    }
    put("sdp", json!(sdp));
    put("replace", json!(["origin", "session-connection"]));
    if order.part == Part::Answer {
        return about;
    }
    match (order.profile.speaks, order.from) {
        (Speaks::WebRtc, End::Near) => {
            put("transport-protocol", json!("UDP/TLS/RTP/SAVPF"));
            put("ICE", json!("force"));
            put("rtcp-mux", json!(["offer", "require"]));
            put("SDES", json!(["off"]));
        }
        (Speaks::WebRtc, End::Far) => {
            put("transport-protocol", json!("RTP/AVP"));
            put("ICE", json!("remove"));
            put("rtcp-mux", json!(["demux"]));
        }
        (Speaks::Rtp, End::Near | End::Far) => put("ICE", json!("remove")),
    }
    if let (Some(far), Some(near)) = (order.profile.network.as_deref(), near) {
        put("direction", if order.from == End::Far { json!([far, near]) } else { json!([near, far]) });
    }
    about
}

async fn lost(engine: Option<&Engine>) {
    if let Some(engine) = engine {
        engine.lost().await;
    }
}
