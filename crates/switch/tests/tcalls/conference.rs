//! Conferences: one call of the T-Library, one call beneath for each party.

use tandem_switch::arena::Key;
use tandem_switch::call::News;
use tandem_switch::cti::calls::{NOBODY, Order};

use super::consult::{AT, consulted};
use super::office::{Office, c, directory};

/// 1001, 1002 and 1003 in a conference, each by a call of its own.
fn conference(office: &mut Office) -> [Key; 3] {
    let (key, consult) = consulted(office);
    let (ticket, _) = office.order("TCompleteConference", &[AT, ("ConnID", &c(1)), ("ConsultConnID", &c(2))]);
    let keys = [office.key(), office.key(), office.key()];
    for (leg, at) in [(key, 0), (key, 1), (consult, 1)].into_iter().zip(keys) {
        office.moved(leg, (at, 0));
    }
    office.news(key, News::Over);
    office.news(consult, News::Over);
    office.done(ticket);
    keys
}

#[test]
fn completing_a_conference_adds_the_party_and_releases_the_consultation() {
    let mut office = Office::new();
    let (key, consult) = consulted(&mut office);
    let (ticket, order) =
        office.order("TCompleteConference", &[AT, ("ConnID", &c(1)), ("ConsultConnID", &c(2))]);
    assert_eq!(order, Order::Conference { ticket, key, consult, moved: 1 });
    let legs = office.calls.conference_legs(key, (consult, 1));
    assert_eq!(legs, [(key, 0), (key, 1), (consult, 1)]);
    for leg in legs {
        let mixed = office.key();
        office.moved(leg, (mixed, 0));
    }
    let events = [
        "c2 1002 Released(Conferenced) >1003 was c1 #2",
        "c1 1001 PartyAdded(Conferenced) >1003 by 1002",
        "c1 1002 PartyAdded(Conferenced) >1003 by 1002",
        "c1 1003 PartyChanged(Conferenced) by 1002 was c2",
    ];
    assert_eq!(office.events(), events);
    assert_eq!(office.orders(), [Order::Release { ticket: NOBODY, key: consult, leg: 0 }]);
    office.news(key, News::Over);
    office.news(consult, News::Over);
    assert_eq!(office.told(), Vec::<String>::new());
    assert_eq!(office.calls.parties(1).len(), 3);
}

#[test]
fn a_party_dropped_from_a_conference_is_released_and_the_rest_hear_of_it() {
    let mut office = Office::new();
    let keys = conference(&mut office);
    office.told();
    office.orders();
    let (ticket, order) =
        office.order("TDeleteFromConference", &[AT, ("ConnID", &c(1)), ("OtherDN", "1003")]);
    assert_eq!(order, Order::Release { ticket, key: keys[2], leg: 0 });
    office.ended(keys[2], 0);
    let events =
        ["c1 1003 Released", "c1 1001 PartyDeleted >1003 by 1002", "c1 1002 PartyDeleted >1003 by 1002 #3"];
    assert_eq!(office.events(), events);
}

#[test]
fn nobody_stays_in_a_conference_alone() {
    let mut office = Office::new();
    let keys = conference(&mut office);
    office.orders();
    office.ended(keys[0], 0);
    assert_eq!(office.orders(), []);
    office.ended(keys[1], 0);
    assert_eq!(office.orders(), [Order::Release { ticket: NOBODY, key: keys[2], leg: 0 }]);
    office.ended(keys[2], 0);
    for key in keys {
        office.news(key, News::Over);
    }
    office.assert_empty();
}

#[test]
fn without_a_mixer_a_conference_is_refused() {
    let mut office = Office::with(directory(false));
    consulted(&mut office);
    let complete = [AT, ("ConnID", &c(1)), ("ConsultConnID", &c(2))];
    assert_eq!(office.ask("TCompleteConference", &complete), Err(166));
}

#[test]
fn a_conference_takes_further_parties_without_moving_those_who_are_in_it() {
    let mut office = Office::new();
    let keys = conference(&mut office);
    let consult = office.key();
    let legs = office.calls.conference_legs(keys[0], (consult, 1));
    assert_eq!(legs, [(consult, 1)]);
}
