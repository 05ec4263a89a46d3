//! Options of agents. They stand at the Application, at an Extension and at an Agent Login; at the Agent Login two of
//! them have shorter names.

use std::sync::Arc;
use std::time::Duration;

use tandem_switch::directory::AgentOptions;
use tandem_switch::directory::floor::{NoAnswerAction, NoAnswerOverflow, OnUnregister, StrictId, WrapUp};

use super::numbers;
use super::reader::Section;
use super::target::Target;

/// `untimed-wrap-up-value` where the configuration names none.
pub const UNTIMED_WRAP_UP: u64 = 1_000;
/// Longest `wrap-up-time`, `legal-guard-time` and other times of agents, s.
const MAX_TIME_S: u64 = 86_400;
/// Longest `auto-logout-timeout`, minutes: what the vendor's option takes.
const MAX_AUTO_LOGOUT_MIN: u64 = 35_791;
/// Longest `agent-no-answer-timeout`, s.
const MAX_NO_ANSWER_S: u64 = 600;
/// Destinations in one `agent-no-answer-overflow`.
const MAX_OVERFLOW: usize = 16;

/// Where the options stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `[TServer]` or `[[extension]]`.
    Application,
    /// `[[agent-login]]`.
    Login,
}

/// Reads the options; `untimed` is the `wrap-up-time` that means without end. Destinations that calls overflow to are
/// added to `targets`: they are looked up when everything is known.
pub fn read(table: &mut Section<'_>, level: Level, untimed: u64, targets: &mut Vec<Target>) -> AgentOptions {
    let (action, overflow) = match level {
        Level::Application => ("agent-no-answer-action", "agent-no-answer-overflow"),
        Level::Login => ("no-answer-action", "no-answer-overflow"),
    };
    AgentOptions {
        wrap_up_time: wrap_up(table, untimed),
        timed_acw_in_idle: table.boolean("timed-acw-in-idle"),
        acw_in_idle_force_ready: table.boolean("acw-in-idle-force-ready"),
        legal_guard_time: seconds(table, "legal-guard-time", MAX_TIME_S),
        logout_on_out_of_service: table.boolean("logout-on-out-of-service"),
        logout_on_disconnect: table.boolean("logout-on-disconnect"),
        agent_logout_on_unreg: table.switch(
            "agent-logout-on-unreg",
            &[
                ("false", OnUnregister::Stay),
                ("true", OnUnregister::Logout),
                ("emu-only", OnUnregister::EmuOnly),
            ],
        ),
        agent_emu_login_on_call: table.boolean("agent-emu-login-on-call"),
        agent_strict_id: table.switch(
            "agent-strict-id",
            &[("false", StrictId::Any), ("true", StrictId::Configured), ("passwd", StrictId::Password)],
        ),
        auto_logout_timeout: table
            .integer("auto-logout-timeout", 0..=MAX_AUTO_LOGOUT_MIN)
            .map(|found| Duration::from_secs(found.value * 60)),
        agent_no_answer_timeout: seconds(table, "agent-no-answer-timeout", MAX_NO_ANSWER_S),
        agent_no_answer_action: table.choice(
            action,
            &[
                ("none", NoAnswerAction::None),
                ("notready", NoAnswerAction::NotReady),
                ("logout", NoAnswerAction::Logout),
            ],
        ),
        agent_no_answer_overflow: no_answer_overflow(table, overflow, targets),
        inbound_bsns_calls: table.boolean("inbound-bsns-calls"),
        outbound_bsns_calls: table.boolean("outbound-bsns-calls"),
        internal_bsns_calls: table.boolean("internal-bsns-calls"),
        connect_nailedup_on_login: nailed_up(table, targets),
        disconnect_nailedup_timeout: seconds(table, "disconnect-nailedup-timeout", MAX_TIME_S),
    }
}

fn seconds(table: &mut Section<'_>, key: &'static str, most: u64) -> Option<Duration> {
    super::application::seconds(table, key, 0, most)
}

fn wrap_up(table: &mut Section<'_>, untimed: u64) -> Option<WrapUp> {
    let key = "wrap-up-time";
    if table.is_string(key) {
        return table.choice(key, &[("untimed", WrapUp::Untimed)]);
    }
    let found = table.integer(key, 0..=MAX_TIME_S.max(untimed))?.value;
    Some(if found == untimed { WrapUp::Untimed } else { WrapUp::Timed(Duration::from_secs(found)) })
}

fn no_answer_overflow(
    table: &mut Section<'_>,
    key: &'static str,
    targets: &mut Vec<Target>,
) -> Option<Vec<NoAnswerOverflow>> {
    let expected = "\"none\", \"recall\", \"release\" or a number to send the call to";
    let steps = table.list(key, expected, |text| match text {
        "none" => Ok(NoAnswerOverflow::None),
        "recall" => Ok(NoAnswerOverflow::Recall),
        "release" => Ok(NoAnswerOverflow::Release),
        number => Ok(NoAnswerOverflow::To(numbers::one(number)?.into())),
    })?;
    if let Some(beyond) = steps.get(MAX_OVERFLOW) {
        table.fault(
            beyond.at.clone(),
            format!("`{key}` names too many steps"),
            format!("at most {MAX_OVERFLOW}"),
        );
    }
    for step in &steps {
        if let NoAnswerOverflow::To(number) = &step.value {
            targets.push(Target { key, number: number.to_string(), at: step.at.clone() });
        }
    }
    Some(steps.into_iter().map(|step| step.value).collect())
}

fn nailed_up(table: &mut Section<'_>, targets: &mut Vec<Target>) -> Option<Arc<str>> {
    let (key, park) = ("connect-nailedup-on-login", "gcti::park");
    let found = table.parsed(key, "a Routing Point's number or \"gcti::park\"", |text| match text {
        text if text == park => Ok(text.to_owned()),
        number => numbers::one(number),
    })?;
    if found.value != park {
        targets.push(Target { key, number: found.value.clone(), at: found.at });
    }
    Some(found.value.into())
}
