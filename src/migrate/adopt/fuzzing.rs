//! What must hold for the hashes and times of the legacy system.

use chrono::DateTime;

use super::{agents, zone::Zone};

/// A hash of an agent, its fields and values each ended by 0: an agent that is made of it can be stored and read.
pub(in crate::migrate) fn legacy(data: &[u8]) {
    let fields: Vec<Vec<u8>> = data.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
    for zone in [Zone::default(), Zone::hours(2), Zone::hours(-14)] {
        let Some(agent) = agents::agent_of(zone, "a name", &fields, now) else { continue };
        let written = serde_json::to_string(&agent).expect("an agent is plain JSON");
        let again: crate::model::Agent =
            serde_json::from_str(&written).unwrap_or_else(|e| panic!("{e}: {written}"));
        assert_eq!(serde_json::to_string(&again).ok(), Some(written));
    }
}
