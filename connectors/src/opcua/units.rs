//! Engineering units and ranges a server tells of its values (Part 8, 5.6): `EURange` and `EngineeringUnits`.

use opcua::types::{EUInformation, Range, Variant};

/// Namespace of the codes of UNECE Recommendation 20.
const UNECE: &str = "http://www.opcfoundation.org/UA/units/un/cefact";

/// UNECE common codes and their UCUM text, of what machines measure.
const UNITS: [(&str, &str); 44] = [
    ("4K", "mA"),
    ("2X", "m/min"),
    ("2Z", "mV"),
    ("A94", "g/mol"),
    ("AMP", "A"),
    ("ANN", "a"),
    ("BAR", "bar"),
    ("C16", "mm/s"),
    ("C26", "ms"),
    ("CEL", "Cel"),
    ("CMT", "cm"),
    ("DD", "deg"),
    ("E01", "N/cm2"),
    ("FAH", "[degF]"),
    ("GRM", "g"),
    ("H87", "1"),
    ("HTZ", "Hz"),
    ("HUR", "h"),
    ("JOU", "J"),
    ("KEL", "K"),
    ("KGM", "kg"),
    ("KHZ", "kHz"),
    ("KPA", "kPa"),
    ("KVT", "kV"),
    ("KWH", "kW.h"),
    ("KWT", "kW"),
    ("L2", "L/min"),
    ("LTR", "L"),
    ("MBR", "mbar"),
    ("MIN", "min"),
    ("MMT", "mm"),
    ("MQH", "m3/h"),
    ("MSK", "m/s2"),
    ("MTR", "m"),
    ("MTS", "m/s"),
    ("NEW", "N"),
    ("NU", "N.m"),
    ("P1", "%"),
    ("OHM", "Ohm"),
    ("PAL", "Pa"),
    ("RPM", "/min"),
    ("SEC", "s"),
    ("VLT", "V"),
    ("WTT", "W"),
];

/// `[low, high]` of an `EURange`, if it says anything: some servers leave it at zero.
pub(super) fn range(value: &Variant) -> Option<[f64; 2]> {
    let Variant::ExtensionObject(object) = value else { return None };
    let Range { low, high } = object.inner_as::<Range>()?;
    (low.is_finite() && high.is_finite() && low < high).then_some([*low, *high])
}

/// UCUM text of `EngineeringUnits`; the server's own word where its code is unknown.
pub(super) fn unit(value: &Variant) -> Option<String> {
    let Variant::ExtensionObject(object) = value else { return None };
    let unit = object.inner_as::<EUInformation>()?;
    let known =
        (unit.namespace_uri.as_ref() == UNECE).then(|| code(unit.unit_id)).and_then(|code| {
            UNITS.iter().find(|(known, _)| *known == code).map(|(_, ucum)| (*ucum).to_owned())
        });
    known.or_else(|| {
        let shown = unit.display_name.text.as_ref().trim();
        (!shown.is_empty()).then(|| shown.to_owned())
    })
}

/// The letters behind the number, each in one byte.
fn code(unit_id: i32) -> String {
    let letters = unit_id.to_be_bytes().into_iter().filter(|letter| *letter != 0);
    letters.map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use opcua::types::ExtensionObject;

    use super::*;

    fn written(namespace: &str, unit_id: i32, shown: &str) -> Option<String> {
        unit(&Variant::ExtensionObject(ExtensionObject::from_message(EUInformation {
            namespace_uri: namespace.into(),
            unit_id,
            display_name: shown.into(),
            description: shown.into(),
        })))
    }

    #[test]
    fn unece_codes_become_ucum_text_and_others_stay_the_servers_word() {
        assert_eq!(written(UNECE, 4_408_652, "°C").as_deref(), Some("Cel"));
        assert_eq!(written(UNECE, 4_279_632, "A").as_deref(), Some("A"));
        assert_eq!(written(UNECE, 20_529, "%").as_deref(), Some("%"));
        assert_eq!(written(UNECE, 1, "furlong").as_deref(), Some("furlong"));
        assert_eq!(written("urn:maker", 4_408_652, " bits ").as_deref(), Some("bits"));
        assert_eq!(written(UNECE, -1, ""), None);
        assert_eq!(unit(&Variant::from("A")), None);
    }

    #[test]
    fn a_range_that_says_nothing_is_none() {
        let told = |low, high| {
            range(&Variant::ExtensionObject(ExtensionObject::from_message(Range { low, high })))
        };
        assert_eq!(told(-10.0, 50.0), Some([-10.0, 50.0]));
        for (low, high) in [(0.0, 0.0), (1.0, 0.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
            assert_eq!(told(low, high), None, "{low} to {high}");
        }
        assert_eq!(range(&Variant::from(1.0)), None);
    }
}
