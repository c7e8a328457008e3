//! Everything that can be wrong with a `[[modbus]]` section, found at once: "where: what is wrong: what to do".

use std::{collections::BTreeMap, time::Duration};

use bellwether_domain::{Meaning, Role};

use super::{
    Encoding, Framing, ModbusConfig, ModbusTagConfig, Span, ValueType, as_reference,
    budget::{self, LineTiming, Verdict},
    config::code,
};

/// All problems, those of the section first.
pub(super) fn of(config: &ModbusConfig) -> Vec<String> {
    let place = format!("modbus `{}`", config.name);
    let mut problems = Vec::new();
    let mut report = |problem: Option<String>| {
        problems.extend(problem.map(|problem| format!("{place}: {problem}")));
    };
    section(config, &mut report);
    duplicates(config, &mut report);
    for tag in &config.tag {
        let place = format!("modbus `{}`, tag `{}`", config.name, tag.name);
        let wrong = tag_problems(config, tag);
        problems.extend(wrong.into_iter().map(|problem| format!("{place}: {problem}")));
    }
    if let Some(Verdict::Refused(problem)) = budget(config) {
        problems.push(format!("modbus `{}`: {problem}", config.name));
    }
    for waveform in &config.waveform {
        let place = format!("modbus `{}`, waveform `{}`", config.name, waveform.name);
        let wrong = waveform.problems(config);
        problems.extend(wrong.into_iter().map(|problem| format!("{place}: {problem}")));
    }
    problems.extend(overlaps(config));
    problems
}

/// What is not wrong, but hardly meant.
pub(super) fn warnings(config: &ModbusConfig) -> Vec<String> {
    let mistaken = config
        .tag
        .iter()
        .filter(|tag| tag.register.address.looks_like_reference(tag.register.kind));
    let warnings = mistaken.map(|tag| {
        let number = tag.register.address.number();
        format!(
            "modbus `{}`, tag `{}`: beside `kind`, `address` = {number} is register {number} on the wire; if it is \
             the reference of a manual, leave `kind` out",
            config.name, tag.name
        )
    });
    let tight = match budget(config) {
        Some(Verdict::Tight(warning)) => Some(format!("modbus `{}`: {warning}", config.name)),
        _ => None,
    };
    warnings.chain(tight).collect()
}

/// What there is to say about the time that a poll takes on its line.
fn budget(config: &ModbusConfig) -> Option<Verdict> {
    let (blocks, pace) = (config.plan(), config.pace());
    let interval = Duration::from_millis(config.poll_interval_ms);
    match &config.serial {
        Some(line) => budget::serial(&LineTiming::of(line, pace), &blocks, interval),
        None => {
            let pause = pace.turnaround.max(pace.min_request_interval);
            budget::network(&blocks, pause, interval).map(Verdict::Tight)
        }
    }
}

fn section(config: &ModbusConfig, report: &mut impl FnMut(Option<String>)) {
    let name_is_missing = config.name.trim().is_empty();
    report(name_is_missing.then(|| "`name` is empty: give the device a name".to_owned()));
    line_problems(config).into_iter().for_each(&mut *report);
    report(outside("poll_interval_ms", config.poll_interval_ms, 1, 3_600_000));
    report(outside("timeout_ms", config.timeout_ms, 1, 60_000));
    report(outside("min_timeout_ms", config.min_timeout_ms, 1, 60_000));
    report(outside("retries", config.retries.into(), 0, 10));
    report(outside("min_request_interval_ms", config.min_request_interval_ms, 0, 60_000));
    report(outside("turnaround_ms", config.turnaround_ms.unwrap_or_default(), 0, 10_000));
    report(outside("connect_timeout_ms", config.connect_timeout_ms, 1, 60_000));
    report(outside("max_registers", config.max_registers.into(), 1, 125));
    report(outside("max_bits", config.max_bits.into(), 1, 2_000));
    report(outside("max_gap", config.max_gap.into(), 0, 124));
    report(config.stale_after_ms.filter(|stale| *stale < config.poll_interval_ms).map(|stale| {
        format!(
            "`stale_after_ms` = {stale} is shorter than one poll: make it at least {}",
            config.poll_interval_ms.saturating_mul(2)
        )
    }));
    let no_tags = config.tag.is_empty() && config.waveform.is_empty();
    report(no_tags.then(|| "there are no tags: add a [[modbus.tag]], or remove it".to_owned()));
    let counter = config.sample_counter.as_ref();
    report(counter.filter(|name| !config.tag.iter().any(|tag| tag.name == **name)).map(|name| {
        format!("`sample_counter` names `{name}`, which is no tag of it: name one of its tags")
    }));
}

