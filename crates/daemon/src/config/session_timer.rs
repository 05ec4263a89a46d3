//! `session-timer`, `session-refresh-interval` and `min-se`, of the Application and of DNs.

use tandem_switch::directory::{OwnSessionTimer, SessionTimerMode};

use super::reader::{Located, Section};

const MODES: [(&str, SessionTimerMode); 3] =
    [("off", SessionTimerMode::Off), ("on", SessionTimerMode::On), ("required", SessionTimerMode::Required)];

/// RFC 4028 4: no shorter session interval is allowed.
const LEAST_S: u64 = 90;
const MOST_S: u64 = 86_400;

/// Reads the three keys.
pub fn read(table: &mut Section<'_>) -> OwnSessionTimer {
    let mode = table.choice("session-timer", &MODES);
    let interval = table.integer("session-refresh-interval", LEAST_S..=MOST_S);
    let min_se = table.integer("min-se", LEAST_S..=MOST_S);
    if let (Some(interval), Some(min_se)) = (&interval, &min_se)
        && interval.value < min_se.value
    {
        let text = format!(
            "`session-refresh-interval` {} is shorter than `min-se` {}",
            interval.value, min_se.value
        );
        table.fault(interval.at.clone(), text, "min-se is the shortest interval that this server agrees to");
    }
    let seconds = |found: Option<Located<u64>>| found.and_then(|found| u32::try_from(found.value).ok());
    OwnSessionTimer { mode, interval_s: seconds(interval), min_se_s: seconds(min_se) }
}
