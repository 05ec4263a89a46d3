//! The loss of a server, rehearsed: the one that serves ends as by `kill -9`, with no word to anybody and nothing stored beyond what
//! is, and begins anew as one that stands by. Only while another can take over.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tandem_quorum::{Kind, MemberStatus, Seat, Status, Timing};

use super::About;
use super::orders::{No, conflict};
use super::page::reasons;
use crate::config::Arbitration;
use crate::limits::FAILS_AFTER;

/// Whether somebody takes over when this server is lost.
pub(super) async fn may(about: &About) -> Result<(), No> {
    let status = about.status().await?;
    let seen = about.links.as_ref().map(|links| links.seen()).unwrap_or_default();
    let arbitration = about.configured.map(|(_, arbitration)| arbitration);
    let lacks = |member: &MemberStatus| reasons(member, seen.iter().find(|seen| seen.id == member.info.id));
    survives(&status, arbitration, lacks).map_err(|why| conflict(&why))
}

fn survives(
    status: &Status,
    arbitration: Option<Arbitration>,
    lacks: impl Fn(&MemberStatus) -> Vec<String>,
) -> Result<(), String> {
    if status.serving.is_none() {
        return Err("this server does not serve: ask the one that does".to_owned());
    }
    if arbitration == Some(Arbitration::Manual) {
        return Err(
            "arbitration is \"manual\": nobody would take over by himself. Rehearse it by hand: stop this server, and \
             `tandem ha takeover` at the backup"
                .to_owned(),
        );
    }
    if status.voters_change {
        return Err("the set of voters is about to change: wait until `tandem ha status` shows it".to_owned());
    }
    let others = || status.members.iter().filter(|member| member.info.id != status.id);
    let servers = others().filter(|member| member.info.kind == Kind::Server);
    let faults: Vec<Vec<String>> = servers
        .map(|member| {
            let mut why = lacks(member);
            if member.info.seat != Seat::Voter {
                why.push("has no vote".to_owned());
            }
            why.iter_mut().for_each(|why| *why = format!("member {} {why}", member.info.id));
            why
        })
        .collect();
    if faults.is_empty() {
        return Err("there is no other server that could take over: the site would be lost".to_owned());
    }
    if faults.iter().all(|why| !why.is_empty()) {
        return Err(format!("nobody is ready to take over: {}", faults.concat().join("; ")));
    }
    let voters = status.members.iter().filter(|member| member.votes).count();
    let heard =
        |member: &&MemberStatus| member.heard.is_some_and(|heard| heard < Timing::default().election());
    let left = others().filter(|member| member.votes).filter(heard).count();
    if left <= voters / 2 {
        return Err(format!(
            "without this server {left} of {voters} votes would be left, and nobody could be elected: see `tandem ha status` for \
             who is not heard"
        ));
    }
    Ok(())
}

/// Answers, and ends.
pub(super) fn fall(about: &About, by: &str) -> Response {
    tracing::warn!(%by, "this server ends by command, as by kill -9: its loss is rehearsed");
    tokio::spawn(async {
        tokio::time::sleep(FAILS_AFTER).await;
        // The other threads end with the old program, whatever they are doing: there is nobody who could say farewell.
        let error = crate::serve::begin_anew();
        tracing::error!(%error, "this server is lost indeed");
        std::process::abort();
    });
    let within = u64::try_from(FAILS_AFTER.as_millis()).unwrap_or(u64::MAX);
    (StatusCode::OK, Json(json!({ "name": &*about.name, "ends_in_ms": within }))).into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tandem_quorum::{Lease, MemberId, MemberInfo, Standing};

    use super::*;

    fn member(id: u64, kind: Kind) -> MemberStatus {
        let info = MemberInfo { id: MemberId(id), kind, seat: Seat::Voter, address: format!("{id}:5071") };
        let heard = (id != 1).then_some(Duration::from_millis(20));
        MemberStatus { info, votes: true, heard, lag: Some(0), lag_time: None, snapshot_percent: None }
    }

    /// The primary's view of a pair with its witness.
    fn whole() -> Status {
        Status {
            id: MemberId(1),
            group: 7,
            generation: 0,
            standing: Standing::Leader { epoch: 3 },
            stopped: None,
            successor_heard: false,
            serving: Some(3),
            lease: Lease::None,
            last: 9,
            committed: 9,
            applied: 9,
            snapshot: 0,
            snapshot_bytes: 0,
            writes: 0,
            write_waits: Duration::ZERO,
            uncommitted: 0,
            members: vec![member(1, Kind::Server), member(2, Kind::Server), member(3, Kind::Witness)],
            voters_change: false,
        }
    }

    fn asked(change: impl FnOnce(&mut Status)) -> Result<(), String> {
        let mut status = whole();
        change(&mut status);
        survives(&status, Some(Arbitration::Witness), |member| reasons(member, None))
    }

    fn of(status: &mut Status, id: u64) -> &mut MemberStatus {
        status.members.iter_mut().find(|member| member.info.id == MemberId(id)).unwrap()
    }

    #[test]
    fn a_server_may_fail_while_another_can_take_over() {
        assert_eq!(asked(|_| ()), Ok(()));
    }

    #[test]
    fn a_server_does_not_fail_while_nobody_could_take_over() {
        let refused = |change: fn(&mut Status), why: &str| {
            let said = asked(change).unwrap_err();
            assert!(said.contains(why), "{why}: {said}");
        };
        refused(|status| status.serving = None, "does not serve");
        refused(|status| status.voters_change = true, "about to change");
        refused(|status| status.members.truncate(1), "no other server");
        refused(|status| of(status, 2).lag = Some(100_000), "member 2 100000 records behind");
        refused(
            |status| of(status, 2).heard = Some(Duration::from_secs(2)),
            "member 2 not heard for 2000 ms",
        );
        refused(|status| of(status, 2).votes = false, "does not vote yet");
        refused(|status| of(status, 2).info.seat = Seat::Learner, "member 2 has no vote");
        refused(|status| of(status, 3).heard = Some(Duration::from_secs(2)), "1 of 3 votes");
        refused(|status| of(status, 3).heard = None, "1 of 3 votes");
    }

    #[test]
    fn nobody_takes_over_by_himself_where_a_person_decides() {
        let said = survives(&whole(), Some(Arbitration::Manual), |member| reasons(member, None)).unwrap_err();
        assert!(said.contains("tandem ha takeover"), "{said}");
    }
}