/// What leads to the device: either a line or an address, with all that belongs to it and nothing else.
fn line_problems(config: &ModbusConfig) -> Vec<Option<String>> {
    let say = |is_wrong: bool, what: &str| is_wrong.then(|| what.to_owned());
    let tls = config.tls.as_ref();
    let half = tls.is_some_and(|it| it.certificate_file.is_some() != it.key_file.is_some());
    let is_tls = config.transport == Framing::Tls;
    let mut found = vec![
        say(is_tls && tls.is_none(), "transport tls needs `tls = { ca_file = \"…\" }`: add it"),
        say(!is_tls && tls.is_some(), "`tls` is for transport tls: set it, or remove `tls`"),
        say(half, "`certificate_file` and `key_file` go together: give both or neither"),
    ];
    let Some(line) = &config.serial else {
        found.push(endpoint(&config.endpoint));
        return found;
    };
    found.extend([
        say(
            !config.endpoint.is_empty(),
            "`serial` and `endpoint` are two ways to one device: keep one of them",
        ),
        say(
            config.transport != Framing::Tcp,
            "`transport` says what is spoken at `endpoint`: remove it, a serial line speaks RTU",
        ),
        say(!line.path.is_absolute(), "`serial.path` is no path: write it in full, from /dev"),
        outside("serial.baud", line.baud.into(), 300, 4_000_000),
        outside("serial.stop_bits", line.stop_bits().into(), 1, 2),
        outside("serial.data_bits", line.data_bits.into(), 7, 8),
    ]);
    found
}

/// Serial lines that several sections name: one owner asks everybody on a line.
pub(super) fn shared_lines(configs: &[ModbusConfig]) -> Vec<String> {
    let mut owners = BTreeMap::new();
    let mut problems = Vec::new();
    for config in configs {
        let Some(line) = &config.serial else { continue };
        if let Some(owner) = owners.insert(&line.path, &config.name) {
            problems.push(format!(
                "modbus `{}`: the line {} is that of `{owner}` already: put all units of a line into one section, \
                 each tag with its `unit_id`",
                config.name,
                line.path.display()
            ));
        }
    }
    problems
}

fn outside(key: &str, value: u64, low: u64, high: u64) -> Option<String> {
    let is_inside = (low..=high).contains(&value);
    (!is_inside).then(|| format!("`{key}` = {value}: give a number from {low} to {high}"))
}

