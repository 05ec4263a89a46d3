//! Subscriptions themselves: granted, refused, refreshed, ended (RFC 6665).

use std::sync::Arc;
use std::time::Duration;

use tandem_sip::HeaderName;
use tandem_sip::auth::{Challenge, Login, answer as digest};
use tandem_switch::Input;
use tandem_switch::directory::{DnClass, TrunkIdentity, Watchers};

use crate::support::{
    Bed, CALLEE, CALLER, GATEWAY, alone, answer, directory, header, in_dialog, with, without,
};
use crate::watcher::{WATCHER, accept, again, subscribe, told, watching};

#[test]
fn a_subscription_is_granted_and_told_at_once() {
    let mut bed = Bed::with(alone());
    let (ok, notify) = watching(&mut bed, "1002", "dialog;id=7");
    assert_eq!(header(&ok, HeaderName::Expires), "600");
    assert!(ok.header(HeaderName::Contact).is_some());
    assert_eq!(header(&notify, HeaderName::Event), "dialog;id=7");
    assert_eq!(header(&notify, HeaderName::SubscriptionState), "active;expires=600");
    assert_eq!(header(&notify, HeaderName::ContentType), "application/dialog-info+xml");
    assert_eq!(header(&notify, HeaderName::CallId), "sub1002dialog;id=7");
    assert_eq!(notify.request_uri(), Some(format!("sip:1004@{WATCHER}").as_bytes()));
    // The NOTIFY is in the dialog that the 200 made.
    assert_eq!(header(&notify, HeaderName::From), header(&ok, HeaderName::To));
    assert_eq!(bed.node.status(bed.now).subscriptions.dialog, 1);
}

#[test]
fn what_is_not_known_or_not_readable_is_refused_in_its_own_way() {
    let good = subscribe("1002", "dialog", 1, 600);
    for (text, status, name, value) in [
        (subscribe("1002", "presence", 1, 600), 489, HeaderName::AllowEvents, "dialog, reg, message-summary"),
        (without(&good, "Event"), 489, HeaderName::AllowEvents, "dialog, reg, message-summary"),
        (
            with(&good, "Accept: text/plain, application/pidf+xml"),
            406,
            HeaderName::Accept,
            "application/dialog-info+xml",
        ),
        (subscribe("1002", "dialog", 1, 59), 423, HeaderName::MinExpires, "60"),
        (with(&good, "Require: eventlist"), 420, HeaderName::Unsupported, "eventlist"),
        (subscribe("7777", "dialog", 1, 600), 404, HeaderName::Allow, ""),
        (subscribe("1002", "reg", 1, 600), 403, HeaderName::Allow, ""),
        (subscribe("1002", "message-summary", 1, 600), 403, HeaderName::Allow, ""),
        (good.replace("Expires: 600", "Expires: soon"), 400, HeaderName::Allow, ""),
        (without(&good, "Contact"), 400, HeaderName::Allow, ""),
    ] {
        let mut bed = Bed::with(alone());
        bed.receive(WATCHER, &text);
        let refusal = bed.one(WATCHER);
        assert_eq!((refusal.code(), header(&refusal, name)), (Some(status), value.to_owned()), "{text}");
        assert_eq!(bed.node.status(bed.now).subscriptions.dialog, 0);
    }
}

#[test]
fn any_way_of_naming_the_document_s_type_is_accepted() {
    for accept in [
        "application/dialog-info+xml",
        "text/plain, application/*;q=0.5",
        "*/*",
        "APPLICATION/Dialog-Info+XML",
    ] {
        let mut bed = Bed::with(alone());
        bed.receive(WATCHER, &with(&subscribe("1002", "dialog", 1, 600), &format!("Accept: {accept}")));
        assert_eq!(bed.take(WATCHER)[0].code(), Some(200), "{accept}");
    }
}

#[test]
fn why_a_subscription_was_refused_is_explained_by_its_call_id() {
    let mut bed = Bed::with(alone());
    bed.receive(WATCHER, &subscribe("1002", "reg", 1, 600));
    let why = bed.node.why("sub1002reg").expect("an explanation");
    let wanted = "Extension 1004 may not subscribe to reg of sip:1002@10.0.0.1: 403 Not Allowed to Watch";
    assert_eq!(why.steps[0].text, wanted);
}

#[test]
fn asking_once_brings_the_state_once() {
    let mut bed = Bed::with(alone());
    bed.receive(WATCHER, &subscribe("1002", "dialog", 1, 0));
    let mut got = bed.take(WATCHER);
    let notify = got.pop().unwrap();
    assert_eq!((got[0].code(), header(&got[0], HeaderName::Expires)), (Some(200), "0".to_owned()));
    assert_eq!(header(&notify, HeaderName::SubscriptionState), "terminated;reason=timeout");
    assert!(String::from_utf8_lossy(notify.body()).contains("state=\"full\""));
    accept(&mut bed, &notify);
    bed.nothing_stays();
    assert_eq!(bed.node.status(bed.now).subscriptions.dialog, 0);
}

