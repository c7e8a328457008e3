//! `[[modbus.waveform]]`: a burst of samples that a device keeps in a file (function 0x14).

use std::time::Duration;

use bellwether_domain::{Meaning, Role, TagId};
use serde::Deserialize;

use super::{Encoding, ModbusConfig, Order, ValueType, WaveformSource, file_record::RECORDS};
use crate::{TagMeta, WaveformMeta};

/// One `[[modbus.waveform]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModbusWaveformConfig {
    /// Unique in the plant, for example `spindle-1.waveform`.
    pub name: String,
    /// Path of the asset it observes.
    pub asset: String,
    /// UCUM text.
    #[serde(default)]
    pub unit: String,
    /// Unit asked, if not that of the section.
    pub unit_id: Option<u8>,
    /// Number of the file, from 1.
    pub file: u16,
    /// First record of the burst, from 0; a record is one register.
    #[serde(default)]
    pub record: u16,
    /// How many samples the burst has.
    pub samples: u16,
    /// How each sample is coded.
    #[serde(rename = "type", default = "default_value_type")]
    pub value_type: ValueType,
    /// Order of bytes, if not that of the section.
    pub order: Option<Order>,
    /// Value = raw × scale + offset.
    #[serde(default = "default_scale")]
    pub scale: f64,
    /// Value = raw × scale + offset.
    #[serde(default)]
    pub offset: f64,
    /// Samples per second.
    pub sample_rate_hz: f64,
    /// Wall time from one burst to the next.
    #[serde(default = "default_period_ms")]
    pub period_ms: u64,
}

const fn default_value_type() -> ValueType {
    ValueType::I16
}

const fn default_scale() -> f64 {
    1.0
}

const fn default_period_ms() -> u64 {
    60_000
}

impl ModbusWaveformConfig {
    /// What the plant is to know about it.
    pub(super) fn meta(&self) -> TagMeta {
        TagMeta {
            name: self.name.clone(),
            asset: self.asset.clone(),
            unit: self.unit.clone(),
            range: None,
            role: Role::Information,
            meaning: Meaning::Measurement,
            failure_above: None,
            failure_below: None,
            waveform: Some(WaveformMeta {
                sample_rate_hz: self.sample_rate_hz,
                period_ms: self.period_ms,
            }),
        }
    }

    /// The validated waveform.
    pub(super) fn source(&self, section: &ModbusConfig, id: TagId) -> WaveformSource {
        let order = self.order.unwrap_or(section.order);
        WaveformSource {
            id,
            unit: self.unit_id.unwrap_or(section.unit_id),
            file: self.file,
            record: self.record,
            samples: self.samples,
            encoding: Encoding { value_type: self.value_type, order, bit: 0 },
            scale: self.scale,
            offset: self.offset,
            sample_rate_hz: self.sample_rate_hz,
            period: Duration::from_millis(self.period_ms),
        }
    }

    /// Everything that is wrong with it, a sentence each.
    pub(super) fn problems(&self, section: &ModbusConfig) -> Vec<String> {
        let source = self.source(section, TagId(0));
        let mut problems = Vec::new();
        let mut wrong = |is_wrong: bool, problem: String| {
            if is_wrong {
                problems.push(problem);
            }
        };
        wrong(
            section.transport().is_rtu(),
            "files are read over Modbus TCP only: the protocol library cannot tell where an answer with function 0x14 \
             ends on a line without frames; remove it, or use a device with Modbus TCP"
                .to_owned(),
        );
        wrong(self.file == 0, "`file` = 0: files are numbered from 1".to_owned());
        wrong(self.samples < 2, format!("`samples` = {}: a burst has at least 2", self.samples));
        let end = u32::from(self.record) + source.registers();
        wrong(
            end > RECORDS,
            format!(
                "`record` = {} with {} registers goes beyond the last record 9999 of a file: check `record`, \
                 `samples` and `type`",
                self.record,
                source.registers()
            ),
        );
        let is_number =
            !matches!(self.value_type, ValueType::Bool | ValueType::Bit | ValueType::String);
        wrong(
            !is_number,
            format!(
                "`type` = {}: a sample is a number, such as i16 or f32",
                self.value_type.as_str()
            ),
        );
        let rate = self.sample_rate_hz;
        wrong(
            !(rate.is_finite() && rate > 0.0),
            format!("`sample_rate_hz` = {rate}: give the samples per second, above 0"),
        );
        wrong(
            !(1_000..=86_400_000).contains(&self.period_ms),
            format!("`period_ms` = {}: give a number from 1000 to 86400000", self.period_ms),
        );
        let is_usable = self.scale.is_finite() && self.scale != 0.0 && self.offset.is_finite();
        wrong(
            !is_usable,
            "`scale` must be a finite number other than 0, `offset` a finite one".to_owned(),
        );
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_behind_a_serial_line_is_refused() {
        let text = "name = \"vib\"\nserial = { path = \"/dev/serial/by-id/a\" }\n[[waveform]]\nname = \"s.burst\"\n\
                    asset = \"a/b/c\"\nfile = 1\nsamples = 9\nsample_rate_hz = 100\n";
        let config: ModbusConfig = toml::from_str(text).expect("the form is right");
        let problems = config.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("over Modbus TCP only"), "{problems:?}");
    }

    #[track_caller]
    fn check(keys: &str, expected: &[&str]) {
        let text = format!(
            "name = \"vib\"\nendpoint = \"10.0.3.15:502\"\n[[waveform]]\nname = \"s.burst\"\nasset = \"a/b/c\"\n{keys}"
        );
        let config: ModbusConfig = toml::from_str(&text).expect("the form is right");
        let expected: Vec<_> =
            expected.iter().map(|it| format!("modbus `vib`, waveform `s.burst`: {it}")).collect();
        assert_eq!(config.problems(), expected);
    }

    #[test]
    fn a_waveform_in_a_file_is_right_or_says_why_not() {
        check("file = 1\nsamples = 2048\nsample_rate_hz = 12800\n", &[]);
        check("file = 1\nsamples = 5000\ntype = \"f32\"\nsample_rate_hz = 12800\n", &[]);
        check(
            "file = 0\nsamples = 1\nsample_rate_hz = 0\ntype = \"bit\"\nperiod_ms = 5\nscale = 0\n",
            &[
                "`file` = 0: files are numbered from 1",
                "`samples` = 1: a burst has at least 2",
                "`type` = bit: a sample is a number, such as i16 or f32",
                "`sample_rate_hz` = 0: give the samples per second, above 0",
                "`period_ms` = 5: give a number from 1000 to 86400000",
                "`scale` must be a finite number other than 0, `offset` a finite one",
            ],
        );
        check(
            "file = 1\nrecord = 1\nsamples = 5000\ntype = \"f32\"\nsample_rate_hz = 12800\n",
            &[
                "`record` = 1 with 10000 registers goes beyond the last record 9999 of a file: check `record`, \
               `samples` and `type`",
            ],
        );
    }
}
