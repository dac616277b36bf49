use super::*;
use DependencyKind::{Build, Dev, Optional, Runtime};

fn parsed(path: &str, content: &str) -> Read {
    read(path, content, &Limits::default()).unwrap_or_else(|| panic!("{path} is a manifest"))
}

fn dependencies(path: &str, content: &str) -> Vec<(String, String, DependencyKind)> {
    let manifest = parsed(path, content).manifest;
    assert_eq!(manifest.error, None, "{path}");
    manifest.dependencies.into_iter().map(|d| (d.name, d.requirement.unwrap_or_default(), d.kind)).collect()
}

fn expect(path: &str, content: &str, expected: &[(&str, &str, DependencyKind)]) {
    let expected: Vec<_> = expected.iter().map(|(n, r, k)| ((*n).to_owned(), (*r).to_owned(), *k)).collect();
    assert_eq!(dependencies(path, content), expected, "{path}");
}

fn described(path: &str, content: &str) -> [String; 3] {
    let manifest = parsed(path, content).manifest;
    [manifest.name, manifest.version, manifest.licence].map(Option::unwrap_or_default)
}

#[test]
fn cargo() {
    let text = "[package]\nname='a'\nversion='1.0'\nlicense='MIT'\n[dependencies]\nserde='1'\nb={path='../b'}\n\
                c={git='https://x/c',tag='v1'}\nd={version='2',optional=true}\ne={workspace=true}\n\
                [dev-dependencies]\nf='3'\n[target.'cfg(unix)'.dependencies]\nnix='0.3'\n[build-dependencies]\ncc='1'\n\
                [[bin]]\nname='tool'\npath='src/t.rs'\n";
    assert_eq!(described("Cargo.toml", text), ["a", "1.0", "MIT"]);
    expect(
        "x/Cargo.toml",
        text,
        &[
            ("b", "path ../b", Runtime),
            ("c", "git https://x/c v1", Runtime),
            ("cc", "1", Build),
            ("d", "2", Optional),
            ("e", "workspace", Runtime),
            ("f", "3", Dev),
            ("nix", "0.3", Runtime),
            ("serde", "1", Runtime),
        ],
    );
    assert_eq!(parsed("Cargo.toml", text).commands[0].1, "command tool from src/t.rs");
    let workspace = "[workspace.package]\nversion='9'\n[package]\nname='a'\nversion.workspace=true\n";
    assert_eq!(described("Cargo.toml", workspace), ["a", "9", ""]);
}

#[test]
fn javascript_and_php() {
    let text = r#"{"name":"a","version":"1","license":"ISC","dependencies":{"b":"^1"},"devDependencies":{"c":"2"},
        "peerDependencies":{"p":"*","q":"1"},"peerDependenciesMeta":{"q":{"optional":true}},"bin":{"t":"b.js"},
        "optionalDependencies":{"o":"1"},"scripts":{"start":"node .","x":"y"},"main":"i.js"}"#;
    assert_eq!(described("package.json", text), ["a", "1", "ISC"]);
    expect(
        "package.json",
        text,
        &[
            ("b", "^1", Runtime),
            ("c", "2", Dev),
            ("o", "1", Optional),
            ("p", "*", Runtime),
            ("q", "1", Optional),
        ],
    );
    let commands: Vec<_> = parsed("package.json", text).commands.into_iter().map(|(_, why)| why).collect();
    assert_eq!(commands, ["command t from b.js", "main module i.js", "script start: node ."]);
    let text =
        r#"{"name":"v/a","license":["MIT","GPL-2.0"],"require":{"php":">=8"},"require-dev":{"b":"1"}}"#;
    assert_eq!(described("composer.json", text), ["v/a", "", "MIT OR GPL-2.0"]);
    expect("composer.json", text, &[("b", "1", Dev), ("php", ">=8", Runtime)]);
}

