//! Servers that are configured differently.

use super::*;

#[tokio::test]
async fn keys_that_differ_are_named_at_both_servers_until_they_are_alike_again() {
    let authority = Authority::new().unwrap();
    let (one, two) = (Member::start(&authority, 11), Member::start(&authority, 12));
    acquaint(&[&one, &two]);
    let alike = |a: &Member, b: &Member| a.seen(b).is_some_and(|seen| seen.differing == Some(Vec::new()));
    until(|| alike(&one, &two) && alike(&two, &one)).await;

    two.links.summary(summary("another"));
    let realm = ["[application] realm"];
    until(|| one.links.differing() == realm && two.links.differing() == realm).await;
    one.links.summary(summary("another"));
    until(|| one.links.differing().is_empty() && two.links.differing().is_empty()).await;
}

#[tokio::test]
async fn a_hundred_thousand_extensions_are_compared() {
    let authority = Authority::new().unwrap();
    let (one, two) = (Member::start(&authority, 11), Member::start(&authority, 12));
    let keys = |odd: u32| {
        Summary::new((0..100_000).map(|n| (format!("[[extension]] {n}"), [u8::from(n == odd); 32])))
    };
    one.links.summary(keys(7));
    two.links.summary(keys(99_999));
    acquaint(&[&one, &two]);
    let wanted = ["[[extension]] 7", "[[extension]] 99999"];
    until(|| one.links.differing() == wanted && two.links.differing() == wanted).await;
}

#[tokio::test]
async fn a_witness_is_told_nothing_of_the_configuration() {
    let authority = Authority::new().unwrap();
    let (one, two) = (Member::start(&authority, 11), Member::start(&authority, 12));
    let witness = Member::of_kind(&authority, 13, Kind::Witness, GROUP);
    two.links.summary(summary("another"));
    acquaint(&[&one, &two, &witness]);
    until(|| !one.links.differing().is_empty() && one.is_linked(&witness) && witness.is_linked(&two)).await;
    assert_eq!(one.seen(&witness).unwrap().differing, None);
    assert!(witness.links.seen().iter().all(|seen| seen.differing.is_none()));
    assert!(witness.links.differing().is_empty());
}

#[tokio::test]
async fn of_a_server_that_left_the_group_no_difference_remains() {
    let authority = Authority::new().unwrap();
    let (one, two) = (Member::start(&authority, 11), Member::start(&authority, 12));
    two.links.summary(summary("another"));
    acquaint(&[&one, &two]);
    until(|| !one.links.differing().is_empty()).await;
    one.links.roster(&roster(&[&one]));
    assert!(one.links.differing().is_empty());
}
