//! The sections of `docs/recipes.md` are right as they stand.

use bellwether_connectors::modbus::{ModbusConfig, Transport};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    modbus: Vec<ModbusConfig>,
}

#[test]
fn the_sections_in_the_recipes_load() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/recipes.md");
    let text = std::fs::read_to_string(path).expect("the recipes are there");
    let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let of_modbus: Vec<_> = blocks.filter(|block| block.contains("[[modbus]]")).collect();
    let mut transports = Vec::new();
    for block in of_modbus {
        let file: File = toml::from_str(block).unwrap_or_else(|error| panic!("{block}: {error}"));
        assert_eq!(ModbusConfig::problems_together(&file.modbus), [""; 0]);
        for section in file.modbus {
            assert_eq!(section.problems(), [""; 0], "{block}");
            transports.push(section.transport());
        }
    }
    let has = |is_it: fn(&Transport) -> bool| transports.iter().any(is_it);
    assert!(has(|it| matches!(it, Transport::Serial(_))));
    assert!(has(|it| matches!(it, Transport::RtuOverTcp(_))));
    assert!(has(|it| matches!(it, Transport::Tls(..))));
}