#[test]
fn a_refresh_lengthens_it_and_tells_everything_anew() {
    let mut bed = Bed::with(alone());
    let (ok, _) = watching(&mut bed, "1002", "dialog");
    bed.pass(Duration::from_secs(500));
    bed.receive(WATCHER, &again(&ok, "1002", "dialog", 2, 600));
    let got = bed.take(WATCHER);
    assert_eq!((got[0].code(), header(&got[0], HeaderName::Expires)), (Some(200), "600".to_owned()));
    let text = String::from_utf8_lossy(got[1].body()).into_owned();
    assert!(text.contains("version=\"1\" state=\"full\""), "{text}");
    accept(&mut bed, &got[1]);
    bed.pass(Duration::from_secs(599));
    assert!(bed.take(WATCHER).is_empty());
    bed.pass(Duration::from_secs(2));
    assert_eq!(told(&mut bed).1, "terminated;reason=timeout");
    assert_eq!(bed.node.status(bed.now).subscriptions.dialog, 0);
    bed.receive(WATCHER, &again(&ok, "1002", "dialog", 3, 600));
    assert_eq!(bed.one(WATCHER).code(), Some(481), "it is over");
}

#[test]
fn a_refresh_that_is_wrong_changes_nothing() {
    let mut bed = Bed::with(alone());
    let (ok, _) = watching(&mut bed, "1002", "dialog");
    for (text, status) in [
        (again(&ok, "1002", "dialog", 2, 5), 423),
        (again(&ok, "1002", "dialog;id=other", 3, 600), 481),
        (again(&ok, "1002", "dialog", 1, 600).replace("z9hG4bKsub", "z9hG4bKold"), 500),
        (again(&ok, "1002", "dialog", 9, 600).replace("tag=w1002", "tag=stranger"), 481),
    ] {
        bed.receive(WATCHER, &text);
        assert_eq!(bed.one(WATCHER).code(), Some(status), "{text}");
    }
    bed.pass(Duration::from_secs(590));
    assert!(bed.take(WATCHER).is_empty(), "it lasts as long as it was granted");
    bed.pass(Duration::from_secs(11));
    assert_eq!(told(&mut bed).1, "terminated;reason=timeout");
}

#[test]
fn a_watcher_may_end_it() {
    let mut bed = Bed::with(alone());
    let (ok, _) = watching(&mut bed, "1002", "dialog");
    bed.receive(WATCHER, &again(&ok, "1002", "dialog", 2, 0));
    let got = bed.take(WATCHER);
    assert_eq!(got[0].code(), Some(200));
    assert_eq!(header(&got[1], HeaderName::SubscriptionState), "terminated;reason=timeout");
    accept(&mut bed, &got[1]);
    bed.nothing_stays();
}

#[test]
fn a_watcher_that_is_gone_is_forgotten() {
    for (status, stays) in [(481, false), (405, false), (503, false), (200, true)] {
        let mut bed = Bed::with(alone());
        bed.receive(WATCHER, &subscribe("1002", "dialog", 1, 600));
        let notify = bed.take(WATCHER).pop().unwrap();
        bed.receive(WATCHER, &answer(&notify, status, "", WATCHER, ""));
        assert_eq!(bed.node.status(bed.now).subscriptions.dialog, usize::from(stays), "{status}");
        assert_eq!(bed.node.counters().watchers_lost, u64::from(!stays), "{status}");
    }
    let mut bed = Bed::with(alone());
    bed.receive(WATCHER, &subscribe("1002", "dialog", 1, 600));
    bed.pass(Duration::from_secs(33));
    assert_eq!(bed.node.status(bed.now).subscriptions.dialog, 0, "silence");
    assert!(bed.take(WATCHER).len() > 5, "the NOTIFY was repeated");
}

#[test]
fn a_watcher_that_asks_for_time_is_told_later_and_everything() {
    let mut bed = Bed::with(alone());
    bed.receive(WATCHER, &subscribe("1002", "dialog", 1, 600));
    let notify = bed.take(WATCHER).pop().unwrap();
    bed.receive(WATCHER, &with(&answer(&notify, 503, "", WATCHER, ""), "Retry-After: 5 (busy)"));
    bed.pass(Duration::from_secs(4));
    assert!(bed.take(WATCHER).is_empty());
    bed.pass(Duration::from_secs(2));
    assert!(told(&mut bed).0.contains("version=\"1\" state=\"full\""));
}

