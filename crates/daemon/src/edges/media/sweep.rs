//! Sessions that an engine has and nobody will end: those of an earlier process of this site that no leg has, or sessions
//! of legs that moved to another engine while this one was silent. Nothing is swept before it is known what goes on.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::MediaEdge;
use super::engine::Engine;
use super::place::Whose;
use crate::limits::{MAX_SWEPT, SWEEP_MEDIA_EVERY};

/// Sweeps an engine for ever, whenever it works.
pub async fn run(edge: Arc<MediaEdge>, engine: Arc<Engine>) {
    let mut suspects = BTreeSet::new();
    edge.all_taken_up().await;
    let mut ticks = interval(SWEEP_MEDIA_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        engine.works().await;
        once(&edge, &engine, &mut suspects).await;
    }
}

/// Deletes what nobody will end. What might only be on its way is looked at twice.
async fn once(edge: &MediaEdge, engine: &Engine, suspects: &mut BTreeSet<String>) {
    let about = Map::from_iter([("limit".to_owned(), json!(MAX_SWEPT))]);
    let Ok(answer) = engine.ask("list", about).await else { return };
    let names = answer.get("calls").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let before = std::mem::take(suspects);
    let places = edge.places();
    let mut gone = 0_usize;
    for name in names {
        let ends = match (edge.names().whose(name), places.get(name)) {
            (Whose::Foreign | Whose::Player, _) => false,
            (Whose::Past | Whose::Anchor, Some(at)) if *at == Some(engine.addr) => false,
            (Whose::Past, None) => true,
            (Whose::Past | Whose::Anchor, _) => {
                suspects.insert(name.to_owned());
                before.contains(name)
            }
        };
        if ends {
            let about =
                Map::from_iter([("call-id".to_owned(), json!(name)), ("delete-delay".to_owned(), json!(0))]);
            gone += usize::from(engine.ask("delete", about).await.is_ok());
        }
    }
    if gone > 0 {
        tracing::info!(engine = %engine.addr, sessions = gone, "sessions deleted that nobody would have ended");
    }
}
