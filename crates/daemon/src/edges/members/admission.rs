//! What follows from what a member says of itself: whether there is a link, and whether its frames are taken.

use std::fmt;

use tandem_quorum::{MemberId, Roster};

use super::hello::Introduction;

/// What somebody with a certificate may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Terms {
    /// Speak: it is a member; or belongs to the same group in its own belief, and is to be told otherwise by the group; or
    /// this member belongs to no group, and whoever speaks first takes it into his.
    Speak,
    /// Listen: it belongs to no group, and this one has not added it yet.
    Listen,
}

/// Why there is no link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has this member's own name.
    Itself,
    /// It belongs to another group.
    OtherGroup {
        /// Which.
        theirs: u64,
        /// This one.
        ours: u64,
    },
    /// Another member than the one that the group knows there.
    OtherMember {
        /// Who should be there.
        wanted: MemberId,
        /// Who is.
        found: MemberId,
    },
    /// Its certificate is for somebody else.
    NotNamed {
        /// Whom it should name.
        host: String,
    },
    /// What it calls its address is none.
    Address(String),
    /// Too many are linked that do not belong to the group.
    Crowded,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str(
                "both have the same member id: the state directory of one was copied to the other. Stop one, empty its state \
                 directory and add it anew",
            ),
            Self::OtherGroup { theirs, ours } => write!(
                f,
                "it belongs to group {theirs:x}, this member to {ours:x}: one of them has the other's address, or has a state \
                 directory from another group"
            ),
            Self::OtherMember { wanted, found } => write!(
                f,
                "it is member {found}, and the group expects {wanted} there: was its state directory emptied? Then replace the \
                 one by the other"
            ),
            Self::NotNamed { host } => write!(
                f,
                "the certificate does not name {host}, at which the group reaches that member: make one that does (tandem ha \
                 certificates), or add the member under a name of its certificate"
            ),
            Self::Address(address) => write!(f, "\"{address}\" is not host:port"),
            Self::Crowded => f.write_str("too many are linked already that do not belong to the group"),
        }
    }
}

impl std::error::Error for Refusal {}

/// How a connection came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It was dialled at the address of a member, and its certificate names that.
    Dialled,
    /// It came.
    Accepted,
}

/// On which terms somebody is linked with. `names`: whether the certificate is for a host.
///
/// # Errors
/// Why not at all.
pub(super) fn admit(
    me: &Introduction,
    roster: &Roster,
    of: &Introduction,
    side: Side,
    names: impl Fn(&str) -> bool,
) -> Result<Terms, Refusal> {
    if of.id == me.id {
        return Err(Refusal::Itself);
    }
    if of.group != 0 && me.group != 0 && of.group != me.group {
        return Err(Refusal::OtherGroup { theirs: of.group, ours: me.group });
    }
    let member = roster.get(of.id);
    if side == Side::Accepted {
        let address = member.map_or(&of.address, |member| &member.address);
        let (host, _) = host_and_port(address).ok_or_else(|| Refusal::Address(address.clone()))?;
        if !names(host) {
            return Err(Refusal::NotNamed { host: host.to_owned() });
        }
    }
    let may_speak = member.is_some() || me.group == 0 || of.group == me.group;
    Ok(if may_speak { Terms::Speak } else { Terms::Listen })
}

/// The two parts of an address. An IPv6 address stands in brackets, which are taken off.
pub(super) fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use tandem_quorum::{Kind, MemberInfo, Seat};

    use super::*;

    fn member(id: u64, group: u64) -> Introduction {
        let address = format!("192.0.2.{id}:5070");
        let (name, version) = (String::new(), String::new());
        Introduction { id: MemberId(id), kind: Kind::Server, group, name, version, address }
    }

    fn roster(ids: &[u64]) -> Roster {
        Roster::new(ids.iter().map(|id| MemberInfo {
            id: MemberId(*id),
            kind: Kind::Server,
            seat: Seat::Voter,
            address: format!("192.0.2.{id}:5070"),
        }))
    }

    fn came(me: &Introduction, roster: &Roster, of: &Introduction, named: &str) -> Result<Terms, Refusal> {
        admit(me, roster, of, Side::Accepted, |host| host == named)
    }

    #[test]
    fn who_comes_must_have_a_certificate_for_where_the_group_reaches_him() {
        let (me, group) = (member(11, 7), roster(&[11, 12]));
        assert_eq!(came(&me, &group, &member(12, 7), "192.0.2.12"), Ok(Terms::Speak));
        let host = "192.0.2.12".to_owned();
        let refused = Err(Refusal::NotNamed { host });
        assert_eq!(came(&me, &group, &member(12, 7), "192.0.2.13"), refused, "13 speaks for 12");
        let moved = Introduction { address: "192.0.2.13:5070".to_owned(), ..member(12, 7) };
        assert_eq!(came(&me, &group, &moved, "192.0.2.13"), refused, "the group's word counts, not his own");
    }

    #[test]
    fn whoever_has_a_certificate_may_speak_to_a_member_without_a_group() {
        let joiner = member(12, 0);
        assert_eq!(came(&joiner, &Roster::default(), &member(11, 7), "192.0.2.11"), Ok(Terms::Speak));
        let wrong = came(&joiner, &Roster::default(), &member(11, 7), "192.0.2.99");
        assert!(matches!(wrong, Err(Refusal::NotNamed { .. })), "{wrong:?}");
    }

    #[test]
    fn a_group_listens_to_its_own_and_to_those_who_were_dismissed_and_do_not_know_it() {
        let (me, group) = (member(11, 7), roster(&[11]));
        assert_eq!(came(&me, &group, &member(12, 7), "192.0.2.12"), Ok(Terms::Speak));
        assert_eq!(came(&me, &group, &member(12, 0), "192.0.2.12"), Ok(Terms::Listen));
        let other = Err(Refusal::OtherGroup { theirs: 8, ours: 7 });
        assert_eq!(came(&me, &group, &member(12, 8), "192.0.2.12"), other);
        assert_eq!(came(&me, &group, &member(11, 7), "192.0.2.11"), Err(Refusal::Itself));
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        assert_eq!(host_and_port("192.0.2.1:5070"), Some(("192.0.2.1", 5070)));
        assert_eq!(host_and_port("[2001:db8::1]:5070"), Some(("2001:db8::1", 5070)));
        assert_eq!(host_and_port("b.example:1"), Some(("b.example", 1)));
        for bad in ["", "b.example", "b.example:", "b.example:0", ":5070", "2001:db8::1:5070", "[::1:5070"] {
            assert_eq!(host_and_port(bad), None, "{bad}");
        }
    }
}
