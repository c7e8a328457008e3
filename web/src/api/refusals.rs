//! What the codes mean with which devices refuse: Modbus exceptions (1.1b3, chapter 7) and the OPC UA status codes that
//! reading brings (Part 6, annex A).

/// The code as people look it up, and its meaning.
pub(crate) fn refusal_words(protocol: &str, code: u32) -> (String, &'static str) {
    if protocol == "modbus" {
        (format!("{code:02X}"), exception(code))
    } else {
        (format!("0x{code:08X}"), status(code))
    }
}

const fn exception(code: u32) -> &'static str {
    match code {
        0x01 => "illegal function: the device does not know this kind of request",
        0x02 => "illegal data address: the device has no such register",
        0x03 => "illegal data value: too many registers at once, or not from there",
        0x04 => "the device has failed",
        0x05 => "accepted, the device needs more time",
        0x06 => "the device is busy",
        0x08 => "memory parity error in the device",
        0x0A => "the gateway before the device has no path to it",
        0x0B => "the device behind the gateway does not answer",
        _ => "not in the standard: see the device's manual",
    }
}

const fn status(code: u32) -> &'static str {
    // The low half carries details of the single value.
    match code & 0xFFFF_0000 {
        0x800A_0000 => "the server answered too late",
        0x8013_0000 => "the server is too busy",
        0x8031_0000 => "the server lost its connection to the device",
        0x8032_0000 => "the server waits for first data from the device",
        0x8033_0000 => "there is no such node id",
        0x8034_0000 => "the server does not know this node",
        0x8035_0000 => "the node has no such attribute",
        0x803A_0000 => "the node cannot be read",
        0x8041_0000 => "the server has too many monitored items",
        0x801F_0000 => "this user may not read the node",
        0x808A_0000 => "the device behind the server is not connected",
        0x808B_0000 => "the device behind the server has failed",
        0x808C_0000 => "the sensor has failed",
        0x808D_0000 => "the source is out of service",
        _ => "see the OPC UA status codes, Part 6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(protocol: &str, code: u32, text: &str, start: &str) {
        let (got, words) = refusal_words(protocol, code);
        assert_eq!(got, text);
        assert!(words.starts_with(start), "{words}");
    }

    #[test]
    fn codes_are_told_in_words() {
        check("modbus", 2, "02", "illegal data address");
        check("modbus", 0x55, "55", "not in the standard");
        check("opcua", 0x8034_0000, "0x80340000", "the server does not know this node");
        check("opcua", 0x8034_0480, "0x80340480", "the server does not know this node");
        check("opcua", 1, "0x00000001", "see the OPC UA status codes");
    }
}
