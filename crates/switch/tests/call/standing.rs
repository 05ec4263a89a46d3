//! What a site says of itself when somebody asks whether it may be lost.

use std::sync::Arc;

use tandem_peer::Mode;
use tandem_peer::trunk::Phase;
use tandem_switch::{ExtensionNow, Input};

use crate::support::{Bed, CALLEE, OTHER, directory};

const UNREGISTERED: ExtensionNow = ExtensionNow { in_service: false, refresh_s: None };

fn registered(refresh_s: u32) -> ExtensionNow {
    ExtensionNow { in_service: true, refresh_s: Some(refresh_s) }
}

#[test]
fn extensions_are_told_page_by_page_as_they_stand() {
    let configured = directory(|_, _, _| {});
    let mut bed = Bed::with(Arc::clone(&configured));
    bed.register("1002", CALLEE);
    bed.register("1004", OTHER);
    let page = |bed: &Bed, from, most| bed.node.extensions_now(&configured, from, most).unwrap();
    let fixed = ExtensionNow { in_service: true, refresh_s: None };
    let all = [UNREGISTERED, registered(3600), fixed, registered(3600)];
    assert_eq!(page(&bed, 0, 100), all);
    assert_eq!([page(&bed, 0, 3), page(&bed, 3, 3)].concat(), all);
    assert!(page(&bed, 4, 3).is_empty());
}

#[test]
fn pages_of_a_configuration_that_is_not_in_force_any_more_are_not_told() {
    let (old, new) = (directory(|_, _, _| {}), directory(|_, extensions, _| extensions.truncate(2)));
    let mut bed = Bed::with(Arc::clone(&old));
    bed.node.handle_input(Input::Directory(Arc::clone(&new)), bed.now);
    assert_eq!(bed.node.extensions_now(&old, 0, 4), None);
    assert_eq!(bed.node.extensions_now(&new, 0, 4).unwrap().len(), 2);
    assert!(Arc::ptr_eq(&bed.node.standing().directory, &new));
}

#[test]
fn the_standing_has_mode_trunks_and_calls() {
    let mut bed = Bed::new();
    bed.established();
    let standing = bed.node.standing();
    assert_eq!((standing.mode, standing.draining), (Mode::SingleSite, false));
    assert_eq!((standing.calls.now, standing.calls.over_peer), (1, 0));
    let trunks: Vec<_> =
        standing.trunks.iter().map(|t| (&*t.name, t.peer, t.state, t.detection_s())).collect();
    let wanted = [("gateway", false, Phase::InService, 5), ("to-site-b", true, Phase::OutOfService, 15)];
    assert_eq!(trunks, wanted);
}
