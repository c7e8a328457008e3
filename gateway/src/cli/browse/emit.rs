//! A configuration from a server's nodes: whole, so that `bellwether check` accepts it as it is, and a person only has to
//! rename machines and leave out what is of no use.

use std::{collections::BTreeSet, path::PathBuf};

use bellwether_connectors::opcua::{Kind, Node, OpcuaConfig, Security, SecurityPolicy, Tree};

/// Where machines stand until a person says where.
const PLACE: &str = "area/work-center";

/// The text of the file.
pub(super) fn configuration(source: &OpcuaConfig, tree: &Tree) -> String {
    let numbers: Vec<&Node> = tree.nodes.iter().filter(|node| node.kind == Kind::Number).collect();
    let assets: BTreeSet<String> = numbers.iter().map(|node| asset(node)).collect();
    let mut text = "# Where this is added to a file that has a [site], leave out the next three lines.\n\
                    [site]\nenterprise = \"enterprise\"\nsite = \"site\"\n\n\
                    # One for each object that holds values: give it the place and the name the machine has.\n"
        .to_owned();
    for asset in &assets {
        text.push_str(&format!("[[asset]]\npath = {}\n\n", quoted(asset)));
    }
    text.push_str(&section(source));
    let mut names = BTreeSet::new();
    for node in numbers {
        let name = unique(&mut names, format!("{}.{}", machine(node), slug(node.name())));
        text.push_str(&format!(
            "\n[[opcua.tag]]\nname = {}\nasset = {}\nnode = {}\n",
            quoted(&name),
            quoted(&asset(node)),
            quoted(&node.address.to_string())
        ));
        if let Some(unit) = &node.unit {
            text.push_str(&format!("unit = {}\n", quoted(unit)));
        }
        if let Some([low, high]) = node.range {
            text.push_str(&format!("range = [{low:?}, {high:?}]\n"));
        }
    }
    for node in tree.nodes.iter().filter(|node| node.kind == Kind::Array) {
        text.push_str(&format!(
            "\n# An array; as a waveform it needs `waveform = {{ sample_rate_hz = … }}`: {}\n",
            node.address.to_string().escape_debug()
        ));
    }
    text
}

/// The server, with the keys that say how it is talked to.
fn section(source: &OpcuaConfig) -> String {
    let security = match source.security {
        Security::None => "none",
        Security::Sign => "sign",
        Security::SignAndEncrypt => "sign_and_encrypt",
    };
    let policy = source.security_policy.map(|policy| match policy {
        SecurityPolicy::Basic256Sha256 => "basic256sha256".to_owned(),
        SecurityPolicy::Aes128Sha256RsaOaep => "aes128_sha256_rsaoaep".to_owned(),
        SecurityPolicy::Aes256Sha256RsaPss => "aes256_sha256_rsapss".to_owned(),
    });
    let file = |file: &Option<PathBuf>| file.as_ref().map(|file| file.display().to_string());
    let keys = [
        ("name", Some(source.name.clone())),
        ("endpoint", Some(source.endpoint.clone())),
        ("security", Some(security.to_owned())),
        ("security_policy", policy),
        ("username", source.username.clone()),
        ("password_file", file(&source.password_file)),
        ("user_certificate_file", file(&source.user_certificate_file)),
        ("user_key_file", file(&source.user_key_file)),
    ];
    let mut text = "[[opcua]]\n".to_owned();
    for (key, value) in keys {
        if let Some(value) = value {
            text.push_str(&format!("{key} = {}\n", quoted(&value)));
        }
    }
    text
}

/// The machine a value belongs to: what holds it.
fn machine(node: &Node) -> String {
    slug(if node.parent().is_empty() { "server" } else { node.parent() })
}

fn asset(node: &Node) -> String {
    format!("{PLACE}/{}", machine(node))
}

/// Letters, digits, `-` and `_`; whatever else is there becomes one `-`.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() || character == '_' {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "unnamed".to_owned() } else { slug.to_owned() }
}

/// The name, with a number behind it if it is taken.
fn unique(taken: &mut BTreeSet<String>, name: String) -> String {
    let mut candidate = name.clone();
    let mut number = 2;
    while !taken.insert(candidate.clone()) {
        candidate = format!("{name}-{number}");
        number += 1;
    }
    candidate
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bellwether_connectors::opcua::{NodeAddress, PathAddress};

    use super::*;
    use crate::config::Config;

    fn node(path: &str, address: &str, kind: Kind) -> Node {
        Node {
            path: PathAddress::parse(path).expect("a path"),
            address: NodeAddress::parse(address).expect("an address"),
            kind,
            data_type: None,
            range: None,
            unit: None,
            sample: None,
        }
    }

    #[test]
    fn names_become_plain_and_stay_apart() {
        assert_eq!(slug("Spindle 1 / Öl-Temp."), "spindle-1-l-temp");
        assert_eq!(slug("…"), "unnamed");
        let mut taken = BTreeSet::new();
        assert_eq!(unique(&mut taken, "a".to_owned()), "a");
        assert_eq!(unique(&mut taken, "a".to_owned()), "a-2");
        assert_eq!(unique(&mut taken, "a".to_owned()), "a-3");
    }

    #[test]
    fn what_is_written_passes_the_check_whatever_the_names_are() {
        let mut flow =
            node("/Objects/2:Pump \"7\"/2:Flow", "nsu=urn:x\"\\;s=a\"b\\c\n", Kind::Number);
        flow.range = Some([-1.0, 1e300]);
        flow.unit = Some("m3/h".to_owned());
        let nodes = vec![
            node("/Objects/2:Pump", "ns=2;i=1", Kind::Object),
            flow,
            node("/Objects/2:Pump 7/2:flow", "ns=2;i=2", Kind::Number),
            node("/Objects/2:Loose", "ns=2;i=3", Kind::Number),
            node("/Objects/2:Pump/2:Burst", "ns=2;i=4", Kind::Array),
        ];
        let tree = Tree { nodes, ..Tree::default() };
        let source = "name = \"plc\"\nendpoint = \"opc.tcp://plc:4840\"\nsecurity = \"none\"\n";
        let source: OpcuaConfig = toml::from_str(source).expect("the form is right");
        let text = configuration(&source, &tree);
        let file = Path::new("browsed.toml");
        let config = Config::parse(file, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let setup = config.setup(file, 1.0).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!((setup.plant.assets.len(), setup.sources.len()), (2, 1));
        assert_eq!(config.opcua[0].tag.len(), 3);
        assert_eq!(config.opcua[0].tag[0].node.as_deref(), Some("nsu=urn:x\"\\;s=a\"b\\c\n"));
    }
}
