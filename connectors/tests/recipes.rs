//! What the recipes tell people to write is accepted.

use bellwether_connectors::modbus::ModbusConfig;
use serde::Deserialize;

const RECIPES: &str = include_str!("../../docs/recipes.md");

#[derive(Debug, Deserialize)]
struct File {
    modbus: Vec<ModbusConfig>,
}

#[test]
fn every_modbus_snippet_of_the_recipes_is_right() {
    let blocks = RECIPES.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let snippets: Vec<_> = blocks.filter(|block| block.starts_with("[[modbus]]")).collect();
    assert!(snippets.len() >= 2, "the recipes have {} snippets", snippets.len());
    for snippet in snippets {
        let file: File = toml::from_str(snippet).expect(snippet);
        for section in &file.modbus {
            assert_eq!(section.problems(), [""; 0], "{snippet}");
        }
    }
}