#[test]
fn python() {
    let text = "[project]\nname='a'\nversion='1'\nlicense={text='MIT'}\ndependencies=['b[x]>=1; python_version<\"3\"','c']\n\
                [project.optional-dependencies]\ndev=['d~=2']\n[build-system]\nrequires=['hatchling']\n\
                [dependency-groups]\ntest=['pytest', {include-group='x'}]\n[project.scripts]\nt='a:main'\n";
    assert_eq!(described("pyproject.toml", text), ["a", "1", "MIT"]);
    let requirement = ">=1; python_version<\"3\"";
    expect(
        "pyproject.toml",
        text,
        &[
            ("b", requirement, Runtime),
            ("c", "", Runtime),
            ("d", "~=2", Optional),
            ("hatchling", "", Build),
            ("pytest", "", Dev),
        ],
    );
    let text = "[tool.poetry]\nname='a'\nversion='2'\n[tool.poetry.dependencies]\npython='^3'\nb={version='1',optional=true}\n\
                [tool.poetry.group.dev.dependencies]\nc='*'\n";
    expect("pyproject.toml", text, &[("b", "1", Optional), ("c", "*", Dev), ("python", "^3", Runtime)]);
    expect(
        "Pipfile",
        "[packages]\na='*'\n[dev-packages]\nb='==1'\n",
        &[("a", "*", Runtime), ("b", "==1", Dev)],
    );
    let text = "# c\na==1 --hash=sha256:00 \\\n    --hash=sha256:11\n-r other.txt\nb>=2  # why\n\n-e git+https://x/c.git#egg=c\n\
                https://x/y.whl\nd @ https://x/d.whl\n";
    expect(
        "requirements-dev.txt",
        text,
        &[
            ("a", "==1", Runtime),
            ("b", ">=2", Runtime),
            ("c", "git+https://x/c.git", Runtime),
            ("d", "@ https://x/d.whl", Runtime),
        ],
    );
    let text = "[metadata]\nname = a\nlicense = BSD\n[options]\ninstall_requires =\n    b>1\n    c\n[options.extras_require]\n\
                t = d\n[options.entry_points]\nconsole_scripts =\n    x = a:m\n";
    assert_eq!(described("setup.cfg", text), ["a", "", "BSD"]);
    expect("setup.cfg", text, &[("b", ">1", Runtime), ("c", "", Runtime), ("d", "", Optional)]);
    let text = "setup(\n    name='a',\n    version=\"1\",\n    install_requires=['b>1', \"c\"],\n)";
    assert_eq!(described("setup.py", text), ["a", "1", ""]);
    expect("setup.py", text, &[("b", ">1", Runtime), ("c", "", Runtime)]);
    let text = "Metadata-Version: 2.1\nName: a\nVersion: 1\nClassifier: License :: OSI Approved :: MIT License\n\
                Requires-Dist: b (>=1)\nRequires-Dist: c; extra == 'x'\n\nRequires-Dist: no\n";
    assert_eq!(described("a.dist-info/METADATA", text), ["a", "1", "MIT License"]);
    expect("a.dist-info/METADATA", text, &[("b", ">=1", Runtime), ("c", "; extra == 'x'", Optional)]);
}

#[test]
fn virtual_machines() {
    let text = "<project xmlns='x'><parent><groupId>g</groupId><version>3</version></parent><artifactId>a</artifactId>\
                <licenses><license><name>MIT</name></license></licenses><dependencies><dependency><groupId>h</groupId>\
                <artifactId>b</artifactId><version>1</version><scope>test</scope></dependency></dependencies></project>";
    assert_eq!(described("pom.xml", text), ["g:a", "3", "MIT"]);
    expect("pom.xml", text, &[("h:b", "1", Dev)]);
    let text = "plugins {\n  id(\"java\") version \"1\"\n}\nversion = '2'\ndependencies {\n  implementation(\"g:n:1.0\")\n  \
                testImplementation platform('g:bom:3')\n  api group: 'x', name: 'y', version: '4'\n  implementation project(':z')\n}";
    expect(
        "build.gradle.kts",
        text,
        &[("g:bom", "3", Dev), ("g:n", "1.0", Runtime), ("java", "1", Build), ("x:y", "4", Runtime)],
    );
    let text = "\u{feff}<Project Sdk='x'><PropertyGroup><OutputType>Exe</OutputType><Version>1</Version></PropertyGroup><ItemGroup>\
                <PackageReference Include='A' Version='2'/><PackageReference Include='B'><Version>3</Version>\
                <PrivateAssets>all</PrivateAssets></PackageReference></ItemGroup></Project>";
    expect("x/A.csproj", text, &[("A", "2", Runtime), ("B", "3", Build)]);
    assert_eq!(parsed("x/A.csproj", text).commands.len(), 1);
}

