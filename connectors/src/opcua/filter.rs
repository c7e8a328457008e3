//! Deadbands: changes too small to be told (Part 4, 7.22.2; Part 8, 6.2).

use opcua::types::{
    DataChangeFilter, DataChangeTrigger, DeadbandType, ExtensionObject, StatusCode,
};

/// Changes of a value not worth telling.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Deadband {
    /// Every change is told.
    #[default]
    None,
    /// Changes up to this, in the value's own unit.
    Absolute(f64),
    /// Changes up to this many percent of the server's `EURange`.
    Percent {
        /// 0 to 100.
        percent: f64,
        /// Width of the configured range: where the server knows no percent, the same in the value's own unit.
        span: Option<f64>,
    },
}

impl Deadband {
    /// What the server is asked for.
    pub(super) fn filter(self) -> ExtensionObject {
        let (kind, value) = match self {
            Self::None => return ExtensionObject::null(),
            Self::Absolute(width) => (DeadbandType::Absolute, width),
            Self::Percent { percent, .. } => (DeadbandType::Percent, percent),
        };
        ExtensionObject::from_message(DataChangeFilter {
            trigger: DataChangeTrigger::StatusValue,
            deadband_type: kind as u32,
            deadband_value: value,
        })
    }

    /// What to ask for instead once the server has refused this. Without a deadband there is more to carry, and nothing
    /// is missing.
    pub(super) fn weaker(self) -> Option<Self> {
        match self {
            Self::None => None,
            Self::Percent { percent, span: Some(span) } => {
                Some(Self::Absolute(span * percent / 100.0))
            }
            Self::Absolute(_) | Self::Percent { span: None, .. } => Some(Self::None),
        }
    }
}

/// Whether the server refuses the filter, not the item.
pub(super) fn is_refused(status: StatusCode) -> bool {
    [
        StatusCode::BadFilterNotAllowed,
        StatusCode::BadMonitoredItemFilterInvalid,
        StatusCode::BadMonitoredItemFilterUnsupported,
        StatusCode::BadDeadbandFilterInvalid,
    ]
    .contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_percent_becomes_absolute_and_then_nothing() {
        let percent = Deadband::Percent { percent: 5.0, span: Some(200.0) };
        assert_eq!(percent.weaker(), Some(Deadband::Absolute(10.0)));
        assert_eq!(Deadband::Absolute(10.0).weaker(), Some(Deadband::None));
        assert_eq!(Deadband::Percent { percent: 5.0, span: None }.weaker(), Some(Deadband::None));
        assert_eq!(Deadband::None.weaker(), None);
    }

    #[test]
    fn the_server_is_told_kind_and_width() {
        assert!(Deadband::None.filter().is_null());
        for (deadband, kind, width) in [
            (Deadband::Absolute(0.5), 1, 0.5),
            (Deadband::Percent { percent: 2.0, span: None }, 2, 2.0),
        ] {
            let filter = deadband.filter();
            let filter = filter.inner_as::<DataChangeFilter>().expect("a filter");
            assert_eq!(
                (filter.deadband_type, filter.deadband_value.to_bits()),
                (kind, f64::to_bits(width))
            );
        }
    }

    #[test]
    fn only_a_refused_filter_is_asked_for_in_another_way() {
        assert!(is_refused(StatusCode::BadFilterNotAllowed));
        assert!(!is_refused(StatusCode::BadNodeIdUnknown));
        assert!(!is_refused(StatusCode::Good));
    }
}