fn endpoint(endpoint: &str) -> Option<String> {
    let parts = endpoint.rsplit_once(':');
    let is_good = parts.is_some_and(|(host, port)| {
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        !host.is_empty()
            && (is_bracketed || !host.contains([':', '/', ' ']))
            && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    (!is_good).then(|| {
        format!("`endpoint` = `{endpoint}`: write it as host:port, for example 10.0.3.15:502")
    })
}

fn duplicates(config: &ModbusConfig, report: &mut impl FnMut(Option<String>)) {
    let mut times = BTreeMap::<&str, u32>::new();
    let names = config.tag.iter().map(|tag| &tag.name);
    let names = names.chain(config.waveform.iter().map(|waveform| &waveform.name));
    names.for_each(|name| *times.entry(name).or_default() += 1);
    for (name, times) in times {
        report((times > 1).then(|| {
            format!("tag `{name}` is there {times} times: give each tag a name of its own")
        }));
    }
}

fn tag_problems(config: &ModbusConfig, tag: &ModbusTagConfig) -> Vec<String> {
    let mut problems = Vec::new();
    match config.resolve(tag) {
        Err(wrong) => problems.extend(wrong),
        Ok((span, encoding)) => {
            problems.extend(length(config, span));
            let wrong = tag.sentinels.iter().map(|sentinel| sentinel.bits(encoding.value_type));
            problems.extend(wrong.filter_map(Result::err));
            problems.extend(states(tag, encoding.value_type));
        }
    }
    problems.extend(scale(tag));
    problems.extend(state(tag));
    problems
}

fn length(config: &ModbusConfig, span: Span) -> Option<String> {
    (span.count > config.limits().most(span.table)).then(|| {
        format!(
            "the value takes {} registers, but `max_registers` allows {} a request: raise it, or read a shorter type",
            span.count, config.max_registers
        )
    })
}

fn scale(tag: &ModbusTagConfig) -> Option<String> {
    let is_usable = tag.scale.is_finite() && tag.scale != 0.0 && tag.offset.is_finite();
    (!is_usable).then(|| {
        format!(
            "value = raw × {} + {} is no measurement: `scale` must be a finite number other than 0, `offset` a finite one",
            tag.scale, tag.offset
        )
    })
}

/// The names of a state's codes.
fn states(tag: &ModbusTagConfig, value_type: ValueType) -> Vec<String> {
    let mut problems: Vec<_> = tag
        .states
        .keys()
        .filter(|key| code(key).is_none())
        .map(|key| {
            format!(
                "`states` has the code `{key}`: write whole numbers, as in {{ 0 = \"stopped\" }}"
            )
        })
        .collect();
    let is_whole = !matches!(value_type, ValueType::F32 | ValueType::F64 | ValueType::String);
    if !tag.states.is_empty() && !is_whole {
        problems.push(format!(
            "`states` names whole numbers, but the type is {}: read an integer, or remove `states`",
            value_type.as_str()
        ));
    }
    problems
}

/// A state or a text is shown, and nothing more can be said about it.
fn state(tag: &ModbusTagConfig) -> Option<String> {
    let what = match tag.meaning() {
        Meaning::Measurement => return None,
        Meaning::States(_) => "a state",
        Meaning::Text => "a text",
    };
    let is_scaled = tag.scale.to_bits() != 1.0_f64.to_bits() || tag.offset != 0.0;
    let mut keys = Vec::new();
    if tag.role.is_some_and(|role| role != Role::Information) {
        keys.push("`role`");
    }
    if is_scaled {
        keys.push("`scale` and `offset`");
    }
    if tag.range.is_some() {
        keys.push("`range`");
    }
    if tag.failure_above.is_some() || tag.failure_below.is_some() {
        keys.push("its failure limit");
    }
    (!keys.is_empty()).then(|| {
        format!("{what} is shown and kept, but not measured or judged: remove {}", keys.join(", "))
    })
}

/// Registers that two tags read as different things: hardly ever meant.
fn overlaps(config: &ModbusConfig) -> Vec<String> {
    let resolved = |tag| config.resolve(tag).ok().map(|(span, encoding)| (span, encoding, tag));
    let mut tags: Vec<(Span, Encoding, &ModbusTagConfig)> =
        config.tag.iter().filter_map(resolved).collect();
    tags.sort_by_key(|(span, ..)| *span);
    let mut problems = Vec::new();
    // The value that reaches farthest so far, within one unit and table.
    let mut farthest: Option<(Span, Encoding, &ModbusTagConfig)> = None;
    for (span, encoding, tag) in tags {
        let neighbour = farthest
            .filter(|(other, ..)| other.unit == span.unit && other.table == span.table)
            .filter(|(other, ..)| other.end() > u32::from(span.address));
        if let Some((other_span, other_encoding, other)) = neighbour
            && !may_share((other_span, other_encoding), (span, encoding))
        {
            problems.push(format!(
                "modbus `{}`, tags `{}` and `{}`: both read {} register {} ({}) of unit {}, as different things: \
                 correct `address` or `type` of one",
                config.name,
                other.name,
                tag.name,
                span.table.as_str(),
                span.address,
                as_reference(span.table, span.address),
                span.unit
            ));
        }
        if neighbour.is_none_or(|(other, ..)| span.end() > other.end()) {
            farthest = Some((span, encoding, tag));
        }
    }
    problems
}

/// Bits of one status word, and the same number twice (in two units, say), are fine.
fn may_share(one: (Span, Encoding), other: (Span, Encoding)) -> bool {
    let is_word = |encoding: Encoding| {
        use ValueType::{Bit, Bool, I16, U16};
        matches!(encoding.value_type, Bit | Bool | U16 | I16)
    };
    let is_bit = |encoding: Encoding| encoding.value_type == ValueType::Bit;
    one == other || ((is_bit(one.1) || is_bit(other.1)) && is_word(one.1) && is_word(other.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "name = \"plc-1\"\nendpoint = \"10.0.3.15:502\"\n";

    fn tag(name: &str, register: &str) -> String {
        format!("[[tag]]\nname = \"{name}\"\nasset = \"a/b/c\"\nregister = {{ {register} }}\n")
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let config: ModbusConfig = toml::from_str(text).expect("the form is right");
        assert_eq!(config.problems(), expected);
    }

    #[test]
    fn a_sound_section_has_no_problems() {
        let mut text = HEAD.to_owned();
        text += &tag("p.flow", "kind = \"holding\", address = 0, type = \"f32\", order = \"CDAB\"");
        text += &tag("p.state", "kind = \"holding\", address = 2, type = \"u16\"");
        text += &tag("p.run", "kind = \"holding\", address = 2, type = \"bit\", bit = 3");
        text += &tag("p.fault", "kind = \"holding\", address = 2, type = \"bit\", bit = 4");
        text += &tag("p.open", "kind = \"coil\", address = 2");
        text += &tag("p.total", "kind = \"input\", address = 65532, type = \"f64\"");
        check(&text, &[]);
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let mut text =
            "name = \"plc-1\"\nendpoint = \"10.0.3.15\"\npoll_interval_ms = 0\n".to_owned();
        text += "timeout_ms = 100000\nmax_registers = 1\nsample_counter = \"p.rows\"\n";
        text += &tag("p.flow", "kind = \"holding\", address = 65535, type = \"f32\"");
        text += "scale = 0.0\n";
        text += &tag("p.flow", "kind = \"input\", address = 7");
        text += &tag("p.head", "address = \"holding:20\", type = \"i32\"");
        text += &tag("p.run", "kind = \"holding\", address = 9, type = \"bit\"");
        text += &tag("p.open", "kind = \"coil\", address = 1, type = \"f32\", bit = 2");
        check(
            &text,
            &[
                "modbus `plc-1`: `endpoint` = `10.0.3.15`: write it as host:port, for example 10.0.3.15:502",
                "modbus `plc-1`: `poll_interval_ms` = 0: give a number from 1 to 3600000",
                "modbus `plc-1`: `timeout_ms` = 100000: give a number from 1 to 60000",
                "modbus `plc-1`: `sample_counter` names `p.rows`, which is no tag of it: name one of its tags",
                "modbus `plc-1`: tag `p.flow` is there 2 times: give each tag a name of its own",
                "modbus `plc-1`, tag `p.flow`: address 65535 with 2 registers goes beyond the last address 65535: \
                 check `address` (this one counts from 0)",
                "modbus `plc-1`, tag `p.flow`: value = raw × 0 + 0 is no measurement: `scale` must be a finite number \
                 other than 0, `offset` a finite one",
                "modbus `plc-1`, tag `p.flow`: `type` is missing for this input register: write one of u16, i16, u32, \
                 i32, u64, i64, f32, f64, bcd16, bcd32, bool, bit or string",
                "modbus `plc-1`, tag `p.head`: the value takes 2 registers, but `max_registers` allows 1 a request: \
                 raise it, or read a shorter type",
                "modbus `plc-1`, tag `p.run`: type bit needs `bit`, 0 for the lowest to 15, or a dot in `address`, as \
                 in 40010.3",
                "modbus `plc-1`, tag `p.open`: a coil is a single bit and cannot be f32: leave `type` out, or read a \
                 register",
                "modbus `plc-1`, tag `p.open`: `bit` is for type bit only: remove it, or set type bit",
            ],
        );
    }

    #[test]
    fn overlapping_registers_of_different_types_name_both_tags() {
        let mut text = HEAD.to_owned();
        text += &tag("p.flow", "kind = \"holding\", address = 4, type = \"f32\"");
        text += &tag("p.head", "kind = \"holding\", address = 5, type = \"u16\"");
        text += &tag("p.same", "kind = \"holding\", address = 4, type = \"f32\"");
        text += &tag("p.other_table", "kind = \"input\", address = 5, type = \"u16\"");
        check(
            &text,
            &[
                "modbus `plc-1`, tags `p.flow` and `p.head`: both read holding register 5 (40006) of unit 1, as different \
               things: correct `address` or `type` of one",
            ],
        );
    }

    #[test]
    fn a_state_is_neither_scaled_nor_judged() {
        let state = |keys: &str| {
            let register = tag("p.state", "address = \"40007\", type = \"u16\"");
            format!(
                "{HEAD}{register}states = {{ 0 = \"stopped\", 1 = \"running\", -1 = \"fault\" }}\n{keys}"
            )
        };
        check(&state("role = \"information\"\n"), &[]);
        check(
            &state("role = \"driver\"\nscale = 0.1\nrange = [0, 3]\nfailure_above = 2\n"),
            &[
                "modbus `plc-1`, tag `p.state`: a state is shown and kept, but not measured or judged: remove `role`, \
               `scale` and `offset`, `range`, its failure limit",
            ],
        );
        let text = tag("p.name", "address = \"40100\", type = \"string\", length = 16");
        check(&format!("{HEAD}{text}"), &[]);
        check(
            &format!("{HEAD}{text}role = \"condition\"\nstates = {{ x = \"y\" }}\n"),
            &[
                "modbus `plc-1`, tag `p.name`: `states` has the code `x`: write whole numbers, as in { 0 = \"stopped\" }",
                "modbus `plc-1`, tag `p.name`: `states` names whole numbers, but the type is string: read an integer, \
                 or remove `states`",
                "modbus `plc-1`, tag `p.name`: a text is shown and kept, but not measured or judged: remove `role`",
            ],
        );
    }

    #[test]
    fn a_state_is_information_unless_it_is_a_number() {
        let mut text = HEAD.to_owned();
        text += &tag("p.flow", "address = \"40001\", type = \"u16\"");
        text += &tag("p.state", "address = \"40002\", type = \"u16\"");
        text += "states = { 0 = \"stopped\" }\n";
        text += &tag("p.name", "address = \"40100\", type = \"string\", length = 16");
        let config: ModbusConfig = toml::from_str(&text).expect("the form is right");
        let roles: Vec<_> = config.tags().map(|tag| tag.role).collect();
        assert_eq!(roles, [Role::Condition, Role::Information, Role::Information]);
        let states = config.tags().nth(1).expect("three tags").meaning;
        assert_eq!((states.state(0.0), states.state(7.0)), (Some("stopped"), None));
    }

    #[test]
    fn a_sentinel_no_register_can_hold_is_refused() {
        let text = tag("p.flow", "address = \"40001\", type = \"u16\"");
        check(&format!("{HEAD}{text}sentinels = [65535, -32768, 0x7fff]\n"), &[]);
        check(
            &format!("{HEAD}{text}sentinels = [70000]\n"),
            &[
                "modbus `plc-1`, tag `p.flow`: `sentinels` has 70000, which 16 bits cannot hold: write what the \
               registers hold before `scale`",
            ],
        );
    }

    #[test]
    fn a_map_that_its_line_cannot_carry_is_refused_with_the_interval_that_works() {
        let mut text = "name = \"meters\"\npoll_interval_ms = 500\n\
                        serial = { path = \"/dev/serial/by-id/a\", baud = 9600 }\n"
            .to_owned();
        for unit in 1..=8 {
            let register = "address = \"40001\", type = \"f32\"";
            text += &format!("{}unit_id = {unit}\n", tag(&format!("m-{unit}.power"), register));
        }
        let config: ModbusConfig = toml::from_str(&text).expect("the form is right");
        assert_eq!(config.problems(), [""; 0]);
        let fast = ModbusConfig { poll_interval_ms: 100, ..config };
        let problems = fast.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0]
                .starts_with("modbus `meters`: unit 1 and 7 others with 8 requests a poll needs")
        );
        assert!(
            problems[0]
                .contains("at 9600 baud 8E1, more than `poll_interval_ms` = 100: make it at least")
        );
    }

    #[test]
    fn a_number_that_looks_like_a_reference_is_a_warning() {
        let mut text = HEAD.to_owned();
        text += &tag("p.flow", "kind = \"holding\", address = 40101, type = \"u16\"");
        let config: ModbusConfig = toml::from_str(&text).expect("the form is right");
        assert_eq!(config.problems(), [""; 0]);
        assert_eq!(
            config.warnings(),
            [
                "modbus `plc-1`, tag `p.flow`: beside `kind`, `address` = 40101 is register 40101 on the wire; if it is \
              the reference of a manual, leave `kind` out"
            ]
        );
    }

    #[test]
    fn an_unknown_key_or_type_is_refused_with_the_right_ones() {
        let error = |line: &str| {
            let text = format!("{HEAD}{line}\n");
            toml::from_str::<ModbusConfig>(&text).expect_err("a wrong key").to_string()
        };
        assert!(error("poll_ms = 5").contains("poll_interval_ms"));
        let register = tag("p.flow", "kind = \"holding\", address = 4, type = \"float\"");
        assert!(error(&register).contains("f32"));
        let register =
            tag("p.flow", "kind = \"holding\", address = 4, type = \"f32\", order = \"BA\"");
        assert!(error(&register).contains("CDAB"));
    }

    #[test]
    fn only_an_endpoint_with_host_and_port_is_right() {
        for good in ["10.0.3.15:502", "plc-1.example:1502", "[fe80::1]:502"] {
            assert_eq!(endpoint(good), None, "{good}");
        }
        for bad in [
            "",
            ":502",
            "plc-1",
            "plc-1:",
            "plc-1:0",
            "plc-1:70000",
            "tcp://plc:502",
            "fe80::1:502",
        ] {
            assert!(endpoint(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_device_has_a_line_or_an_address_and_what_belongs_to_it() {
        let tags = tag("a", "kind = \"coil\", address = 1");
        let rows = [
            ("endpoint = \"a:1\"\ntransport = \"tls\"", Some("transport tls needs")),
            ("endpoint = \"a:1\"\ntls = { ca_file = \"/a\" }", Some("`tls` is for transport tls")),
            (
                "endpoint = \"a:802\"\ntransport = \"tls\"\ntls = { ca_file = \"/a\", key_file = \"/b\" }",
                Some("go together"),
            ),
            ("endpoint = \"a:1\"\nserial = { path = \"/dev/a\" }", Some("two ways to one device")),
            ("serial = { path = \"ttyS0\" }", Some("no path")),
            ("serial = { path = \"/dev/a\", baud = 50 }", Some("`serial.baud` = 50")),
            ("serial = { path = \"/dev/a\", stop_bits = 3 }", Some("`serial.stop_bits` = 3")),
            ("serial = { path = \"/dev/a\" }\ntransport = \"rtu_over_tcp\"", Some("remove it")),
            ("", Some("write it as host:port")),
            ("serial = { path = \"/dev/a\" }", None),
            ("endpoint = \"a:4001\"\ntransport = \"rtu_over_tcp\"", None),
        ];
        for (keys, expected) in rows {
            let text = format!("name = \"plc\"\n{keys}\n{tags}");
            let config: ModbusConfig = toml::from_str(&text).expect("the form is right");
            let problems = config.problems();
            match expected {
                None => assert_eq!(problems, [""; 0], "{keys}"),
                Some(words) => {
                    assert!(problems.iter().any(|it| it.contains(words)), "{keys}: {problems:?}");
                }
            }
        }
    }

    #[test]
    fn a_serial_line_has_one_owner() {
        let text = "name = \"one\"\nserial = { path = \"/dev/a\" }\n";
        let one: ModbusConfig = toml::from_str(text).expect("the form is right");
        let other = ModbusConfig { name: "other".to_owned(), ..one.clone() };
        let problems = ModbusConfig::problems_together(&[one, other]);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("is that of `one` already"), "{problems:?}");
    }
}
