//! Routing Points: calls that wait until a routing application says where they go, or for their default.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tandem_peer::Replicated;

use super::history::{CallStep, Coming};
use super::record::Place;
use super::timers::{Due, Timer};
use super::waiting::TurnedAway;
use super::{Desk, OverflowWhy, Queues, Wish};
use crate::directory::floor::RoutingPoint;
use crate::limits::MAX_QUEUED;
use crate::time::Deadline;

/// A Routing Point.
#[derive(Debug)]
pub(super) struct Point {
    default_dn: Option<Arc<str>>,
    /// Zero is for ever.
    router_timeout: Duration,
    /// Routing applications that have registered it.
    routers: usize,
    /// Calls by arrival.
    pub order: BTreeSet<Turn>,
}

/// Where a call stands at a routing point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub since_unix_ms: u64,
    pub seq: u64,
    pub conn: u64,
}

/// A call at a routing point.
#[derive(Debug)]
pub(super) struct Parked {
    pub place: Replicated<Place>,
    pub turn: Turn,
    due: Due,
    at_once: u32,
}

impl Point {
    fn new(point: &RoutingPoint) -> Self {
        let mut made =
            Self { default_dn: None, router_timeout: Duration::ZERO, routers: 0, order: BTreeSet::new() };
        made.read(point);
        made
    }

    fn read(&mut self, point: &RoutingPoint) {
        self.default_dn.clone_from(&point.default_dn);
        self.router_timeout = point.router_timeout;
    }

    fn asks_until(&self, entered_unix_ms: u64) -> Option<u64> {
        let until = || Deadline::after(entered_unix_ms, self.router_timeout).unix_ms();
        (!self.router_timeout.is_zero()).then(until)
    }
}

impl Queues {
    pub(super) fn enter_point(
        &mut self,
        desk: &mut Desk<'_>,
        place: Place,
        at_once: u32,
        stored: Option<Replicated<Place>>,
    ) {
        let Some(point) = self.points.get_mut(&place.at) else { return };
        let full = point.order.len() >= MAX_QUEUED;
        if point.routers == 0 || full {
            let why = if full { OverflowWhy::Length } else { OverflowWhy::NoRouter };
            let away = TurnedAway {
                conn: place.conn,
                at: place.at.clone(),
                to: point.default_dn.clone(),
                why,
                coming: Coming { since_unix_ms: place.since_unix_ms, at_once },
                waited: false,
            };
            return self.turn_away(desk, away, stored);
        }
        self.seq += 1;
        let (conn, at) = (place.conn, place.at.clone());
        let turn = Turn { since_unix_ms: place.since_unix_ms, seq: self.seq, conn };
        point.order.insert(turn);
        let until = point.asks_until(place.entered_unix_ms);
        let place = self.keep(desk, place, stored);
        let mut parked = Parked { place, turn, due: Due::default(), at_once };
        self.timers.set(conn, &mut parked.due, Timer::Router, until);
        self.parked.insert(conn, parked);
        self.past.note(conn, desk.now.unix_ms, CallStep::AskedRouter { at: at.clone() });
        self.wishes.push_back(Wish::AskRoute { conn, at });
    }

    fn take_parked(&mut self, conn: u64) -> Option<Parked> {
        let mut parked = self.parked.remove(&conn)?;
        self.timers.stop(conn, &mut parked.due);
        if let Some(point) = self.points.get_mut(&parked.place.at) {
            point.order.remove(&parked.turn);
        }
        Some(parked)
    }

    /// The call leaves its routing point. Its stored place is left to the caller.
    pub(super) fn unpark(&mut self, conn: u64) -> Option<Replicated<Place>> {
        self.take_parked(conn).map(|parked| parked.place)
    }

    /// The call goes to the default of its routing point.
    pub(super) fn default_route(&mut self, desk: &mut Desk<'_>, conn: u64, why: OverflowWhy) {
        let Some(parked) = self.parked.get(&conn) else { return };
        let at = parked.place.at.clone();
        let to = self.points.get(&at).and_then(|point| point.default_dn.clone());
        let Some(parked) = self.take_parked(conn) else { return };
        let coming = Coming { since_unix_ms: parked.place.since_unix_ms, at_once: parked.at_once };
        let waited = parked.place.entered_unix_ms < desk.now.unix_ms;
        self.turn_away(desk, TurnedAway { conn, at, to, why, coming, waited }, Some(parked.place));
    }

    fn default_routes(&mut self, desk: &mut Desk<'_>, at: &str, why: OverflowWhy) {
        let Some(point) = self.points.get(at) else { return };
        let conns: Vec<u64> = point.order.iter().map(|turn| turn.conn).collect();
        for conn in conns {
            self.default_route(desk, conn, why);
        }
    }

    pub(super) fn count_routers(&mut self, desk: &mut Desk<'_>, at: &str, count: usize) {
        let Some(point) = self.points.get_mut(at) else { return };
        point.routers = count;
        if count == 0 {
            self.default_routes(desk, at, OverflowWhy::NoRouter);
        }
    }

    /// Takes the routing points of a new configuration.
    pub(super) fn read_points(&mut self, desk: &mut Desk<'_>) {
        let gone: Vec<Arc<str>> =
            self.points.keys().filter(|at| desk.directory.routing_point(at).is_none()).cloned().collect();
        for at in gone {
            self.default_routes(desk, &at, OverflowWhy::Configuration);
            self.points.remove(&at);
        }
        for configured in &desk.directory.floor().routing_points {
            let number = Arc::clone(&configured.number);
            let point = self.points.entry(number).or_insert_with(|| Point::new(configured));
            point.read(configured);
            for turn in &point.order {
                if let Some(parked) = self.parked.get_mut(&turn.conn) {
                    let until = point.asks_until(parked.place.entered_unix_ms);
                    self.timers.set(turn.conn, &mut parked.due, Timer::Router, until);
                }
            }
        }
    }
}
