//! A configuration of machines with ten signals each, and an engine that has finished learning them.

use std::{fmt::Write as _, net::SocketAddr, time::Duration};

use bellwether::config::{Config, Setup};
use bellwether_analytics::{AnalyticsConfig, Engine, Input};
use bellwether_domain::{Reading, TagId, Timestamp};

/// Signals of a machine: two drivers, eight that are judged.
const SIGNALS: u16 = 10;
/// Rows that an engine needs to finish learning, and some more.
const ROWS: u32 = 600;

/// So many registers of each device, a tag each.
pub(crate) fn setup(devices: &[SocketAddr], registers: u16, poll_ms: u64) -> anyhow::Result<Setup> {
    let mut text = String::from("[site]\nenterprise = \"bench\"\nsite = \"loopback\"\n");
    for (device, address) in devices.iter().enumerate() {
        for machine in 0..registers / SIGNALS {
            writeln!(
                text,
                "[[asset]]\npath = \"hall/line-{device}/pump-{device}-{machine}\"\nkind = \"pump\"\n\
                 running_when = {{ tag = \"pump-{device}-{machine}.s0\", above = 1.0 }}"
            )?;
        }
        writeln!(
            text,
            "[[modbus]]\nname = \"plc-{device}\"\nendpoint = \"{address}\"\npoll_interval_ms = {poll_ms}\n\
             timeout_ms = 1000"
        )?;
        for register in 0..registers {
            let (machine, signal) = (register / SIGNALS, register % SIGNALS);
            let role = if signal < 2 { "driver" } else { "condition" };
            writeln!(
                text,
                "[[modbus.tag]]\nname = \"pump-{device}-{machine}.s{signal}\"\n\
                 asset = \"hall/line-{device}/pump-{device}-{machine}\"\nunit = \"mm/s\"\nrole = \"{role}\"\n\
                 register = {{ kind = \"holding\", address = {register}, type = \"u16\" }}\nscale = 0.01"
            )?;
            if signal == 2 {
                writeln!(text, "failure_above = 1000000.0")?;
            }
        }
    }
    Ok(Config::parse("bench".as_ref(), &text)?.setup("bench".as_ref(), 1.0)?)
}

/// An engine that has seen enough of such numbers, up to now.
pub(crate) fn learnt_engine(setup: &Setup, now: Timestamp) -> Engine {
    let mut engine = Engine::new(setup.plant.clone(), AnalyticsConfig::default(), None);
    let count = u32::try_from(setup.plant.tags.len()).unwrap_or(u32::MAX);
    let period = setup.plant.assets.first().map_or(Duration::ZERO, |asset| asset.frame_period);
    let (mut state, mut out) = (7, Vec::new());
    for row in 0..ROWS {
        let at = now.saturating_sub(period * (ROWS - row));
        let readings: Vec<_> = (0..count)
            .map(|id| {
                let raw =
                    f64::from(u16::try_from(1_000 + noise(&mut state) % 100).unwrap_or(1_000));
                Reading::new(TagId(id), at, raw * 0.01)
            })
            .collect();
        out.clear();
        engine.step(at, Input::Readings(&readings), &mut out);
    }
    let learnt = engine.status(now);
    let judged = learnt.assets.iter().filter(|asset| asset.learning_ratio >= 1.0).count();
    println!("  {judged} of {} machines have finished learning", learnt.assets.len());
    engine
}

/// Numbers that look random: SplitMix64 (Steele et al. 2014).
pub(crate) fn noise(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