#[test]
fn other_ecosystems() {
    let text = "module x/y // c\n\ngo 1.2\nrequire (\n\ta/b v1.0\n\tc v2 // indirect\n)\nrequire d v3\nreplace a => b v1\n";
    expect("go.mod", text, &[("a/b", "v1.0", Runtime), ("c", "v2", Optional), ("d", "v3", Runtime)]);
    let text = "gem 'a', '~> 1', '>= 1.2'\ngem \"b\", group: :test\ngroup :development do\n  gem 'c'\nend\ngem 'd'\n";
    expect(
        "Gemfile",
        text,
        &[("a", "~> 1, >= 1.2", Runtime), ("b", "", Dev), ("c", "", Dev), ("d", "", Runtime)],
    );
    let text = "Gem::Specification.new do |s|\n  s.name = 'a'\n  s.add_dependency 'b', '~> 1'\n  s.add_development_dependency('c')\n";
    expect("a.gemspec", text, &[("b", "~> 1", Runtime), ("c", "", Dev)]);
    let text = "name: a\nversion: 1.0.0+1\ndependencies:\n  flutter:\n    sdk: flutter\n  b: ^1.0 # why\ndev_dependencies:\n  c: any\n";
    expect("pubspec.yaml", text, &[("b", "^1.0", Runtime), ("c", "any", Dev), ("flutter", "", Runtime)]);
    let text =
        "app: :a,\nversion: \"1\",\n{:b, \"~> 1\"},\n{:c, \"1\", only: [:dev, :test]},\n{:d, git: \"x\"}";
    expect("mix.exs", text, &[("b", "~> 1", Runtime), ("c", "1", Dev), ("d", "", Runtime)]);
    let text = "FROM --platform=x r:5000/rust:1.9 AS build\nRUN a \\\n  b\nFROM build as c\nFROM debian@sha256:0\nCMD [\"x\"]\n";
    expect("Dockerfile.dev", text, &[("debian", "sha256:0", Runtime), ("r:5000/rust", "1.9", Build)]);
    assert_eq!(parsed("Dockerfile", text).commands[0].1, "container starts: CMD [\"x\"]");
}

#[test]
fn broken_deep_and_long_manifests_say_so() {
    let deep_json = format!("{{\"a\":{}", "[".repeat(100_000));
    let deep_toml = format!("a={}", "[".repeat(100_000));
    let deep_xml = "<a>".repeat(100_000);
    let bomb = "<!DOCTYPE p [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><project>&b;</project>";
    for (path, text) in [
        ("package.json", "{"),
        ("package.json", "[1]"),
        ("package.json", deep_json.as_str()),
        ("Cargo.toml", "[package"),
        ("Cargo.toml", deep_toml.as_str()),
        ("pyproject.toml", deep_toml.as_str()),
        ("pom.xml", "<project>"),
        ("pom.xml", deep_xml.as_str()),
        ("pom.xml", bomb),
        ("pom.xml", "<other/>"),
        ("go.mod", "\n"),
        ("METADATA", "x"),
        ("package.json", &" ".repeat(2 << 20)),
    ] {
        let manifest = parsed(path, text).manifest;
        assert!(manifest.error.is_some() && manifest.dependencies.is_empty(), "{path}");
    }
}

#[test]
fn odd_values_are_passed_over() {
    for (path, text) in [
        ("package.json", r#"{"name":1,"dependencies":[],"bin":[1],"license":{"a":1},"scripts":{"start":1}}"#),
        ("Cargo.toml", "dependencies=1\npackage=[]\nbin=1\ntarget=1\n"),
        ("pyproject.toml", "project=1\ntool=1\nbuild-system=[]\n"),
        ("composer.json", r#"{"require":{"a":1}}"#),
        ("setup.cfg", "[\n]\n=\n  x\n"),
        ("Gemfile", "gem\ngem ''\nend\nend\n"),
        ("Dockerfile", "FROM\nFROM --x\nCMD\n\\\n"),
        ("Procfile", ":\nx\n"),
    ] {
        assert_eq!(parsed(path, text).manifest.error, None, "{path}");
    }
}

#[test]
fn dependencies_are_bounded_and_without_secrets() {
    let many: String = (0..1_000).map(|n| format!("a{n}==1\n")).collect();
    let read = parsed("requirements.txt", &many);
    assert_eq!((read.manifest.dependencies.len(), read.left_out), (300, 700));
    let text = "a @ git+https://me:hunter22hunter22@host/a.git\n";
    assert!(!format!("{:?}", parsed("requirements.txt", text)).contains("hunter22"));
}
