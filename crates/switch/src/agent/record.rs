//! An agent's stored form.

use std::sync::Arc;
use std::time::Duration;

use tandem_cti::{KvList, Value, WorkMode};
use tandem_peer::replica::{Reader, Record, Writer};

use super::state::{Agent, Asked, Pause, PauseKind, Stance};
use crate::directory::floor::WrapUp;
use crate::limits::{MAX_LIST_DEPTH, MAX_QUEUES_OF_AGENT};

const MODES: [WorkMode; 9] = [
    WorkMode::Unknown,
    WorkMode::ManualIn,
    WorkMode::AutoIn,
    WorkMode::LegalGuard,
    WorkMode::AfterCallWork,
    WorkMode::AuxWork,
    WorkMode::NoCallDisconnect,
    WorkMode::WalkAway,
    WorkMode::ReturnBack,
];

impl Record for Agent {
    const KIND: u8 = 3;

    fn encode(&self, out: &mut Writer<'_>) {
        out.str(&self.dn);
        out.str(&self.agent_id);
        out.bool(self.configured);
        out.u64(self.client);
        out.u16(u16::try_from(self.queues.len()).unwrap_or(u16::MAX));
        self.queues.iter().for_each(|queue| out.str(queue));
        out.u64(self.login_unix_ms);
        put_mode(out, self.manner);
        out.option(self.wrap_up, put_wrap_up);
        out.bool(self.stance.ready);
        put_mode(out, self.stance.mode);
        put_list(out, &self.stance.reasons);
        out.option(self.pause.as_ref(), |out, pause| {
            out.bool(pause.kind == PauseKind::Guard);
            out.option(pause.until, Writer::deadline);
            put_list(out, &pause.reasons);
        });
        out.option(self.guard_until, Writer::deadline);
        put_wrap_up(out, self.owed);
        out.option(self.asked.as_ref(), |out, asked| {
            out.option(asked.wrap_up, put_wrap_up);
            put_list(out, &asked.reasons);
        });
        out.bool(self.told.0);
        put_mode(out, self.told.1);
        out.u64(self.since_unix_ms);
        out.u64(self.idle_since_unix_ms);
        out.u64(self.call_over_unix_ms);
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let agent = Self {
            dn: fields.str()?.into(),
            agent_id: fields.str()?.into(),
            configured: fields.bool()?,
            client: fields.u64()?,
            queues: queues(fields)?,
            login_unix_ms: fields.u64()?,
            manner: mode(fields)?,
            wrap_up: fields.option(wrap_up)?,
            stance: Stance { ready: fields.bool()?, mode: mode(fields)?, reasons: list(fields)? },
            pause: fields.option(pause)?,
            guard_until: fields.option(Reader::deadline)?,
            owed: wrap_up(fields)?,
            asked: fields
                .option(|fields| Some(Asked { wrap_up: fields.option(wrap_up)?, reasons: list(fields)? }))?,
            told: (fields.bool()?, mode(fields)?),
            since_unix_ms: fields.u64()?,
            idle_since_unix_ms: fields.u64()?,
            call_over_unix_ms: fields.u64()?,
        };
        Some(agent)
    }
}

fn queues(fields: &mut Reader<'_>) -> Option<Vec<Arc<str>>> {
    let count = fields.u16()?;
    if usize::from(count) > MAX_QUEUES_OF_AGENT {
        return None;
    }
    (0..count).map(|_| fields.str().map(Arc::from)).collect()
}

fn pause(fields: &mut Reader<'_>) -> Option<Pause> {
    Some(Pause {
        kind: if fields.bool()? { PauseKind::Guard } else { PauseKind::Wrap },
        until: fields.option(Reader::deadline)?,
        reasons: list(fields)?,
    })
}

fn put_mode(out: &mut Writer<'_>, mode: WorkMode) {
    let code = (0u8..).zip(MODES).find(|(_, known)| *known == mode);
    out.u8(code.map_or(0, |(code, _)| code));
}

fn mode(fields: &mut Reader<'_>) -> Option<WorkMode> {
    MODES.get(usize::from(fields.u8()?)).copied()
}

/// `u64::MAX` ms is untimed.
fn put_wrap_up(out: &mut Writer<'_>, wrap_up: WrapUp) {
    out.u64(match wrap_up {
        WrapUp::Timed(time) => u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1).min(u64::MAX - 1),
        WrapUp::Untimed => u64::MAX,
    });
}

fn wrap_up(fields: &mut Reader<'_>) -> Option<WrapUp> {
    Some(match fields.u64()? {
        u64::MAX => WrapUp::Untimed,
        ms => WrapUp::Timed(Duration::from_millis(ms)),
    })
}

fn put_list(out: &mut Writer<'_>, list: &KvList) {
    out.u32(u32::try_from(list.len()).unwrap_or(u32::MAX));
    for (key, value) in list {
        out.str(key);
        match value {
            Value::Int(number) => {
                out.u8(0);
                out.u64(number.cast_unsigned());
            }
            Value::Text(text) => {
                out.u8(1);
                out.str(text);
            }
            Value::List(inner) => {
                out.u8(2);
                put_list(out, inner);
            }
        }
    }
}

fn list(fields: &mut Reader<'_>) -> Option<KvList> {
    list_at(fields, 1)
}

fn list_at(fields: &mut Reader<'_>, depth: usize) -> Option<KvList> {
    if depth > MAX_LIST_DEPTH {
        return None;
    }
    let count = fields.u32()?;
    let mut list = KvList::new();
    for _ in 0..count {
        let key = fields.str()?.to_owned();
        let value = match fields.u8()? {
            0 => Value::Int(fields.u64()?.cast_signed()),
            1 => Value::Text(fields.str()?.to_owned()),
            2 => Value::List(list_at(fields, depth + 1)?),
            _ => return None,
        };
        list.insert(key, value);
    }
    Some(list)
}