#[test]
fn who_may_watch_whom_is_configured_for_all_and_for_each() {
    let only = |numbers: &[&str]| Watchers::Only(numbers.iter().map(|n| Box::from(*n)).collect());
    for (application, own, allowed) in [
        (Watchers::Everyone, None, true),
        (Watchers::Own, None, false),
        (Watchers::Own, Some(Watchers::Everyone), true),
        (Watchers::Everyone, Some(Watchers::Own), false),
        (Watchers::Everyone, Some(only(&["1001", "1003"])), false),
        (Watchers::Own, Some(only(&["1001", "1004"])), true),
    ] {
        let mut bed = Bed::with(directory(|options, extensions, _| {
            options.dr_peer_trunk = None;
            options.events.dialog_watchers = application.clone();
            extensions[1].class =
                Arc::new(DnClass { dialog_watchers: own.clone(), ..DnClass::clone(&extensions[1].class) });
        }));
        bed.receive(WATCHER, &subscribe("1002", "dialog", 1, 600));
        assert_eq!(
            bed.take(WATCHER)[0].code(),
            Some(if allowed { 200 } else { 403 }),
            "{application:?} {own:?}"
        );
        bed.receive(WATCHER, &subscribe("1004", "dialog", 1, 600));
        assert_eq!(bed.take(WATCHER)[0].code(), Some(200), "one's own calls may be watched");
    }
}

#[test]
fn somebody_unknown_is_asked_who_he_is() {
    let mut bed = Bed::with(directory(|options, _, _| options.authenticate.invite = true));
    bed.receive(WATCHER, &subscribe("1002", "dialog", 1, 600));
    let challenge = bed.one(WATCHER);
    assert_eq!(challenge.code(), Some(401));
    assert!(challenge.header(HeaderName::WwwAuthenticate).is_some());
    let line = header(&challenge, HeaderName::WwwAuthenticate);
    let asked = Challenge::parse(line.as_bytes()).unwrap();
    let login = Login { user: b"1004", password: b"secret-1004" };
    let credentials = digest(&asked, login, b"SUBSCRIBE", b"sip:1002@10.0.0.1", b"cnonce", 1);
    let credentials = format!("Authorization: {}", String::from_utf8(credentials).unwrap());
    bed.receive(WATCHER, &with(&subscribe("1002", "dialog", 2, 600), &credentials));
    assert_eq!(bed.take(WATCHER)[0].code(), Some(200));
}

#[test]
fn a_gateway_watches_only_if_it_is_trusted() {
    for trusted in [false, true] {
        let mut bed =
            Bed::with(directory(|_, _, trunks| trunks[0].identity = Arc::new(TrunkIdentity::usual(trusted))));
        for package in ["dialog", "reg"] {
            bed.receive(GATEWAY, &subscribe("1002", package, 1, 600).replace(WATCHER, GATEWAY));
            assert_eq!(bed.take(GATEWAY)[0].code(), Some(if trusted { 200 } else { 403 }), "{package}");
        }
    }
}

#[test]
fn a_new_configuration_ends_what_it_does_not_allow_any_more() {
    let mut bed = Bed::with(alone());
    watching(&mut bed, "1002", "dialog");
    watching(&mut bed, "1001", "dialog");
    let next = directory(|options, extensions, _| {
        options.dr_peer_trunk = None;
        extensions.remove(0);
        extensions[0].class =
            Arc::new(DnClass { dialog_watchers: Some(Watchers::Own), ..DnClass::default() });
    });
    bed.node.handle_input(Input::Directory(next), bed.now);
    bed.drain();
    let got = bed.take(WATCHER);
    let mut ends: Vec<String> = got.iter().map(|n| header(n, HeaderName::SubscriptionState)).collect();
    ends.sort();
    assert_eq!(ends, ["terminated;reason=noresource", "terminated;reason=rejected"]);
    got.iter().for_each(|notify| accept(&mut bed, notify));
    assert_eq!(bed.node.status(bed.now).subscriptions.dialog, 0);
}

#[test]
fn one_watcher_cannot_fill_the_table() {
    let mut bed = Bed::with(alone());
    for id in 0..tandem_switch::limits::MAX_SUBSCRIPTIONS_PER_WATCHER {
        bed.receive(WATCHER, &subscribe("1002", &format!("dialog;id={id}"), 1, 600));
        assert_eq!(bed.take(WATCHER)[0].code(), Some(200));
    }
    bed.receive(WATCHER, &subscribe("1002", "dialog;id=more", 1, 600));
    let refusal = bed.one(WATCHER);
    assert_eq!((refusal.code(), header(&refusal, HeaderName::RetryAfter)), (Some(503), "5".to_owned()));
    bed.receive(
        CALLER,
        &subscribe("1002", "dialog", 1, 600).replace("1004", "1001").replace(WATCHER, CALLER),
    );
    assert_eq!(bed.take(CALLER)[0].code(), Some(200), "others are not kept out");
    assert_eq!(bed.take(CALLEE).len(), 0);
}

#[test]
fn a_subscription_has_a_dialog_of_its_own() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    bed.receive(CALLER, &with(&in_dialog(&ok, "SUBSCRIBE", 2, CALLER, ""), "Event: dialog"));
    assert_eq!(bed.one(CALLER).code(), Some(403));
}
