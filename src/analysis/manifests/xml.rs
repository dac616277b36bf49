//! Manifests in XML: `pom.xml` and project files of .NET.

use roxmltree::{Document, Node, ParsingOptions};

use super::{Found, Parsed};
use crate::analysis::DependencyKind::{Build, Dev, Optional, Runtime};

/// A manifest with more elements is taken for an attack.
const MAX_NODES: u32 = 100_000;
/// The same for elements in one another: the parser and the destructors of trees have a stack.
const MAX_DEPTH: usize = 100;

pub(super) fn pom(text: &str) -> Parsed {
    with_root(text, |project| {
        let mut found = Found::default();
        let parent = child(project, "parent");
        let own = |name: &str| text_of(project, name);
        let inherited = |name: &str| parent.and_then(|parent| text_of(parent, name));
        let group = own("groupId").or_else(|| inherited("groupId"));
        found.name = own("artifactId").map(|artifact| joined(group, artifact));
        found.version = own("version").or_else(|| inherited("version"));
        let licences = child(project, "licenses");
        let names: Vec<String> =
            licences.iter().flat_map(Node::children).filter_map(|licence| text_of(licence, "name")).collect();
        found.licence = (!names.is_empty()).then(|| names.join(" OR "));
        let sections = [Some(project), child(project, "dependencyManagement")];
        let lists = sections.into_iter().flatten().filter_map(|section| child(section, "dependencies"));
        for dependency in lists.flat_map(|list| elements(list, "dependency")) {
            let Some(artifact) = text_of(dependency, "artifactId") else { continue };
            let is_optional = text_of(dependency, "optional").as_deref() == Some("true");
            let kind = match text_of(dependency, "scope").as_deref() {
                _ if is_optional => Optional,
                Some("test") => Dev,
                Some("provided" | "system") => Build,
                _ => Runtime,
            };
            let name = joined(text_of(dependency, "groupId"), artifact);
            found.depends(name, text_of(dependency, "version"), kind);
        }
        let plugins = child(project, "build").and_then(|build| child(build, "plugins"));
        for plugin in plugins.into_iter().flat_map(|list| elements(list, "plugin")) {
            let Some(artifact) = text_of(plugin, "artifactId") else { continue };
            found.depends(joined(text_of(plugin, "groupId"), artifact), text_of(plugin, "version"), Build);
        }
        found
    })
}

pub(super) fn dotnet(text: &str) -> Parsed {
    with_root(text, |project| {
        let mut found = Found::default();
        let value = |names: &[&str]| {
            let groups = elements(project, "PropertyGroup");
            groups.flat_map(|group| names.iter().filter_map(move |name| text_of(group, name))).next()
        };
        found.name = value(&["PackageId", "AssemblyName"]);
        found.version = value(&["Version", "VersionPrefix"]);
        found.licence = value(&["PackageLicenseExpression"]);
        if value(&["OutputType"]).is_some_and(|kind| kind.eq_ignore_ascii_case("exe") || kind == "WinExe") {
            found.command("project that builds an executable");
        }
        for group in elements(project, "ItemGroup") {
            for reference in elements(group, "PackageReference") {
                let name = reference.attribute("Include").or_else(|| reference.attribute("Update"));
                let version = reference.attribute("Version").map(str::to_owned);
                let version = version.or_else(|| text_of(reference, "Version"));
                let is_private = reference.attribute("PrivateAssets") == Some("all")
                    || text_of(reference, "PrivateAssets").as_deref() == Some("all");
                if let Some(name) = name {
                    found.depends(name, version, if is_private { Build } else { Runtime });
                }
            }
        }
        found
    })
}

fn with_root(text: &str, read: impl FnOnce(Node) -> Found) -> Parsed {
    if depth(text) > MAX_DEPTH {
        return Err(format!("its elements are more than {MAX_DEPTH} deep"));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| error.to_string())?;
    let root = document.root_element();
    if root.tag_name().name() == "project" || root.tag_name().name() == "Project" {
        Ok(read(root))
    } else {
        Err("its outermost element is no project".to_owned())
    }
}

/// How deep elements may be in one another at most, by a look at the angle brackets.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('<') {
        match bytes.get(at + 1) {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'?' | b'!') => {}
            _ => {
                let rest = &text[at + 1..];
                let end = rest.find(['<', '>']).unwrap_or(rest.len());
                let is_closed = rest[..end].ends_with('/');
                depth += usize::from(!is_closed);
                deepest = deepest.max(depth);
            }
        }
        if deepest > MAX_DEPTH {
            break;
        }
    }
    deepest
}

fn elements<'a, 'i>(node: Node<'a, 'i>, name: &str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    elements(node, name).next()
}

fn text_of(node: Node, name: &str) -> Option<String> {
    child(node, name)?.text().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn joined(group: Option<String>, artifact: String) -> String {
    match group {
        Some(group) => format!("{group}:{artifact}"),
        None => artifact,
    }
}
